"""Counts instructions under callgrind: of a request to Envoy, or of a program that does a thing so many times."""

from __future__ import annotations

import contextlib
import re
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional

from cases import Traffic
from collector import Account
from proxy import Envoy, Failed, excerpt, running
from traffic import Client, Upstream

# Before anything is counted. V8 compiles for good at once (Envoy has its baseline compiler switched off: the counts
# of the 500th and of the 30,000th request are the same), LuaJIT after some 60 calls, callgrind what it first meets.
WARM_UP = 300
WINDOW = 500
WINDOWS = 3
# More windows are taken, up to this factor, until three in a row differ by less than this.
STEADY = 0.01
PATIENCE = 4
# Where spans are exported: so many full batches that each window has the same, of Tracewarden and of Envoy's tracer.
WINDOW_OF_SPANS = 4 * 512

READY_SECONDS = 120.0

CALLGRIND = ("valgrind", "--tool=callgrind", "--smc-check=all-non-file")


@dataclass(frozen=True)
class Count:
    """Instructions a request, and by which share of that the windows differed."""

    instructions: float
    spread: float
    # What became of the spans of all the requests, where they were exported.
    spans: Optional[dict[str, int]] = None


def require_valgrind() -> str:
    """Valgrind's version."""
    if not shutil.which("valgrind") or not shutil.which("callgrind_control"):
        raise Failed("valgrind is missing (Debian: apt-get install valgrind).")
    return subprocess.run(["valgrind", "--version"], check=True, capture_output=True, text=True).stdout.strip()


def count_loop(program: list[str], times: int) -> float:
    """The instructions of one turn of `program TIMES`: what `times` turns take more than none."""

    def total(turns: int) -> int:
        with tempfile.TemporaryDirectory() as directory:
            out = Path(directory) / "out"
            command = [*CALLGRIND, f"--callgrind-out-file={out}", *program, str(turns)]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode != 0:
                raise Failed(f"{' '.join(program)}: {run.stderr.strip()[-500:]}")
            return _summary(out)

    return (total(times) - total(0)) / times


def _summary(path: Path) -> int:
    """What a dump counted. Its `totals` line is of no use here: it also has what was counted before the last zero in
    code that valgrind has thrown away since."""
    match = re.search(r"^summary: (\d+)", path.read_text("utf-8"), re.MULTILINE)
    if not match:
        raise Failed(f"callgrind wrote no summary into {path.name}.")
    return int(match[1])


class Counter:
    """An Envoy with one worker, under callgrind, that counts nothing yet."""

    def __init__(self, envoy: Envoy, upstream: Upstream, dumps: Path) -> None:
        self._envoy = envoy
        self._client = Client(envoy, upstream)
        self._dumps = dumps
        self._counting = False

    @property
    def envoy(self) -> Envoy:
        return self._envoy

    def count(self, traffic: Traffic, size: str, sent: str, account: Optional[Account] = None) -> Count:
        """What a request costs the worker; refuses if the upstream does not receive what it should.

        With an account each window ends when its spans have arrived, so that their uploads are counted."""
        self._send(traffic, size, WARM_UP, account)
        self._client.check(traffic, sent)
        if not self._counting:
            self._control("-i", "on")
            self._counting = True
        self._send(traffic, size, WARM_UP, account)
        counts: list[float] = []
        while True:
            counts.append(self._window(traffic, size, account))
            last = counts[-WINDOWS:]
            middle = statistics.median(last)
            spread = (max(last) - min(last)) / middle
            if (len(last) == WINDOWS and spread <= STEADY) or len(counts) == WINDOWS * PATIENCE:
                return Count(middle, spread, account.tally() if account else None)

    def _send(self, traffic: Traffic, size: str, requests: int, account: Optional[Account]) -> None:
        self._client.send(traffic, size, requests)
        if account:
            account.settle(requests)

    def _window(self, traffic: Traffic, size: str, account: Optional[Account]) -> float:
        requests = WINDOW_OF_SPANS if account else WINDOW
        self._control("-z")
        self._send(traffic, size, requests, account)
        self._control("-d")
        # One file a thread. Nearly all the work is the worker's; the rest is timers of the main thread, and V8's.
        dumps = list(self._dumps.glob("dump.*-*"))
        if not dumps:
            raise Failed("callgrind wrote no dump.")
        instructions = max(_summary(dump) for dump in dumps)
        for dump in dumps:
            dump.unlink()
        return instructions / requests

    def _control(self, *arguments: str) -> None:
        command = ["callgrind_control", *arguments, str(self._envoy.process.pid)]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            said = run.stderr.strip() or run.stdout.strip()
            raise Failed(f"{' '.join(command)}: {said}\n{excerpt(self._envoy.log)}")


@contextlib.contextmanager
def counter(envoy: Path, config: str, upstream: Upstream) -> Iterator[Counter]:
    with tempfile.TemporaryDirectory() as dumps:
        under = [*CALLGRIND, "--separate-threads=yes", "--instr-atstart=no", f"--callgrind-out-file={dumps}/dump"]
        with running(envoy, config, under=under, seconds=READY_SECONDS) as process:
            yield Counter(process, upstream, Path(dumps))
