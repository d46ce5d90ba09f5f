"""Spans in Jaeger, Istio's own tracer next to Tracewarden, and trust by the identities of Istio's CA."""

from __future__ import annotations

import json

from harness import (
    CORRUPT, HOST, Case, Counts, Object, Workload, changed, context, eventually, mesh, received, render,
)  # fmt: skip

COLLECTOR = {"name": "otel", "opentelemetry": {"service": "otel-collector.observability.svc.cluster.local", "port": 4317}}


def telemetry(**tracing: object) -> list[Object]:
    """Istio's own tracer, which reports every request."""
    spec = {"tracing": [{"providers": [{"name": "otel"}], "randomSamplingPercentage": 100, **tracing}]}
    return [{"apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry", "metadata": {"name": "tracewarden"}, "spec": spec}]


def spans(trace_id: str) -> list[Object]:
    """The spans of a trace in Jaeger, a parent before its children."""
    answer = mesh.lab.ask(HOST, 16686, f"/api/traces/{trace_id}")
    if answer.status != 200:
        return []
    found = {span["spanID"]: span for trace in json.loads(answer.text)["data"] for span in trace["spans"]}
    for span in found.values():
        process = span["processID"]
        span["parent"] = next((one["spanID"] for one in span["references"]), None)
        span["kind"] = next(tag["value"] for tag in span["tags"] if tag["key"] == "span.kind")
        span["process"] = process
    return list(found.values())


def trace_of(sent: dict[str, str]) -> tuple[str, str]:
    _, trace_id, parent_id, _ = sent["traceparent"].split("-")
    return trace_id, parent_id


class Spans(Case):
    def test_a_trace_of_three_proxies(self) -> None:
        """I15."""
        self.deploy(render("sidecar-spans"))
        sent = context()
        self.assertEqual(mesh.request("/", sent).status, 200)
        trace_id, parent = trace_of(sent)
        eventually("Jaeger has five spans", lambda: len(spans(trace_id)) == 5)
        found = {span["parent"]: span for span in spans(trace_id)}
        kinds = []
        while parent in found:
            kinds.append(found[parent]["kind"])
            parent = found[parent]["spanID"]
        self.assertEqual(kinds, ["server", "client", "server", "client", "server"])

    def test_every_span_arrives(self) -> None:
        self.deploy(render("sidecar-spans"))
        sent = [context() for _ in range(30)]
        for one in sent:
            mesh.request("/", one)
        eventually("Jaeger has every span", lambda: [len(spans(trace_of(one)[0])) for one in sent] == [5] * 30)


class NextToIstio(Case):
    def setUp(self) -> None:
        super().setUp()
        self.provide_tracer()

    def provide_tracer(self) -> None:
        """Adds Istio's tracer to the mesh's configuration, a file that istiod watches."""
        file = mesh.directory / "mesh.yaml"
        before = file.read_text("utf-8")
        self.addCleanup(file.write_text, before, "utf-8")
        file.write_text(before.replace("extensionProviders:\n", f"extensionProviders:\n- {json.dumps(COLLECTOR)}\n"), "utf-8")

    def tracer_writes(self) -> bool:
        """Whether a tracer gave the request a span, and thus a parent-id of its own."""
        sent = context()
        return received(mesh.request("/", sent), "frontend") != [sent["traceparent"]]

    def test_istio_s_tracer_writes_after_an_observing_filter(self) -> None:
        """I16: a parent-id of its own; a corrupt context goes on untouched."""
        self.apply(telemetry())
        eventually("Istio's tracer writes", self.tracer_writes, 60)
        self.deploy(render("sidecar-observe"))
        sent = context()
        answer = mesh.request("/", sent)
        (at_stock,) = received(answer, "stock")
        self.assertEqual(at_stock.split("-")[1], trace_of(sent)[0])
        self.assertNotEqual(at_stock.split("-")[2], trace_of(sent)[1])
        broken = sent["traceparent"][:-3]
        self.assertEqual(received(mesh.request("/", {"traceparent": broken}), "frontend"), [broken])

    def test_the_overlay_telemetry_takes_istio_s_tracer_away(self) -> None:
        """I17."""
        self.apply(telemetry())
        eventually("Istio's tracer writes", self.tracer_writes, 60)
        self.apply(render("telemetry"))
        eventually("no tracer writes", lambda: not any(self.tracer_writes() for _ in range(5)), 60)
        for workload in mesh.workloads.values():
            # Listeners that drain may still have one.
            listeners = json.loads(workload.admin("/config_dump?resource=dynamic_listeners"))["configs"]
            tracers = [one["name"] for one in listeners if "envoy.tracers" in json.dumps(one.get("active_state"))]
            self.assertEqual(tracers, [], workload.workload.name)

    def test_istio_s_spans_go_on_and_the_headers_are_tracewarden_s(self) -> None:
        """I18: what `disableContextPropagation` is for."""
        self.apply(telemetry(disableContextPropagation=True))
        self.deploy(render("sidecar-enforce"))
        sent = context()
        eventually("Jaeger has Istio's spans", lambda: mesh.request("/", sent) and len(spans(trace_of(sent)[0])) >= 5, 60)
        self.assertEqual(received(mesh.request("/", sent), "stock"), [sent["traceparent"]])
        self.assertEqual(received(mesh.request("/", CORRUPT), "frontend"), [])


def trusting(*identities: str) -> list[Object]:
    """The plugins, which trust these identities alone."""
    trust = {"default": "untrusted", "trusted": [{"san": f"spiffe://cluster.local/ns/{one}"} for one in identities]}

    def change(module: Object) -> None:
        if module["pluginConfig"]["direction"] == "inbound":
            module["pluginConfig"]["trust"] = trust

    return changed(render("sidecar-enforce"), change)


class Trust(Case):
    def test_only_the_named_caller_is_trusted(self) -> None:
        """I19: others count as `untrusted`, and their context ends there."""
        self.deploy(trusting("shop/sa/frontend"))
        counts = Counts.begin()
        for _ in range(10):
            mesh.request("/", context())
        found = {(workload, kind): count for (workload, way, _, kind), count in counts.since().items() if way == "inbound"}
        # Nothing reaches checkout with a context: the frontend's own caller is not trusted.
        self.assertEqual(found, {("frontend", "untrusted"): 10, ("checkout", "lost"): 10, ("stock", "lost"): 10})

    def test_callers_of_two_namespaces(self) -> None:
        mesh.prepare_namespace("jobs")
        with self.workload(Workload("batch", 23, namespace="jobs", calls="checkout.shop")) as batch:
            self.apply(trusting("shop/sa/frontend", "jobs/sa/batch"))
            eventually("checkout continues what batch sends", lambda: self.verdict(batch) == {"continued"})
            self.apply(trusting("shop/sa/frontend"))
            eventually("checkout no longer trusts batch", lambda: self.verdict(batch) == {"untrusted"})

    @staticmethod
    def verdict(batch) -> set[str]:
        counts = Counts.begin()
        sent = context()
        answer = batch.call("/", sent)
        assert answer.status == 200, answer
        return {kind for (workload, way, _, kind) in counts.since() if (workload, way) == ("checkout", "inbound")}
