#!/usr/bin/env python3
"""A service of the lab: it answers GET with what it received, and calls the next service with what it received.

The query says which service makes which mistake: `?forget=checkout` lets checkout forget the trace context on its way out,
`?mangle=checkout` lets it write the traceparent in upper case. The answer is JSON: a list with an entry for each service.
"""

from __future__ import annotations

import http.client
import json
import socketserver
import sys
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

PORT = 8080
CALL_SECONDS = 10
PROPAGATED = ("traceparent", "tracestate", "b3", "x-request-id")
SHOWN = (*PROPAGATED, "baggage")


# Not an `HTTPServer`, which asks a name server for its name.
class Service(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, following: str = "", port: str = str(PORT)) -> None:
        self.name = name
        self.following = following
        super().__init__(("", int(port)), Exchange)


class Exchange(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        received = [(name, value) for name in SHOWN for value in self.headers.get_all(name, [])]
        story = [{"service": self.server.name, "received": received}]
        status = 200
        if self.server.following:
            try:
                status = self._call(received, story)
            except (OSError, ValueError, http.client.HTTPException) as error:
                status = 502
                story.append({"service": self.server.following, "failed": str(error)})
        text = json.dumps(story).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _call(self, received: list[tuple[str, str]], story: list[dict[str, object]]) -> int:
        connection = http.client.HTTPConnection(self.server.following, PORT, timeout=CALL_SECONDS)
        connection.putrequest("GET", self.path)
        for name, value in self._sent(received):
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        # What is not the next service's answer is a proxy's.
        if answer.status == 200:
            story += json.loads(text)
        else:
            story.append({"service": self.server.following, "failed": f"{answer.status} {text.decode('latin-1')}"})
        return 200 if answer.status == 200 else 502

    def _sent(self, received: list[tuple[str, str]]) -> list[tuple[str, str]]:
        mistakes = dict(parse_qsl(urlsplit(self.path).query))
        sent = [(name, value) for name, value in received if name in PROPAGATED]
        if mistakes.get("forget") == self.server.name:
            return [(name, value) for name, value in sent if name == "x-request-id"]
        if mistakes.get("mangle") == self.server.name:
            return [(name, value.upper() if name == "traceparent" else value) for name, value in sent]
        return sent

    def log_message(self, *_: object) -> None:
        """The proxy logs requests."""


if __name__ == "__main__":
    # The name, the service that it calls, if it calls one, and another port than the usual.
    Service(*sys.argv[1:]).serve_forever()
