"""The files of envoy/gateway, as people apply them: what they count, which headers go on, and what outsiders learn."""

from __future__ import annotations

import re

from harness import (
    EDGE, REPOSITORY, ROUTE, Case, Load, apply, as_written, await_counted, conditions, counted, counted_of, eventually, from_file,
    gateway, kubectl, proxy, quick_start, render, revisions,
)  # fmt: skip
from modules import SECOND_REVISION
from traffic import CORRUPT, context, received

TRACE_ID = r"[0-9a-f]{32}"


class Files(Case):
    def test_the_api_server_accepts_every_file(self) -> None:
        cases = sorted(path.parent.name for path in (REPOSITORY / "envoy/gateway").glob("*/kustomization.yaml"))
        self.assertEqual(cases, ["edge", "edge-strict", "proxy", "route"])
        for case in cases:
            with self.subTest(case):
                directory = str(REPOSITORY / "envoy/gateway" / case)
                said = kubectl("apply", "--dry-run=server", "--validate=strict", "--kustomize", directory)
                self.assertIn("(server dry run)", said)

    def test_the_proxies_know_every_label(self) -> None:
        """The lists of envoy/envoy.yaml, of Istio's mesh and of the EnvoyProxy are one."""
        tags = r"tag_name: (\w+), regex: ('.*?')"
        ours = re.findall(tags, (REPOSITORY / "envoy/gateway/proxy/proxy.yaml").read_text("utf-8"))
        self.assertEqual(ours, re.findall(tags, (REPOSITORY / "envoy/envoy.yaml").read_text("utf-8")))
        mesh = (REPOSITORY / "envoy/istio/mesh/istio-operator.yaml").read_text("utf-8")
        listed = re.search(r"extraStatTags: \[(.*?)\]", mesh, re.DOTALL)
        assert listed
        self.assertEqual([name for name, _ in ours], re.findall(r"\w+", listed[1]))

    def test_the_count_of_requests_is_there(self) -> None:
        """What TracewardenNotRunning compares, under the name that its rule has; probes and scrapes have names of their own."""
        prefixes = set(re.findall(r'^envoy_http_downstream_rq_total\{envoy_http_conn_manager_prefix="(.*)"\}', proxy.stats(), re.M))
        self.assertEqual(prefixes, {"admin", "eg-ready-http", "eg-stats-http", "http-10080"})
        rule = (REPOSITORY / "envoy/prometheus/tracewarden.expected.yaml").read_text("utf-8")
        ignored = re.search(r'\{envoy_http_conn_manager_prefix!~"(.*?)"', rule)
        assert ignored
        self.assertEqual(prefixes - set(ignored[1].split("|")), {"http-10080"})


class QuickStart(Case):
    def test_its_commands_as_they_are_written(self) -> None:
        commands = quick_start()
        self.assertEqual(len(commands), 6)
        for command in commands[:3]:
            as_written(command)
        eventually("the route counts", lambda: counted_of()[1] == {("internal", "observe", "continued"): 1})
        self.assertIn('"reason":"Accepted"', as_written(commands[3]))
        for command in commands[4:]:
            as_written(command)
        eventually("the edge counts", lambda: counted_of()[1] == {("edge", "enforce", "untrusted"): 1})


class Edge(Case):
    def test_outsiders_are_not_trusted_and_learn_no_id(self) -> None:
        self.deploy(render("edge"))
        self.assert_accepted(EDGE, True)
        for headers, verdict in ((context(), "untrusted"), (CORRUPT, "corrupt"), ({}, "started")):
            with self.subTest(headers):
                answer, found = counted_of(headers)
                self.assertEqual(found, {("edge", "enforce", verdict): 1})
                self.assertRegex("".join(received(answer, "shop")), rf"^00-{TRACE_ID}-[0-9a-f]{{16}}-0[0-3]$")
                self.assertNotIn(headers.get("traceparent"), received(answer, "shop"))
                self.assertEqual([name for name, _ in answer.headers if "trace" in name.lower() or name.lower() == "server-timing"], [])

    def test_its_other_headers_do_not_go_on(self) -> None:
        self.deploy(render("edge"))
        answer, _ = counted_of({**context(), "tracestate": "outsider=1", "b3": "0", "baggage": "outsider=1"})
        for name in ("tracestate", "b3", "baggage"):
            self.assertEqual([value for value in received(answer, "shop", name) if "outsider" in value or value == "0"], [], name)

    def test_every_route_and_no_other_request_is_counted(self) -> None:
        """A filter is switched on by a route, so a request without one passes none."""
        self.deploy(render("edge"))
        for host, count in (("shop.example", 1), ("cart.example", 1), ("nobody.example", 0)):
            with self.subTest(host):
                answer, found = counted_of(host=host)
                self.assertEqual((answer.status, sum(found.values())), (200 if count else 404, count))

    def test_a_second_policy_of_the_gateway_is_refused(self) -> None:
        self.deploy(render("edge"))
        second = render("edge")
        second["metadata"]["name"] = f"{EDGE}-2"
        apply(second)
        self.assert_accepted(f"{EDGE}-2", False, "another EnvoyExtensionPolicy has already attached to it")


