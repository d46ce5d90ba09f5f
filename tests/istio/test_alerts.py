"""The rules in a Prometheus that finds the proxies by Kubernetes' own discovery."""

from __future__ import annotations

import json
from urllib.parse import quote

from harness import (
    HOST, Case, Load, Object, Workload, changed, context, eventually, file_url, image, mesh, only_for, render,
)  # fmt: skip


def query(path: str) -> Object:
    answer = mesh.lab.ask(HOST, 9090, f"/api/v1/{path}")
    assert answer.status == 200, answer
    return json.loads(answer.text)["data"]


def alerts() -> set[tuple[str, str, str]]:
    """The name, workload and severity of each alert that is pending or fires."""
    found = [alert["labels"] for alert in query("alerts")["alerts"]]
    return {(one["alertname"], one.get("workload", ""), one["severity"]) for one in found}


def value(expression: str) -> float:
    """The sum of what an expression gives."""
    return sum(float(one["value"][1]) for one in query(f"query?query={quote(expression)}")["result"])


class Alerts(Case):
    def test_discovery_names_the_workloads(self) -> None:
        def found() -> set[tuple[str, str, str]]:
            labels = [(target["labels"], target["health"]) for target in query("targets")["activeTargets"]]
            return {(one["namespace"], one["workload"], health) for one, health in labels}

        expected = {("shop", workload, "up") for workload in mesh.workloads}
        eventually("every proxy is a target, with its names", lambda: found() == expected)

    def test_a_loss_is_blamed_on_its_application(self) -> None:
        """I22: pending within two minutes for checkout, and for no other application."""
        self.deploy(render("sidecar-observe"))
        blamed = ("TracewardenTraceLossByApplication", "checkout", "warning")
        with Load(every=0.1, path="/?forget=checkout"):
            eventually("checkout is blamed", lambda: blamed in alerts(), 120)
            of_applications = ("TracewardenTraceLossByApplication", "TracewardenTraceTorn")
            named = {alert for alert in alerts() if alert[0] in of_applications}
        self.assertEqual(named, {blamed})

    def test_an_agent_that_could_not_pull_is_named_till_it_could(self) -> None:
        self.is_named_till_mended("TracewardenNotPulled", url=image("never"), sha256="")

    def test_a_proxy_that_can_not_create_the_plugin_is_named(self) -> None:
        self.is_named_till_mended("TracewardenRejected", url=file_url("damaged"), sha256="")

    def is_named_till_mended(self, alert: str, **broken: str) -> None:
        named = (alert, "cart", "critical")
        with self.workload(Workload("cart", 21)) as cart:
            self.apply(only_for("cart", changed(render("sidecar-observe"), lambda one: one.update(broken))))
            eventually("cart is named", lambda: named in alerts(), 90)
            self.apply(only_for("cart", render("sidecar-observe")))
            eventually("cart counts", lambda: cart.call("/").status == 200 and cart.requests())
            eventually("cart is no longer named", lambda: named not in alerts(), 90)

    def test_two_plugins_of_both_kinds_are_told(self) -> None:
        with self.workload(Workload("cart", 21)) as cart:
            for case in ("sidecar-observe", "trafficextension/sidecar-observe"):
                self.apply(only_for("cart", render(case)))
            twice = ("TracewardenCountsTwice", "cart", "warning")
            eventually("cart is told", lambda: cart.call("/", context()) and twice in alerts(), 120)

    def test_labels_are_cut_out_at_the_scrape(self) -> None:
        """Without `mesh` they are a part of the names that the proxy shows."""
        with self.workload(Workload("cart", 21, proxy_config={"extraStatTags": ["none"]})) as cart:
            self.apply(only_for("cart", render("sidecar-observe")))
            found = 'tracewarden_requests_total{workload="cart",direction="inbound",mode="observe",context="continued"}'
            eventually("Prometheus has the labels", lambda: cart.call("/", context()) and value(found) > 0, 60)
            self.assertRegex(cart.stats(), r"(?m)^direction___inbound___.*tracewarden_requests_total")
