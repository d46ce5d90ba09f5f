"""The example of a collector's configuration, in the real collector in front of a Jaeger."""

from __future__ import annotations

import atexit
import contextlib
import time
import unittest

from meshes import changed, demo_mesh, request
from servers import DIRECTORY, HOST, PROGRAMS, REPOSITORY, Jaeger, by_trace, free_ports, start
from trees import Span

EXAMPLE = REPOSITORY / "envoy/collector/collector.yaml"
ARRIVE_SECONDS = 30
POLL_SECONDS = 0.3


def collector(stack: contextlib.ExitStack, jaeger: Jaeger) -> int:
    """Starts a collector with the example, which decides quickly and keeps none of the others; returns its port for HTTP."""
    grpc = free_ports(2)
    changes = {
        "0.0.0.0:4317": f"{HOST}:{grpc}",
        "0.0.0.0:4318": f"{HOST}:{grpc + 1}",
        "jaeger-collector.tracing.svc:4317": f"{HOST}:{jaeger.grpc}",
        "decision_wait: 10s": "decision_wait: 2s",
        "sampling_percentage: 10 ": "sampling_percentage: 0 ",
        # It would take a fixed port for its own metrics.
        "service:\n": "service:\n  telemetry: { metrics: { level: none } }\n",
    }
    file = DIRECTORY / "example.yaml"
    file.write_text(changed(EXAMPLE.read_text("utf-8"), changes, EXAMPLE), "utf-8")
    start(stack, "collector", [str(PROGRAMS / "collector"), "--config", str(file)], grpc + 1)
    return grpc + 1


class ExampleCollector(unittest.TestCase):
    traces: dict[str, list[Span]]

    @classmethod
    def setUpClass(cls) -> None:
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        # An interrupt skips the line above.
        atexit.register(stack.close)
        jaeger = Jaeger(stack)
        edge = demo_mesh(stack, {"otlp": {"cluster": "otel_collector"}}, collector(stack, jaeger), False)
        # The application mangler is down.
        for path in ("/checkout", "/lossy", "/mangler"):
            request(edge, path)
        deadline = time.monotonic() + ARRIVE_SECONDS
        # Five spans of the one, and three of the other.
        while len(jaeger.spans()) < 8 and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        cls.traces = by_trace(jaeger.spans())

    def test_a_broken_context_and_a_failure_are_kept_and_nothing_else(self) -> None:
        paths = {span.attributes.get("url.path") for spans in self.traces.values() for span in spans if span.service == "edge"}
        self.assertEqual(paths - {None}, {"/lossy", "/mangler"})

    def test_the_kept_trace_is_complete(self) -> None:
        contexts = [
            [(span.service, span.kind, span.attributes.get("tracewarden.context")) for span in spans]
            for spans in self.traces.values()
        ]
        lossy = next(found for found in contexts if ("lossy", "client", "lost") in found)
        self.assertEqual({service for service, _, _ in lossy}, {"edge", "lossy", "checkout"})

    def test_what_must_not_go_to_the_backend_is_removed(self) -> None:
        names = {name for spans in self.traces.values() for span in spans for name in span.attributes}
        self.assertTrue("url.path" in names)
        self.assertEqual(names & {"user_agent.original", "client.address"}, set())
