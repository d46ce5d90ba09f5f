"""What each backend makes of the demo mesh's spans: one answered request, and one whose application is down.

The spans are asked back from the backend. The printed trees are those of docs/spans.md.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import sys
import time
import unittest
from typing import Any, ClassVar

from meshes import SPAN_ID, TRACE_ID, Exchanged, demo_mesh, request
from servers import REPOSITORY, Collector, Jaeger, Rotel, Zipkin, by_trace
from trees import Span, tree

ARRIVE_SECONDS = 30
POLL_SECONDS = 0.3

ANSWERED = f"""\
edge server: GET /checkout, /checkout, 200, link to {TRACE_ID} {SPAN_ID}
  edge client: GET /checkout, http://shop.example/checkout, 200
    checkout server: GET, /checkout, 200
      checkout client: GET, http://lossy/stock, 200
        lossy server: GET, /stock, 200"""

FAILED = f"""\
edge server: GET /mangler, /mangler, 503, error, link to {TRACE_ID} {SPAN_ID}
  edge client: GET /mangler, http://shop.example/mangler, 503, error
    mangler server: GET, /mangler, 503, error"""


class Backend:
    """The tests of a backend, whose class says how it is started and how the mesh exports to it."""

    server: ClassVar[type]
    export: ClassVar[dict[str, Any]] = {"otlp": {"cluster": "otel_collector"}}
    grpc: ClassVar[bool] = False

    @classmethod
    def setUpClass(cls) -> None:
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        # An interrupt skips the line above.
        atexit.register(stack.close)
        cls.backend = cls.server(stack)
        edge = demo_mesh(stack, cls.export, cls.backend.grpc if cls.grpc else cls.backend.http, cls.grpc)
        cls.answered, cls.failed = request(edge, "/checkout"), request(edge, "/mangler")
        cls.traces = cls.arrived()

    @classmethod
    def arrived(cls) -> dict[str, list[Span]]:
        """The traces, once there are two and all their spans; otherwise what there is in the end."""
        deadline = time.monotonic() + ARRIVE_SECONDS
        while True:
            traces = by_trace(cls.backend.spans())
            if sum(map(len, traces.values())) == 8 or time.monotonic() > deadline:
                return traces
            time.sleep(POLL_SECONDS)

    def expected(self, whole: str) -> str:
        """The tree that this backend has."""
        return whole

    def trace(self, exchanged: Exchanged) -> list[Span]:
        """The spans of a request. The application that is down tells no trace-id."""
        wanted = self.answered.received["checkout"].split("-")[1]
        return next(spans for trace_id, spans in self.traces.items() if (trace_id == wanted) == (exchanged is self.answered))

    def test_each_request_is_one_trace(self) -> None:
        self.assertEqual((self.answered.status, self.failed.status), (200, 503))
        self.assertEqual(sorted(map(len, self.traces.values())), [3, 5], self.traces)
        self.assertIn(self.answered.received["checkout"].split("-")[1], self.traces)
        self.assertNotIn(TRACE_ID, self.traces)

    def test_every_parent_is_in_the_trace(self) -> None:
        for exchanged, whole in ((self.answered, ANSWERED), (self.failed, FAILED)):
            spans = self.trace(exchanged)
            ids = [span.span_id for span in spans]
            self.assertEqual(len(set(ids)), len(ids))
            self.assertEqual([span.parent_id for span in spans if span.parent_id not in ids], [""])
            print(f"\n{tree(spans)}", file=sys.stderr)
            self.assertEqual(tree(spans), self.expected(whole))

    def test_the_parent_is_what_the_application_received(self) -> None:
        for application in ("checkout", "lossy"):
            (span,) = [one for one in self.trace(self.answered) if (one.service, one.kind) == (application, "server")]
            _, trace_id, parent_id, _ = self.answered.received[application].split("-")
            # The id of the proxy's own server span is the parent-id that it writes for the application.
            self.assertEqual((span.trace_id, span.span_id), (trace_id, parent_id))

    def test_attributes(self) -> None:
        server, client = self.trace_by("edge", "server"), self.trace_by("checkout", "client")
        found = {name: server.attributes.get(name) for name in ("http.request.method", "url.path", "http.route", "url.scheme")}
        self.assertEqual(found, {"http.request.method": "GET", "url.path": "/checkout", "http.route": "/checkout", "url.scheme": "http"})
        self.assertEqual(server.attributes["user_agent.original"], "backends/1.0")
        self.assertEqual((client.attributes["url.full"], client.attributes["server.address"]), ("http://lossy/stock", "lossy"))
        self.assertEqual({one.attributes["http.response.status_code"] for one in self.trace(self.answered)}, {"200"})

    def trace_by(self, service: str, kind: str) -> Span:
        return next(span for span in self.trace(self.answered) if (span.service, span.kind) == (service, kind))

    def test_a_failed_request_is_an_error(self) -> None:
        self.assertEqual({(span.error, span.attributes.get("error.type")) for span in self.trace(self.failed)}, {(True, "503")})
        self.assertEqual({(span.error, span.attributes.get("error.type")) for span in self.trace(self.answered)}, {(False, None)})

    def test_the_replaced_context_is_a_link(self) -> None:
        for exchanged in (self.answered, self.failed):
            found = {(span.service, span.kind): span.links for span in self.trace(exchanged) if span.links}
            self.assertEqual(found, {("edge", "server"): ((TRACE_ID, SPAN_ID),)})

    def test_what_became_of_a_context_can_be_searched(self) -> None:
        """The edge trusts nobody, and the applications lose nothing."""
        if not hasattr(self.backend, "search"):
            self.assertEqual(self.trace_by("edge", "server").attributes["tracewarden.context"], "untrusted")
            return
        self.assertEqual(self.backend.search("edge", "tracewarden.context", "untrusted"), set(self.traces))
        self.assertEqual(self.backend.search("edge", "tracewarden.context", "lost"), set())

    def test_the_document_shows_its_trees(self) -> None:
        document = (REPOSITORY / "docs/spans.md").read_text("utf-8")
        for whole in (ANSWERED, FAILED):
            self.assertTrue(self.expected(whole) in document, f"docs/spans.md lacks this tree:\n{self.expected(whole)}")


class JaegerOverHttp(Backend, unittest.TestCase):
    server = Jaeger


class JaegerOverGrpc(Backend, unittest.TestCase):
    server = Jaeger
    export = {"otlp": {"cluster": "otel_collector", "protocol": "grpc"}}
    grpc = True


class CollectorOverHttp(Backend, unittest.TestCase):
    server = Collector


class CollectorOverGrpc(JaegerOverGrpc):
    server = Collector


class RotelOverHttp(Backend, unittest.TestCase):
    server = Rotel


class ZipkinJson(Backend, unittest.TestCase):
    server = Zipkin
    export = {"zipkin": {"cluster": "otel_collector"}}

    def expected(self, whole: str) -> str:
        """Zipkin writes names in lower case. Its JSON has no links."""
        return whole.replace(": GET", ": get").replace(f", link to {TRACE_ID} {SPAN_ID}", "")

    def test_the_replaced_context_is_a_link(self) -> None:
        """Zipkin's JSON has no links: the replaced context is nowhere in what the server has."""
        self.assertNotIn(TRACE_ID, json.dumps(self.backend.answer()))
