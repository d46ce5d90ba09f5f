"""Sends a case's requests to Envoy, and plays the upstream behind it."""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import threading
from typing import Iterator

from cases import CHUNK, TRACE_ID, Traffic
from proxy import HOST, Envoy, Failed, excerpt

ANSWER_SECONDS = 60.0


class Upstream(socketserver.ThreadingTCPServer):
    """Answers every request at once, and remembers the last."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Connection)
        self.head = b""
        self.body = 0
        self.changed = threading.Condition()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def note(self, head: bytes, body: int) -> None:
        with self.changed:
            self.head, self.body = head, body
            self.changed.notify_all()

    def await_body(self, size: int) -> None:
        """Waits until that much of the request's body has come through, so that chunks are not read together."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.body >= size, ANSWER_SECONDS):
                raise Failed("A chunk of a body never reached the upstream.")


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: Upstream

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                head = b"".join(self._lines())
                if not head:
                    return
                self.server.note(head, 0)
                if b"transfer-encoding: chunked" in head:
                    self._read_body(head)
                told = b"traceparent: %b\r\n" % header(head, "traceparent").encode() if b" /told " in head else b""
                self.wfile.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n%bcontent-length: 2\r\n\r\nok" % told
                )

    def _lines(self) -> Iterator[bytes]:
        """The lines of a head, without the empty one that ends it."""
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            yield line

    def _read_body(self, head: bytes) -> None:
        body = 0
        while size := int(self.rfile.readline(), 16):
            self.rfile.read(size + len(b"\r\n"))
            body += size
            self.server.note(head, body)
        self.rfile.readline()


@contextlib.contextmanager
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def header(head: bytes, name: str) -> str:
    """The value of a header in a head, or nothing."""
    match = re.search(rf"^{re.escape(name)}: *(.*?)\r?$", head.decode("latin-1"), re.MULTILINE | re.IGNORECASE)
    return match[1] if match else ""


def outcome(head: bytes, traffic: Traffic) -> str:
    """What became of the request's context: `same`, `child`, `sampled child`, `root` or `none`."""
    value = header(head, "traceparent")
    if not value:
        return "none"
    if value == traffic.traceparent:
        return "same"
    if TRACE_ID not in value:
        return "root"
    sampled = traffic.traceparent is not None and traffic.traceparent[-2:] == "00" and value[-1] in "13"
    return "sampled child" if sampled else "child"


class Client:
    """One connection to an Envoy in front of that upstream."""

    def __init__(self, envoy: Envoy, upstream: Upstream) -> None:
        self._envoy = envoy
        self._upstream = upstream
        self._connection = socket.create_connection((HOST, envoy.port()), ANSWER_SECONDS)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, traffic: Traffic, size: str, requests: int) -> None:
        """Sends requests, one after the other's answer."""
        head = traffic.head(size)
        for _ in range(requests):
            # The next request's body starts at zero.
            self._upstream.note(b"", 0)
            self._connection.sendall(head)
            for chunk in range(traffic.chunks):
                self._connection.sendall(b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK))
                self._upstream.await_body((chunk + 1) * len(CHUNK))
            if traffic.chunks:
                self._connection.sendall(b"0\r\n\r\n")
            self._read_answer()

    def check(self, traffic: Traffic, sent: str) -> None:
        """Refuses if the upstream did not receive the context that it should."""
        found = outcome(self._upstream.head, traffic)
        if found != sent:
            raise self._failed(f"the upstream received a traceparent that is '{found}', not '{sent}':")

    def _read_answer(self) -> None:
        answer = b""
        while not answer.endswith(b"\r\n\r\nok"):
            data = b""
            with contextlib.suppress(socket.timeout):
                data = self._connection.recv(65536)
            if not data:
                raise self._failed(f"Envoy did not answer: {answer[:200]!r}")
            answer += data
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise self._failed(f"Envoy answered {answer[:200]!r}")

    def _failed(self, why: str) -> Failed:
        return Failed(f"{why}\n{excerpt(self._envoy.log)}")
