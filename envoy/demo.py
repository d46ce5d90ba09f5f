#!/usr/bin/env python3
"""Serves the three applications of Tracewarden's demo mesh on loopback.

  checkout  GET /checkout  forwards the trace context and calls lossy's /stock
  lossy     GET /lossy     forgets the trace context and calls checkout's /price
  mangler   GET /mangler   upper-cases the traceparent and calls checkout's /price

The applications listen on PORT+7 (checkout), PORT+8 (lossy), PORT+9 (mangler), and call out through Envoy on PORT+2,
PORT+4, PORT+6. Each answers with what it received, what it sent on and what came back.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import socketserver
import sys
import threading
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Callable, Optional

from proxy import HOST, Failed, exit_status, port_number

DEFAULT_BASE_PORT = 10000
LAST_PORT = 9
CALL_SECONDS = 5.0
REPLY_LIMIT = 64 * 1024

REQUEST_ID = "x-request-id"
PROPAGATED = ("traceparent", "tracestate", REQUEST_ID)
SHOWN = ("traceparent", "tracestate", "b3", REQUEST_ID)

# Values are bytes, whatever a client put there.
Headers = list[tuple[str, bytes]]


def forward(received: Headers) -> Headers:
    """As an instrumented service does."""
    return received


def forget(received: Headers) -> Headers:
    """As a service does whose HTTP client is not instrumented."""
    return [(name, value) for name, value in received if name == REQUEST_ID]


def mangle(received: Headers) -> Headers:
    """As a service does whose own code treats ids as upper-case hex; W3C allows lower case only."""
    return [(name, value.upper() if name == "traceparent" else value) for name, value in received]


@dataclass(frozen=True)
class Service:
    """One service. Its ports count from the mesh's base port, and it is called at the path of its name."""

    name: str
    does: str
    propagate: Callable[[Headers], Headers]
    port: int
    # The Envoy listener that it makes its calls through.
    outbound: int
    # The service that it calls, and the path.
    calls: tuple[str, str]
    # The path that it answers alone.
    leaf: Optional[str] = None


SERVICES = (
    Service("checkout", "forwards the trace context", forward, 7, 2, ("lossy", "/stock"), "/price"),
    Service("lossy", "forgets the trace context", forget, 8, 4, ("checkout", "/price"), "/stock"),
    Service("mangler", "upper-cases the traceparent", mangle, 9, 6, ("checkout", "/price")),
)


class Application(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: Service, base_port: int) -> None:
        self.service = service
        self.outbound = base_port + service.outbound
        port = base_port + service.port
        try:
            super().__init__((HOST, port), Exchange)
        except OSError as error:
            raise Failed(f"cannot serve {service.name} on {HOST}:{port}: {error.strerror}") from None


class Exchange(BaseHTTPRequestHandler):
    """A request, and the story of it that answers it."""

    server: Application
    protocol_version = "HTTP/1.1"
    # Buffered, so that an answer is one packet.
    wbufsize = -1

    def respond(self) -> None:
        self._discard_body()
        service, path = self.server.service, self.path.partition("?")[0]
        story = [f"{service.name} received {path} with", *described(lines_of(self.headers, SHOWN))]
        status = 200
        if path == f"/{service.name}":
            failure = self._call_on(story)
            if failure:
                story.append(f"{service.name}'s call failed: {failure}")
                status = 502
        elif path != service.leaf:
            story = [f"no such path here: try /{service.name}"]
            status = 404
        self._answer(status, "".join(f"{line}\n" for line in story).encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = respond

    def _discard_body(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if "transfer-encoding" in self.headers:
            self.close_connection = True

    def _call_on(self, story: list[str]) -> Optional[str]:
        """Makes the service's own call, and tells of it; returns why it failed."""
        service, outbound = self.server.service, self.server.outbound
        host, path = service.calls
        headers = service.propagate(lines_of(self.headers, PROPAGATED))
        story += [f"{service.name} {service.does} and called http://{host}{path} with", *described(headers)]
        try:
            status, body = call(outbound, host, path, headers)
        except (OSError, ValueError, http.client.HTTPException) as error:
            return f"no answer through the outbound listener {HOST}:{outbound}: {error}"
        story += [f"    {harmless(line)}" for line in body.decode("utf-8", "replace").split("\n") if line]
        return None if status < 300 else f"{host} answered {status}"

    def _answer(self, status: int, text: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Envoy's access log has every request."""


def call(port: int, host: str, path: str, headers: Headers) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=CALL_SECONDS)
    with contextlib.closing(connection):
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in [("host", host.encode()), *headers]:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read(REPLY_LIMIT + 1)
        if len(body) > REPLY_LIMIT:
            raise http.client.HTTPException(f"more than {REPLY_LIMIT} bytes")
        return answer.status, body


def lines_of(message: Message, names: tuple[str, ...]) -> Headers:
    """Every line of these headers."""
    return [(name, value.encode("latin-1")) for name in names for value in message.get_all(name, [])]


def described(headers: Headers) -> list[str]:
    return [f"  {name}: {printable(value)}" for name, value in headers] or ["  no trace header at all"]


def printable(value: bytes) -> str:
    """The value as it is, or with every byte escaped that is more than plain text."""
    text = value.decode("latin-1")
    return text if text.isascii() and text.isprintable() else text.encode("unicode_escape").decode()


def harmless(line: str) -> str:
    """The line without what a terminal would obey."""
    return "".join(character if character.isprintable() else "\ufffd" for character in line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    first = f"the mesh's first port (default: {DEFAULT_BASE_PORT})"
    parser.add_argument("--base-port", type=port_number, default=DEFAULT_BASE_PORT, metavar="PORT", help=first)
    base_port = parser.parse_args().base_port
    if base_port + LAST_PORT > 65535:
        parser.error(f"--base-port must be 1 to {65535 - LAST_PORT}")
    servers = [Application(service, base_port) for service in SERVICES]
    first, last = (base_port + SERVICES[place].port for place in (0, -1))
    print(f"The applications listen on {HOST}:{first} to {last}.", flush=True)
    threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(exit_status("tracewarden-demo", main))
