"""A live collector of spans for the benchmark, and an account of the spans that an Envoy made."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Iterator

from proxy import HOST, Envoy, Failed, ask, excerpt

# The numbers of the fields that lead from an upload (OTLP's ExportTraceServiceRequest) to its spans: `resource_spans`,
# `scope_spans`, `spans`.
SPANS = (1, 2, 2)

# A batch that is not full waits for five seconds, by everyone's default.
ACCOUNTED_SECONDS = 60.0
POLL_SECONDS = 0.1
# What a worker still does after its last span is accounted for: it reads the end of the answer.
REST_SECONDS = 0.3

# The names that everyone's account is given in.
COLUMNS = ("requests", "recorded", "exported", "dropped", "received", "uploads")


class Collector(ThreadingHTTPServer):
    """Answers every upload at once, and counts the spans in it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Upload)
        self.spans = 0
        self.uploads = 0
        self._changing = threading.Lock()

    def note(self, body: bytes) -> None:
        spans = _occurrences(body, SPANS)
        with self._changing:
            self.spans += spans
            self.uploads += 1


class _Upload(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Collector

    def do_POST(self) -> None:  # noqa: N802, the library's name
        body = self._body()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        # An empty message says that every span was taken.
        self.send_header("content-length", "0")
        self.end_headers()
        self.server.note(body)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers["content-length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_: object) -> None:
        """Uploads are counted, not printed."""


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class Account:
    """What becomes of the spans that one Envoy makes, by its own counters and by the collector's."""

    def __init__(self, envoy: Envoy, collector: Collector, exporter: str) -> None:
        self._envoy = envoy
        self._collector = collector
        self._ends = {"tracewarden": _tracewarden, "tracer": _tracer}[exporter]
        self._requests = 0
        self._begin = self._now()

    def tally(self) -> dict[str, int]:
        """What has happened since this account began, by the names of `COLUMNS`; a name that nobody counts is missing."""
        now = self._now()
        return {"requests": self._requests, **{name: now[name] - self._begin[name] for name in COLUMNS if name in now}}

    def _now(self) -> dict[str, int]:
        return {**self._ends(self._envoy), "received": self._collector.spans, "uploads": self._collector.uploads}

    def settle(self, requests: int) -> None:
        """Waits until the span of each of these further requests has arrived or is counted as dropped."""
        self._requests += requests
        deadline = time.monotonic() + ACCOUNTED_SECONDS
        while not _complete(tally := self.tally()):
            if time.monotonic() > deadline:
                found = ", ".join(f"{name} {count}" for name, count in tally.items())
                raise Failed(f"expected a span of each request at the collector: {found}\n{excerpt(self._envoy.log)}")
            time.sleep(POLL_SECONDS)
        time.sleep(REST_SECONDS)


def _complete(tally: dict[str, int]) -> bool:
    arrived = min(tally["exported"], tally["received"])
    return arrived + tally.get("dropped", 0) >= tally["requests"]


def _tracewarden(envoy: Envoy) -> dict[str, int]:
    ends = dict.fromkeys(("recorded", "exported", "dropped"), 0)
    # Each cause of drops has a counter of its own.
    for end, count in _counters(envoy, "tracewarden_spans_", r"tracewarden_spans_(\w+)_total"):
        ends[end] += count
    return ends


def _tracer(envoy: Envoy) -> dict[str, int]:
    """The tracer counts what it sends, and neither what it records nor what it loses."""
    return {"exported": sum(count for _, count in _counters(envoy, "tracing.opentelemetry", r"(spans_sent)"))}


def _counters(envoy: Envoy, filter: str, name: str) -> Iterator[tuple[str, int]]:
    """Envoy's counters whose names end like this expression, with what its group found."""
    for found in re.finditer(rf"{name}: (\d+)$", ask(envoy.admin, f"/stats?filter={filter}"), re.MULTILINE):
        yield found[1], int(found[2])


def _occurrences(message: bytes, path: tuple[int, ...]) -> int:
    """How many messages are at this path of field numbers in a protobuf message."""
    if not path:
        return 1
    return sum(_occurrences(value, path[1:]) for number, value in _messages(message) if number == path[0])


def _messages(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protobuf message that have a length, with their numbers."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            _, at = _varint(message, at)
            continue
        size, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if kind == 2:
            yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