class Route(Case):
    def test_it_counts_and_touches_nothing(self) -> None:
        self.deploy(render("route"))
        self.assert_accepted(ROUTE, True)
        fresh = context()
        for headers, verdict in ((fresh, "continued"), (CORRUPT, "corrupt"), ({}, "lost")):
            with self.subTest(verdict):
                answer, found = counted_of(headers)
                self.assertEqual(found, {("internal", "observe", verdict): 1})
                self.assertEqual(received(answer, "shop"), list(headers.values()))
        self.assertEqual(counted_of(fresh, "cart.example")[1], {})

    def test_it_takes_the_place_of_the_edge(self) -> None:
        """For its route the border is open, also if the policies are merged; the edge's status names the route."""
        self.deploy(render("edge"))
        for merge, condition in ((None, "Overridden"), ("StrategicMerge", "Merged")):
            with self.subTest(merge):
                route = render("route")
                route["spec"].update({"mergeType": merge} if merge else {})
                apply(route)
                eventually("the route's policy counts", lambda: counted_of()[1] == {("internal", "observe", "continued"): 1})
                outsider = context()
                self.assertEqual(received(counted_of(outsider)[0], "shop"), list(outsider.values()))
                self.assertEqual(counted_of(outsider, "cart.example")[1], {("edge", "enforce", "untrusted"): 1})
                eventually("the edge's status", lambda: "[shop/shop]" in conditions(EDGE).get(condition, ("", "", ""))[2])


class Changes(Case):
    def test_under_load_no_request_fails(self) -> None:
        """Another configuration, the strict edge, the route's policy and the way back, and deletion."""
        with Load() as load:
            for role, mode, policy in (
                ("edge", "enforce", render("edge")),
                ("edge", "observe", render("edge", lambda one: one["config"].update(mode="observe"))),
                ("edge", "enforce", render("edge-strict")),
                ("internal", "observe", render("route")),
            ):
                apply(policy)
                eventually(f"{role} {mode}", lambda role=role, mode=mode: {key[:2] for key in gained()} == {(role, mode)})
            kubectl("delete", "envoyextensionpolicy", ROUTE)
            eventually("the edge is back", lambda: {key[0] for key in gained()} == {"edge"})
            kubectl("delete", "envoyextensionpolicy", EDGE)
            eventually("nothing is counted", lambda: not gained())
            self.assertGreater(sum(counted().values()), 0, "the series stay, at their last value")
        self.assertEqual(load.failed, [])
        self.assertGreater(load.sent, 50)


    def test_another_version_under_load(self) -> None:
        """A proxy fetches it, and goes on with the version that it had from its start, till the policy changes once more."""
        apply(render("edge-strict", from_file("whole")))
        self.restart_proxy()
        await_counted()
        with Load() as load:
            for mode, second in (("observe", False), ("enforce", True)):
                apply(render("edge-strict", lambda one, mode=mode: (from_file("second")(one), one["config"].update(mode=mode))))
                eventually(f"the mode {mode}", lambda mode=mode: {key[1] for key in gained()} == {mode})
                self.assertEqual(any(revision.startswith(SECOND_REVISION) for revision in revisions()), second)
        self.assertEqual(load.failed, [])


def gained() -> dict[tuple[str, str, str], int]:
    """What was counted of a few requests, whoever else sends some."""
    before = counted()
    for _ in range(3):
        proxy.request("/", context())
    return dict(counted() - before)


class Spans(Case):
    def test_the_edge_records_the_first_spans(self) -> None:
        """To a collector that a route makes known to the proxies; its cluster's name is no host's."""
        self.addCleanup(kubectl, "delete", "httproute", "collector")
        gateway.publish_collector()
        collector = {"cluster": "httproute/shop/collector/rule/0", "authority": "collector.shop"}
        spans = {"sampling": {"probability": 1}, "export": {"otlp": collector}}
        self.deploy(render("edge", lambda one: one["config"].update(spans)))
        trace = received(counted_of()[0], "shop")[0].split("-")[1]
        eventually("the trace is in Jaeger", lambda: len(gateway.spans(trace)) == 2)
        kinds = {tag["value"] for span in gateway.spans(trace) for tag in span["tags"] if tag["key"] == "span.kind"}
        self.assertEqual(kinds, {"server", "client"})
