"""What the demo mesh and the benchmarks share: an Envoy as a process, tables of text, and how a program here ends."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Iterator, NoReturn, Sequence

HOST = "127.0.0.1"
ANSWER_SECONDS = 2.0
POLL_SECONDS = 0.2
LOG_LINES = 15
# What a shell reports of a program that SIGPIPE ended.
EXIT_NOT_READ = 141


class Failed(Exception):
    """Something the user can act on; its text is all that is printed."""


def exit_status(program: str, action: Callable[[], int], interrupted: str = "interrupted") -> int:
    """The exit status of a program; one that is terminated cleans up as one that is interrupted does."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return action()
    except Failed as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program}: {interrupted}", file=sys.stderr)
        return 130


def not_read(action: Callable[[], int]) -> int:
    """What the action returns, or the status of a program whose reader left: `make envoy-status | head` is no error."""
    try:
        result = action()
        sys.stdout.flush()
    except BrokenPipeError:
        # Not SIGPIPE: it would end `up` before what it started is stopped.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NOT_READ
    return result


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def port_number(text: str) -> int:
    """A port that a user names, for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


def accepts(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=ANSWER_SECONDS):
            return True
    except OSError:
        return False


def ask(admin: str, path: str, seconds: float = ANSWER_SECONDS) -> str:
    """What Envoy's admin endpoint at that address answers."""
    connection = http.client.HTTPConnection(admin, timeout=seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"Envoy's admin endpoint {admin} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise Failed(f"Envoy's admin endpoint {admin} answered {answer.status} to {path}")
    return text


def is_ready(admin: str) -> bool:
    with contextlib.suppress(Failed):
        return bool(ask(admin, "/ready"))
    return False


def excerpt(log: Path) -> str:
    """The last lines of a log, and before them what Tracewarden complained about."""
    try:
        text = log.read_text("utf-8", "replace")
    except OSError as error:
        return f"  ({error})"
    # The others are valgrind's.
    lines = [line for line in text.splitlines() if not line.startswith("==")]
    cut = max(0, len(lines) - LOG_LINES)
    complaints = [line for line in lines[:cut] if "tracewarden" in line and re.search(r"\[(error|critical)\]", line)]
    return "\n".join(f"  {line}" for line in complaints[-LOG_LINES:] + lines[cut:]) or "  (nothing)"


def command_line(envoy: Path, config: Path, workers: int, *more: str) -> list[str]:
    """How an Envoy is started that says no more than it must."""
    command = [str(envoy), "--config-path", str(config), "--concurrency", str(workers), "--disable-hot-restart"]
    return [*command, "--log-level", "warning", *more]


def align(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """A line for each row: so many columns to the left, the others, which are numbers, to the right."""
    sides = "<" * left + ">" * (len(rows[0]) - left)
    forms = [f"{side}{max(map(len, column))}" for side, column in zip(sides, zip(*rows))]
    return ["  ".join(map(format, row, forms)) for row in rows]


class Envoy:
    """A running Envoy that chose its ports itself."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process = process
        self.directory = directory
        self.log = directory / "log"
        self.admin = ""

    def await_ready(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not (self.admin and is_ready(self.admin)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"Envoy did not start:\n{excerpt(self.log)}")
            time.sleep(POLL_SECONDS)
            with contextlib.suppress(FileNotFoundError):
                self.admin = (self.directory / "admin").read_text("utf-8").strip()

    def port(self) -> int:
        """The port of the first listener."""
        listeners = json.loads(ask(self.admin, "/listeners?format=json", ANSWER_SECONDS * 10))
        return int(listeners["listener_statuses"][0]["local_address"]["socket_address"]["port_value"])


@contextlib.contextmanager
def running(
    envoy: Path, config: str, workers: int = 1, under: Sequence[str] = (), seconds: float = 60.0
) -> Iterator[Envoy]:
    """An Envoy, under another program if one is named, that is stopped in the end, whatever happens."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "envoy.yaml").write_text(config, "utf-8")
        admin = ("--admin-address-path", str(directory / "admin"))
        command = [*under, *command_line(envoy, directory / "envoy.yaml", workers, *admin)]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            started = Envoy(process, directory)
            started.await_ready(seconds)
            yield started
        finally:
            process.kill()
            process.wait()
