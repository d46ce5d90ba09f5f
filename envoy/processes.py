"""The processes of the demo mesh, and the directory that remembers them from one command to the next."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Optional

from proxy import POLL_SECONDS, Failed

STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """A process that we started. A pid is reused one day; a pid and a start time are not."""

    name: str
    pid: int
    started: str

    def runs(self) -> bool:
        started = start_time(self.pid)
        if started is None:
            return False
        # ps computes the start from the clock, and is a second off now and then.
        return abs(started - datetime.fromisoformat(self.started)) <= timedelta(seconds=2)

    def stop(self) -> str:
        """Ends the process, and says how that went."""
        if not self.runs():
            return f"{self.name} (pid {self.pid}) had ended already"
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline:
                if not self.runs():
                    return f"stopped {self.name} (pid {self.pid}, {number.name})"
                time.sleep(POLL_SECONDS)
        raise Failed(f"{self.name} (pid {self.pid}) does not end, not even after SIGKILL")


def start_time(pid: int) -> Optional[datetime]:
    """When the process started, or None if no such process runs."""
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    try:
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failed("needs the command `ps` (Debian: apt-get install procps)") from None
    fields = answer.stdout.split()
    # A zombie has ended; only its parent has not looked yet.
    if len(fields) != 6 or fields[0].startswith("Z"):
        return None
    return datetime.strptime(" ".join(fields[1:]), "%a %b %d %H:%M:%S %Y")


@dataclass(frozen=True)
class Mesh:
    """The mesh that was started in a run directory."""

    port: int
    admin_port: int
    processes: tuple[Process, ...] = ()

    def runs(self) -> bool:
        return bool(self.processes) and all(process.runs() for process in self.processes)


class RunDirectory:
    """Where the mesh keeps its rendered configuration, its logs and the note of what it started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "envoy.yaml"
        self.envoy_log = path / "envoy.log"
        self.access_log = path / "access.log"
        self.broken_log = path / "broken.log"
        self.spans_log = path / "spans.log"
        self._state = path / "mesh.json"

    def load(self) -> Optional[Mesh]:
        try:
            state = json.loads(self._state.read_text("utf-8"))
            processes = tuple(Process(**process) for process in state["processes"])
            return Mesh(int(state["port"]), int(state["admin_port"]), processes)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise Failed(f"cannot read {self._state} ({error}); remove it once no demo mesh runs") from error

    def save(self, mesh: Mesh) -> None:
        draft = self._state.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(mesh), indent=2) + "\n", "utf-8")
        draft.replace(self._state)

    def stop_all(self) -> list[str]:
        """Stops what was started here, last first, and forgets it."""
        mesh = self.load()
        if mesh is None:
            return []
        said = [process.stop() for process in reversed(mesh.processes)]
        self._state.unlink()
        return said
