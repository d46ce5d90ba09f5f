"""Tracewarden's manifests in a real Istio: what they count, what they change, and what becomes of requests meanwhile."""

from __future__ import annotations

import json

from harness import (
    CORRUPT, PASSES, REPOSITORY, RUN, Case, Counts, Failed, Load, Workload, await_counting, changed, context, eventually, mesh,
    modes_of_a_request, received, render, requests, runs_second, second_version,
)  # fmt: skip


def counted(mode: str, **contexts: int) -> dict[tuple[str, ...], float]:
    """So many requests of each context, at every proxy that a request passes."""
    return {(*place, mode, context): float(count) for place in PASSES for context, count in contexts.items()}


class Overlays(Case):
    def test_the_api_server_accepts_every_case(self) -> None:
        """I1."""
        home = REPOSITORY / "envoy/istio"
        cases = sorted(
            str(file.parent.relative_to(home))
            for file in home.rglob("kustomization.yaml")
            if "kind: Component" not in file.read_text("utf-8") and file.parent.name != "mesh"
        )
        self.assertGreater(len(cases), 12)
        for case in cases:
            with self.subTest(case=case):
                self.assertIn("(server dry run)", dry_run(json.dumps({"apiVersion": "v1", "kind": "List", "items": render(case)})))

    def test_the_api_server_refuses_a_digest_that_nobody_set(self) -> None:
        for case in ("sidecar-observe", "trafficextension/sidecar-observe"):
            text = mesh.cluster.kubectl("kustomize", str(REPOSITORY / "envoy/istio" / case))
            with self.subTest(case), self.assertRaisesRegex(Failed, "SET-THIS-to-the-digest-that-make-image-prints"):
                dry_run(text)

    def test_observe_counts_each_request_and_touches_none(self) -> None:
        """I2."""
        self.deploy(render("sidecar-observe"))
        counts = Counts.begin()
        for _ in range(20):
            sent = context()
            answer = mesh.request("/", sent)
            for service in ("frontend", "checkout", "stock"):
                self.assertEqual(received(answer, service), [sent["traceparent"]])
            self.assertEqual(received(mesh.request("/", CORRUPT), "stock"), [CORRUPT["traceparent"]])
            self.assertEqual(received(mesh.request("/"), "frontend"), [])
        self.assertEqual(counts.since(), counted("observe", continued=20, corrupt=20, lost=20))

    def test_observe_becomes_enforce_under_load_and_back(self) -> None:
        """I3."""
        self.deploy(render("sidecar-observe"))
        with Load() as load:
            self.switch(render("sidecar-enforce"), "enforce")
            self.assertEqual(received(mesh.request("/", CORRUPT), "frontend"), [])
            self.switch(render("sidecar-observe"), "observe")
            self.assertEqual(received(mesh.request("/", CORRUPT), "frontend"), [CORRUPT["traceparent"]])
        self.assertEqual(load.failed, [])
        self.assertGreater(load.sent, 20)

    def test_deleted_under_load(self) -> None:
        """I14."""
        self.deploy(render("sidecar-enforce"))
        with Load() as load:
            self.remove_plugins()
            eventually("nothing is counted", lambda: not modes_of_a_request())
        self.assertEqual(load.failed, [])
        self.assertEqual(received(mesh.request("/", CORRUPT), "stock"), [CORRUPT["traceparent"]])
        # A series stays, at its last value, for as long as the proxy runs.
        self.assertGreater(requests("frontend", mode="enforce"), 0)

    def test_traffic_extensions_count_the_same_and_both_kinds_count_twice(self) -> None:
        """I4."""
        self.deploy(render("trafficextension/sidecar-observe"))
        counts = Counts.begin()
        for _ in range(10):
            mesh.request("/", context())
            mesh.request("/")
        self.assertEqual(counts.since(), counted("observe", continued=10, lost=10))
        self.deploy(render("sidecar-observe"), times=2)

    def test_a_selector_chooses_the_canary(self) -> None:
        objects = render("sidecar-enforce")
        for one in objects:
            one["spec"]["selector"] = {"matchLabels": {"app": "checkout"}}
        self.apply(objects)
        await_counting(1, {("checkout", "inbound"): 1, ("checkout", "outbound"): 1})
        answer = mesh.request("/", CORRUPT)
        self.assertEqual([received(answer, name) for name in ("frontend", "checkout")], [[CORRUPT["traceparent"]], []])

    def test_in_the_root_namespace_it_reaches_all(self) -> None:
        mesh.cluster.apply(render("sidecar-observe"), "istio-system")
        await_counting(1)

    def test_an_upgrade_under_load_fails_no_request(self) -> None:
        self.deploy(render("sidecar-observe"))
        second = changed(render("sidecar-observe"), second_version)
        with Load() as load:
            self.apply(second)
            eventually("every proxy runs the second version", lambda: all(map(runs_second, mesh.workloads)))
            self.switch(second, "observe")
        self.assertEqual(load.failed, [])
        self.assertGreater(load.sent, 20)

    def test_a_pod_is_an_exception_by_its_environment(self) -> None:
        """What docs/istio.md says of exceptions: `proxyMetadata` reaches the filter."""
        self.deploy(render("sidecar-enforce"))
        metadata = {"TRACEWARDEN_MODE": "observe", "TRACEWARDEN_EXCLUDE": '["default", {"path_prefix": "/internal/"}]'}
        with self.workload(Workload("cart", 21, proxy_config={"proxyMetadata": metadata})) as cart:
            cart.call("/", CORRUPT)
            cart.call("/internal/job")
            eventually("cart counts in the mode observe", lambda: cart.requests(mode="observe", context="corrupt") == 1)
            self.assertEqual(cart.requests(context="lost"), 0)
            self.assertEqual(cart.requests(mode="enforce"), 0)

    def test_a_list_of_a_pod_replaces_that_of_the_mesh(self) -> None:
        """What docs/istio.md says of `components/pod-stats`, and of lists that stand twice."""
        with self.workload(Workload("cart", 21, proxy_config={"extraStatTags": ["own_tag"]})) as cart:
            bootstrap = (cart.directory / "etc/istio/proxy/envoy-rev.json").read_text("utf-8")
            self.assertIn('"own_tag"', bootstrap)
            self.assertNotIn('"tag_name": "evidence"', bootstrap)

    def test_the_envoyfilter_with_its_file_and_without(self) -> None:
        """With the file it counts; a proxy without it keeps the listeners that it has, and a new one does not get ready."""
        label = {"tracewarden": "file"}
        with self.workload(Workload("filed", 24, labels=label, volume=f"{RUN}/files")) as filed, \
                self.workload(Workload("fileless", 25, labels=label)) as fileless:  # fmt: skip
            self.apply(render("envoyfilter"))
            eventually("the file's filter counts", lambda: filed.call("/", context()) and filed.requests(context="continued"))
            self.assertEqual([filed.total("tracewarden_bypassed_total"), filed.requests(context="corrupt")], [0, 0])
            self.assertEqual(received(filed.call("/", CORRUPT), "filed"), [])
            self.assertEqual(filed.requests(context="corrupt", mode="enforce"), 1)
            eventually("the listener is refused", lambda: "virtualInbound' config rejected" in fileless.log())
            self.assertEqual([fileless.call("/").status, fileless.requests()], [200, 0])
        with self.workload(Workload("fileless", 25, labels=label), ready=0) as fileless:
            eventually("the listener is refused", lambda: "virtualInbound' config rejected" in fileless.log())
            self.assertFalse(fileless.is_ready())


def dry_run(text: str) -> str:
    return mesh.cluster.kubectl("-n", "shop", "apply", "--dry-run=server", "--validate=strict", "-f", "-", text=text)
