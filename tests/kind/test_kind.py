"""What Tracewarden counts and changes in Istio's own proxies: in sidecars, and at a waypoint. `run.sh` starts what this asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import unittest
from collections import Counter
from pathlib import Path
from typing import Callable

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / place) for place in ("envoy", "envoy/local", "tests/labs")]

from counters import REQUESTS, parse_series
from lab import Answer
from traffic import CORRUPT, context, received

SIDECARS, AMBIENT = "sidecars", "ambient"
PASSES = {("frontend", "inbound"), ("frontend", "outbound"), ("checkout", "inbound"), ("checkout", "outbound"), ("stock", "inbound")}
SETTLED_SECONDS = 120
# Every request has a connection of its own: one that is open goes on through the filters that it began with.
REQUEST = """
import json, sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(urllib.request.Request("http://frontend:8080" + sys.argv[1], headers=json.loads(sys.argv[2])), timeout=20)
    print(json.dumps([answer.status, answer.read().decode()]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, error.read().decode()]))
"""
Passes = dict[tuple[str, str, str, str], float]


def kubectl(*arguments: str, text: str = "") -> str:
    return subprocess.run(["kubectl", *arguments], input=text, check=True, capture_output=True, text=True, timeout=120).stdout


def request(namespace: str, path: str = "/", headers: dict[str, str] | None = None) -> Answer:
    command = ("python3", "-c", REQUEST, path, json.dumps(headers or {}))
    status, text = json.loads(kubectl("exec", "--namespace", namespace, "deployment/client", "--container", "application", "--", *command))
    return Answer(status, [], text)


def stats(namespace: str) -> dict[str, str]:
    """What the agent of each proxy serves, by the workload's name."""
    pods = json.loads(kubectl("get", "pods", "--namespace", namespace, "--output", "json"))["items"]
    found = {}
    for pod in pods:
        labels, name = pod["metadata"]["labels"], pod["metadata"]["name"]
        workload = labels.get("app", labels.get("gateway.networking.k8s.io/gateway-name"))
        # In an ambient mesh only the waypoint has a proxy.
        if namespace == SIDECARS or "app" not in labels:
            found[workload] = kubectl("get", "--raw", f"/api/v1/namespaces/{namespace}/pods/{name}:15020/proxy/stats/prometheus")
    return found


def passes(namespace: str) -> Passes:
    """The requests that Tracewarden counted, by workload, direction, mode and context."""
    found: Counter[tuple[str, str, str, str]] = Counter()
    for workload, page in stats(namespace).items():
        for one in parse_series(page):
            if one.name == REQUESTS:
                found[workload, one.labels["direction"], one.labels["mode"], one.labels["context"]] += one.value
    return dict(found)


def gained(namespace: str, before: Passes) -> Passes:
    return {key: more for key, value in passes(namespace).items() if (more := value - before.get(key, 0))}


def apply(namespace: str, case: str) -> None:
    """Applies a case of envoy/istio with the image of this work tree."""
    index = json.loads((REPOSITORY / "target/image/compat/index.json").read_text("utf-8"))
    image = {"url": os.environ["IMAGE"], "sha256": index["manifests"][0]["digest"].removeprefix("sha256:")}
    text = kubectl("kustomize", str(REPOSITORY / "envoy/istio" / case))
    items = json.loads(kubectl("apply", "--dry-run=client", "--validate=false", "--output", "json", "--filename", "-", text=text))
    objects = items["items"] if items["kind"] == "List" else [items]
    for one in objects:
        one["spec"].update(image)
    kubectl("apply", "--namespace", namespace, "--filename", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def eventually(what: str, check: Callable[[], object]) -> None:
    deadline = time.monotonic() + SETTLED_SECONDS
    while not check():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(1)


class Kind(unittest.TestCase):
    namespace = SIDECARS

    def await_passes(self, mode: str, places: set[tuple[str, str]]) -> None:
        def counted() -> bool:
            before = passes(self.namespace)
            request(self.namespace, "/", context())
            found = gained(self.namespace, before)
            # The client's own sidecar counts, too.
            return {(*key[:3],) for key in found if key[0] != "client"} == {(*place, mode) for place in places}

        eventually(f"every proxy counts in the mode {mode}", counted)

    def assert_gained(self, before: Passes, expected: dict[str, int], places: set[tuple[str, str]], mode: str) -> None:
        wanted = {(*place, mode, verdict): float(count) for place in places for verdict, count in expected.items()}
        found = {key: value for key, value in gained(self.namespace, before).items() if key[0] != "client"}
        self.assertEqual(found, wanted)


class Sidecars(Kind):
    def tearDown(self) -> None:
        kubectl("delete", "wasmplugins", "--all", "--namespace", SIDECARS)

    def test_observe_counts_each_request_and_touches_none(self) -> None:
        apply(SIDECARS, "sidecar-observe")
        self.await_passes("observe", PASSES)
        before = passes(SIDECARS)
        for _ in range(5):
            sent = context()
            answer = request(SIDECARS, "/", sent)
            for service in ("frontend", "checkout", "stock"):
                self.assertEqual(received(answer, service), [sent["traceparent"]])
            self.assertEqual(received(request(SIDECARS, "/", CORRUPT), "stock"), [CORRUPT["traceparent"]])
            self.assertEqual(received(request(SIDECARS), "frontend"), [])
        self.assert_gained(before, {"continued": 5, "corrupt": 5, "lost": 5}, PASSES, "observe")

    def test_enforce_removes_what_is_corrupt(self) -> None:
        apply(SIDECARS, "sidecar-enforce")
        self.await_passes("enforce", PASSES)
        self.assertEqual(received(request(SIDECARS, "/", CORRUPT), "frontend"), [])

    def test_a_service_that_forgets_the_context_is_the_one_that_loses_it(self) -> None:
        apply(SIDECARS, "sidecar-observe")
        self.await_passes("observe", PASSES)
        before = passes(SIDECARS)
        request(SIDECARS, "/?forget=checkout", context())
        lost = {key[:2] for key in gained(SIDECARS, before) if key[3] == "lost"}
        self.assertEqual(lost, {("checkout", "outbound"), ("stock", "inbound")})

    def test_istio_counts_the_requests_beside_it(self) -> None:
        apply(SIDECARS, "sidecar-observe")
        self.await_passes("observe", PASSES)
        self.assertIn("istio_requests_total{", stats(SIDECARS)["checkout"])


class Waypoint(Kind):
    namespace = AMBIENT

    def tearDown(self) -> None:
        kubectl("delete", "wasmplugins", "--all", "--namespace", AMBIENT)

    def test_it_counts_what_comes_to_the_services_behind_it(self) -> None:
        apply(AMBIENT, "waypoint")
        self.await_passes("enforce", {("waypoint", "inbound")})
        before = passes(AMBIENT)
        self.assertEqual(received(request(AMBIENT, "/?forget=checkout", context()), "stock"), [])
        expected = {("waypoint", "inbound", "enforce", "continued"): 2.0, ("waypoint", "inbound", "enforce", "lost"): 1.0}
        self.assertEqual(gained(AMBIENT, before), expected)


if __name__ == "__main__":
    unittest.main()
