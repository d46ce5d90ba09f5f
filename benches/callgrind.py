"""Runs a program under callgrind: Envoy, to count what a request costs, or one that does a thing so many times."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Optional

from cases import CHUNK, HOST, TRACE_ID, Traffic

# Before anything is counted. V8 compiles for good at once (Envoy has its baseline compiler switched off: the counts of
# the 500th and of the 30,000th request are the same), LuaJIT after some 60 calls, and callgrind what it first meets.
WARM_UP = 300
WINDOW = 500
WINDOWS = 3
# More windows are taken, up to this factor, until three in a row differ by less than this.
STEADY = 0.01
PATIENCE = 4

READY_SECONDS = 120.0
ANSWER_SECONDS = 60.0
POLL_SECONDS = 0.1

CALLGRIND = ("valgrind", "--tool=callgrind", "--smc-check=all-non-file")


class Failed(Exception):
    """Something that the reader of the message can do something about."""


@dataclass(frozen=True)
class Count:
    """Instructions a request, and by which share of that the windows differed."""

    instructions: float
    spread: float


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


class Upstream:
    """Answers every request at once, and remembers the last."""

    def __init__(self) -> None:
        self.listener = socket.create_server((HOST, 0))
        self.port: int = self.listener.getsockname()[1]
        self.head = b""
        self._body = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.listener.close()

    def await_body(self, octets: int) -> None:
        """Waits until that much of the request's body has come through, so that chunks are not read together."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._body >= octets, ANSWER_SECONDS):
                raise Failed("A chunk of a body never reached the upstream.")

    def forget_body(self) -> None:
        """The next request's body starts at zero."""
        with self._changed:
            self._body = 0

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        with connection, contextlib.suppress(OSError):
            while True:
                data = connection.recv(65536)
                if not data:
                    return
                received += data
                received = self._answer(connection, received)

    def _answer(self, connection: socket.socket, received: bytes) -> bytes:
        head, end, body = received.partition(b"\r\n\r\n")
        if not end:
            return received
        if b"transfer-encoding: chunked" in head:
            with self._changed:
                self._body = body.count(CHUNK[:1])
                self._changed.notify_all()
            if not body.endswith(b"0\r\n\r\n"):
                return received
        self.head = head
        extra = b""
        if b" /told " in head:
            extra = b"traceparent: " + header(head, "traceparent").encode() + b"\r\n"
        connection.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" + extra + b"content-length: 2\r\n\r\nok"
        )
        return b""


def header(head: bytes, name: str) -> str:
    """The value of a header in a head, or nothing."""
    match = re.search(rf"^{re.escape(name)}: *(.*?)\r?$", head.decode("latin-1"), re.MULTILINE | re.IGNORECASE)
    return match[1] if match else ""


def received(head: bytes, traffic: Traffic) -> str:
    """What became of the request's context: `same`, `child`, `sampled child`, `root` or `none`."""
    value = header(head, "traceparent")
    if value == (traffic.traceparent or ""):
        return "same" if value else "none"
    if not value:
        return "none"
    if TRACE_ID not in value:
        return "root"
    sampled = traffic.traceparent is not None and traffic.traceparent[-2:] == "00" and value[-1] in "13"
    return "sampled child" if sampled else "child"


