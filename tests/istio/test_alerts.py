"""The rules in a Prometheus that finds the proxies by Kubernetes' own discovery."""

from __future__ import annotations

import json
from urllib.parse import quote

from harness import Case, Load, Object, eventually, mesh, render


def query(path: str) -> Object:
    answer = mesh.lab.ask("127.0.0.1", 9090, f"/api/v1/{path}")
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
        """I22: pending within two minutes, as critical for checkout, and as critical for nobody else."""
        self.deploy(render("sidecar-observe"))
        blamed = ("TracewardenTraceLossByApplication", "checkout", "critical")
        with Load(every=0.1, path="/?forget=checkout"):
            eventually("checkout is blamed", lambda: blamed in alerts(), 120)
            critical = {(name, workload) for name, workload, severity in alerts() if severity == "critical"}
        self.assertEqual(critical, {blamed[:2]})
