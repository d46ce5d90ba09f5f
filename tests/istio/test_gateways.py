"""Tracewarden at Istio's gateways: `pilot-agent proxy router`, with the cases that docs/istio.md names for them."""

from __future__ import annotations

import contextlib
from typing import Iterator

from harness import (
    FETCHES, GATEWAY, OURS, Answer, Case, Object, Running, Workload, changed, context, eventually, image, mesh, received,
    render,
)  # fmt: skip

HOME = "gateways"
PORT, PARTNER_PORT = 8080, 8073
PARTNER = "partner.example"
IDS = ("traceresponse", "server-timing", "traceparent", "x-request-id")


def gateway(name: str, host: str, destination: Object) -> list[Object]:
    """A gateway for a host, and where its requests go."""
    servers = [{"port": {"number": PORT, "name": "http", "protocol": "HTTP"}, "hosts": [host]}]
    spec = {"hosts": [host], "gateways": [name], "http": [{"route": [{"destination": destination}]}]}
    return [
        {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": name},
         "spec": {"selector": {"istio": name}, "servers": servers}},
        {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": name}, "spec": spec},
    ]  # fmt: skip


class Gateways(Case):
    @classmethod
    def setUpClass(cls) -> None:
        mesh.prepare_namespace(HOME)

    @contextlib.contextmanager
    def ingress(self) -> Iterator[Running]:
        destination = {"host": "frontend.shop.svc.cluster.local", "port": {"number": 8080}}
        with self.router("ingressgateway", 31, gateway("ingressgateway", "*", destination)) as running:
            yield running

    @contextlib.contextmanager
    def router(self, name: str, number: int, objects: list[Object]) -> Iterator[Running]:
        mesh.cluster.apply(objects, HOME)
        work = Workload(name, number, namespace=HOME, kind="router", labels={"istio": name})
        try:
            with self.workload(work) as running:
                yield running
        finally:
            mesh.cluster.kubectl("-n", HOME, "delete", f"{OURS},gateways,virtualservices", "--all")

    def test_ingress_trusts_no_outsider_and_tells_none_an_id(self) -> None:
        for case in ("ingress", "trafficextension/ingress"):
            with self.subTest(case), self.ingress() as ingress:
                mesh.cluster.apply(render(case), HOME)
                eventually("the gateway counts", lambda: ingress.call("/", context()) and ingress.requests() > 0)
                before = ingress.requests(context="untrusted")
                sent = context()
                answer = ingress.call("/", {**sent, "baggage": "a=b", "tracestate": "x=y"})
                self.assertEqual(ingress.requests(context="untrusted"), before + 1)
                (at_frontend,) = received(answer, "frontend")
                self.assertNotEqual(at_frontend.split("-")[1], sent["traceparent"].split("-")[1])
                self.assertEqual(received(answer, "frontend", "baggage") + received(answer, "frontend", "tracestate"), [])
                self.assertEqual(told(answer), [])

    @contextlib.contextmanager
    def egress(self) -> Iterator[Running]:
        """A gateway to a partner outside of the mesh."""
        objects = gateway("egressgateway", PARTNER, {"host": PARTNER, "port": {"number": PARTNER_PORT}})
        ports = [{"number": PARTNER_PORT, "name": "http", "protocol": "HTTP"}]
        spec = {"hosts": [PARTNER], "ports": ports, "resolution": "STATIC", "endpoints": [{"address": GATEWAY}]}
        objects.append({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "partner"}, "spec": spec})
        partner = mesh.serve_application("partner", PARTNER_PORT)
        try:
            with self.router("egressgateway", 32, objects) as running:
                yield running
        finally:
            partner.stop()

    def test_egress_lets_no_context_out(self) -> None:
        for case in ("egress", "trafficextension/egress"):
            with self.subTest(case), self.egress() as egress:
                out = {"host": PARTNER, **context(), "baggage": "a=b", "b3": "0"}
                eventually("the partner answers", lambda: egress.call("/", out).status == 200)
                self.assertNotEqual(received(egress.call("/", out), "partner"), [])
                mesh.cluster.apply(render(case), HOME)
                eventually("no context leaves", lambda: received(egress.call("/", out), "partner") == [])
                answer = egress.call("/", out)
                left = [received(answer, "partner", name) for name in ("traceparent", "tracestate", "b3", "baggage")]
                self.assertEqual(left, [[], [], [], []])

    def test_a_strict_gateway_without_a_registry(self) -> None:
        """It refuses what it cannot judge; the case that is not strict lets it pass."""
        rows = (("ingress-strict", self.ingress, "frontend", 403), ("ingress", self.ingress, "frontend", 200),
                ("egress-strict", self.egress, PARTNER, 403), ("egress", self.egress, PARTNER, 200))  # fmt: skip
        for case, opened, host, expected in rows:
            with self.subTest(case), opened() as running:
                self.refuses_or_passes(running, case, {"host": host}, expected)

    def refuses_or_passes(self, running: Running, case: str, to: dict[str, str], expected: int) -> None:
        def answers(status: int) -> bool:
            return running.call("/", to).status == status

        eventually("requests are answered", lambda: answers(200))
        unknown = {"url": image("never"), "sha256": ""}
        mesh.cluster.apply(changed(render(case), lambda module: module.update(unknown)), HOME)
        eventually("the agent gives up", lambda: running.total(FETCHES, result="manifest_failure") > 0)
        eventually(f"requests are answered {expected}", lambda: answers(expected))
        mesh.cluster.apply(render(case), HOME)
        eventually("requests are counted", lambda: answers(200) and running.requests() > 0)


def told(answer: Answer) -> list[str]:
    """Which headers of a response tell an outsider an id."""
    return [name for name, _ in answer.headers if name in IDS]