class Envoy:
    """An Envoy with one worker, under callgrind, that counts nothing yet."""

    def __init__(self, envoy: Path, bootstrap: dict[str, Any], upstream: Upstream, directory: Path) -> None:
        self._directory = directory
        self._upstream = upstream
        config = directory / "envoy.json"
        config.write_text(json.dumps(bootstrap), "utf-8")
        self._log = directory / "log"
        command = [
            *CALLGRIND,
            "--separate-threads=yes",
            "--instr-atstart=no",
            f"--callgrind-out-file={directory / 'dump'}",
            *(str(envoy), "--config-path", str(config), "--concurrency", "1", "--disable-hot-restart"),
            *("--admin-address-path", str(directory / "admin"), "--log-level", "warning"),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._client: Optional[socket.socket] = None
        self._dumps = 0
        self._counting = False

    def stop(self) -> None:
        if self._client:
            self._client.close()
        self._process.kill()
        self._process.wait()

    def count(self, traffic: Traffic, size: str, sent: str) -> Count:
        """What a request costs the worker; refuses if the upstream does not receive what it should."""
        self._pass(traffic, size, WARM_UP)
        found = received(self._upstream.head, traffic)
        if found != sent:
            raise Failed(
                f"the upstream received a traceparent that is '{found}', not '{sent}':\n{self._tail()}"
            )
        if not self._counting:
            self._control("-i", "on")
            self._counting = True
        self._pass(traffic, size, WARM_UP)
        counts: list[float] = []
        while True:
            counts.append(self._window(traffic, size))
            last = counts[-WINDOWS:]
            middle = statistics.median(last)
            count = Count(middle, (max(last) - min(last)) / middle)
            enough = len(last) == WINDOWS and count.spread <= STEADY
            if enough or len(counts) == WINDOWS * PATIENCE:
                return count

    def _window(self, traffic: Traffic, size: str) -> float:
        self._control("-z")
        self._pass(traffic, size, WINDOW)
        self._control("-d")
        self._dumps += 1
        # One file a thread. Nearly all the work is the worker's; the rest is timers of the main thread, and V8's.
        dumps = list(self._directory.glob(f"dump.{self._dumps}-*"))
        if not dumps:
            raise Failed("callgrind wrote no dump.")
        instructions = max(_summary(dump) for dump in dumps)
        for dump in dumps:
            dump.unlink()
        return instructions / WINDOW

    def _pass(self, traffic: Traffic, size: str, requests: int) -> None:
        client = self._client or self._connect()
        head = traffic.head(size)
        for _ in range(requests):
            self._upstream.forget_body()
            client.sendall(head)
            for chunk in range(traffic.chunks):
                client.sendall(b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK))
                self._upstream.await_body((chunk + 1) * len(CHUNK))
            if traffic.chunks:
                client.sendall(b"0\r\n\r\n")
            self._read_answer(client)

    def _read_answer(self, client: socket.socket) -> None:
        answer = b""
        while not answer.endswith(b"\r\n\r\nok"):
            try:
                data = client.recv(65536)
            except socket.timeout:
                data = b""
            if not data:
                raise Failed(f"Envoy did not answer: {answer[:200]!r}\n{self._tail()}")
            answer += data
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise Failed(f"Envoy answered {answer[:200]!r}\n{self._tail()}")

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            port = self._listener_port()
            if port:
                break
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"Envoy did not start:\n{self._tail()}")
            time.sleep(POLL_SECONDS)
        self._client = socket.create_connection((HOST, port), ANSWER_SECONDS)
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._client

    def _listener_port(self) -> Optional[int]:
        """The port that the listener got, once Envoy serves it."""
        with contextlib.suppress(OSError, ValueError, KeyError, IndexError, urllib.error.URLError):
            admin = "http://" + (self._directory / "admin").read_text("utf-8").strip()
            with urllib.request.urlopen(f"{admin}/ready", timeout=ANSWER_SECONDS) as answer:
                if b"LIVE" not in answer.read():
                    return None
            with urllib.request.urlopen(f"{admin}/listeners?format=json", timeout=ANSWER_SECONDS) as answer:
                status = json.load(answer)["listener_statuses"][0]
            return int(status["local_address"]["socket_address"]["port_value"])
        return None

    def _control(self, *arguments: str) -> None:
        command = ["callgrind_control", *arguments, str(self._process.pid)]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            raise Failed(f"{' '.join(command)}: {run.stderr.strip() or run.stdout.strip()}\n{self._tail()}")

    def _tail(self) -> str:
        lines = self._log.read_text("utf-8", "replace").splitlines()
        return "\n".join(f"  {line}" for line in lines if not line.startswith("=="))[-2000:]


@contextlib.contextmanager
def running(envoy: Path, bootstrap: dict[str, Any], upstream: Upstream) -> Iterator[Envoy]:
    """An Envoy that is stopped in the end, whatever happens."""
    with tempfile.TemporaryDirectory() as directory:
        process = Envoy(envoy, bootstrap, upstream, Path(directory))
        try:
            yield process
        finally:
            process.stop()
