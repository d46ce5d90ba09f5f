"""What happens when something fails: the rows of "what happens when" in docs/envoy-gateway.md."""

from __future__ import annotations

from itertools import count

from cluster import endpoints
from gateway import MODULE_PORT
from harness import (
    DOCKER_REGISTRY, EDGE, NAMESPACE, Case, Load, Object, apply, await_counted, await_status, bypassed, conditions, counted_of,
    counts, eventually, from_file, gateway, image, image_digest, kubectl, proxy, rejected, render, stat,
    statuses,
)  # fmt: skip
from lab import GATEWAY

UNKNOWN = "unseen"
MISTAKES = count(1)


def misspelt(module: Object) -> None:
    # Envoy remembers what became of a text, so each mistake is a new one.
    module["config"]["role"] = f"egde-{next(MISTAKES)}"


def wrong_digest(module: Object) -> None:
    module["code"]["image"]["sha256"] = "0" * 64


def unknown_tag(module: Object) -> None:
    module["code"]["image"].update(url=image(UNKNOWN), sha256="")


class BadConfiguration(Case):
    def test_a_running_filter_is_kept(self) -> None:
        """Envoy rejects the listener with the change; the policy is accepted all the same."""
        for case in ("edge", "edge-strict"):
            with self.subTest(case):
                self.deploy(render(case))
                before = rejected()
                with Load() as load:
                    apply(render(case, misspelt))
                    eventually("the proxy rejects the change", lambda: rejected() > before)
                    self.assert_accepted(EDGE, True)
                    self.assertGreater(sum(counted_of()[1].values()), 0)
                self.assertEqual((load.failed, bypassed()), ([], 0))
                self.deploy(render(case))

    def test_a_first_policy_to_a_proxy_that_had_the_module(self) -> None:
        """Envoy rejects it, and requests go on without a filter."""
        self.deploy(render("edge"))
        self.remove_all()
        before = rejected()
        apply(render("edge-strict", misspelt))
        eventually("the proxy rejects it", lambda: rejected() > before)
        self.assertEqual((statuses(), counted_of()[1]), ({200}, {}))

    def test_a_first_policy_and_a_start(self) -> None:
        """If the proxy has yet to fetch the module, nobody rejects the mistake: the edge lets everything pass, and counts it as
        bypassed; the strict edge answers 503. The policy is accepted and the proxy calls itself ready."""
        for case, status in (("edge", 200), ("edge-strict", 503)):
            for when in ("the policy comes to a proxy", "the proxy starts with it"):
                with self.subTest(case=case, when=when):
                    self.remove_all()
                    self.restart_proxy()
                    apply(render(case, misspelt))
                    self.assert_accepted(EDGE, True)
                    if when == "the proxy starts with it":
                        self.restart_proxy()
                    eventually("the proxy says so", lambda: 'role: expected one of "edge", "internal"' in proxy.log())
                    await_status(status)
                    before = bypassed()
                    self.assertEqual(statuses(5), {status})
                    self.assertEqual(bypassed() - before, 5 if status == 200 else 0)
                    self.deploy(render(case))


class Modules(Case):
    def test_it_can_not_be_had(self) -> None:
        """The policy says why. Requests pass uncounted, or are answered 500, also if a filter ran, and till the policy changes."""
        for change, said in ((wrong_digest, "which does not match"), (unknown_tag, "MANIFEST_UNKNOWN")):
            for case, status in (("edge", 200), ("edge-strict", 500)):
                with self.subTest(case=case, said=said):
                    self.deploy(render(case))
                    apply(render(case, change))
                    self.assert_accepted(EDGE, False, said)
                    await_status(status)
                    eventually("nothing is counted", lambda: not counted_of()[1])
                    self.assertEqual(statuses(), {status})
        self.deploy(render("edge"))

    def test_envoy_can_not_load_it(self) -> None:
        """The policy is accepted. At first requests pass uncounted, or are answered 503; a filter that runs is kept."""
        for case, status in (("edge", 200), ("edge-strict", 503)):
            with self.subTest(case):
                self.remove_all()
                self.restart_proxy()
                apply(render(case, from_file("damaged")))
                self.assert_accepted(EDGE, True)
                eventually("the proxy says so", lambda: "Plugin tracewarden-edge failed to load" in proxy.log())
                await_status(status)
                self.assertEqual((statuses(), counted_of()[1]), ({status}, {}))
                self.deploy(render(case, from_file("whole")))
                before = rejected()
                apply(render(case, from_file("damaged")))
                eventually("the proxy rejects it", lambda: rejected() > before)
                self.assertEqual((statuses(), counts(1)), ({200}, True))

    def test_both_forms_of_the_image_load(self) -> None:
        for variant, tag in (("compat", "0.1.0"), ("artifact", "0.1.0-artifact")):
            with self.subTest(variant):
                form = {"url": image(tag), "sha256": image_digest(variant)}
                self.deploy(render("edge", lambda one, form=form: one["code"]["image"].update(form)))
                self.assert_accepted(EDGE, True)

    def test_a_new_proxy_can_not_fetch_it(self) -> None:
        """The listener does not open, in spite of `failOpen`, and the proxy is not ready; it goes on asking. One that runs has it."""
        for case in ("edge", "edge-strict"):
            with self.subTest(case):
                self.deploy(render(case))
                self.addCleanup(self.block_modules, False)
                self.block_modules(True)
                apply(render(case, lambda one: one["config"].update(mode="observe")))
                eventually("the proxy that runs takes the change", lambda: counted_of()[1] == {("edge", "observe", "untrusted"): 1})
                proxy.stop()
                proxy.start()
                eventually("the proxy asks again", lambda: stat("cluster.wasm_cluster.upstream_cx_connect_fail") > 1)
                self.assertFalse(proxy.listens() or proxy.is_ready())
                self.block_modules(False)
                proxy.await_ready()
                await_counted()

    blocked = False

    def block_modules(self, block: bool) -> None:
        """Refuses, or no longer refuses, connections to where the controller serves modules."""
        if self.blocked != block:
            rule = ["INPUT", "-p", "tcp", "--dport", str(MODULE_PORT), "-j", "REJECT"]
            gateway.lab.run("ip", "netns", "exec", "controller", "iptables", "-A" if block else "-D", *rule)
        self.blocked = block


class Registry(Case):
    def stop_registry(self) -> None:
        self.addCleanup(gateway.serve_registry, DOCKER_REGISTRY)
        gateway.end_registry()

    def restart_controller(self) -> None:
        gateway.stop_controller()
        gateway.run_controller()

    def test_it_is_down_and_the_controller_has_the_module(self) -> None:
        """Nothing happens; changes of the configuration and new proxies work."""
        self.deploy(render("edge"))
        self.stop_registry()
        apply(render("edge", lambda one: one["config"].update(mode="observe")))
        eventually("the change is there", lambda: counted_of()[1] == {("edge", "observe", "untrusted"): 1})
        self.restart_proxy()
        await_counted()

    def test_it_is_down_when_the_controller_starts(self) -> None:
        """The filter that ran is taken away: requests pass uncounted, or are answered 500. It stays so when the registry is back,
        also if the policy's annotations change, till its spec or an endpoint does."""
        for case, status in (("edge", 200), ("edge-strict", 500)):
            with self.subTest(case):
                self.deploy(render(case))
                self.stop_registry()
                self.restart_controller()
                self.assert_lost(status)
                gateway.serve_registry(DOCKER_REGISTRY)
                kubectl("annotate", "--overwrite", "envoyextensionpolicy", EDGE, f"touched={case}")
                self.assertEqual((statuses(100), counts(1)), ({status}, False))
                self.heal(case)
                await_counted()
                self.assert_accepted(EDGE, True)

    def assert_lost(self, status: int) -> None:
        eventually("the policy says so", lambda: "could not fetch Wasm OCI image" in conditions(EDGE)["Accepted"][2])
        await_status(status)
        eventually("nothing is counted", lambda: not counted_of()[1])

    def heal(self, case: str) -> None:
        """Changes an endpoint, as a Pod of the application that comes or goes does; or the policy's spec."""
        if case == "edge":
            self.addCleanup(gateway.cluster.apply, [endpoints("shop", NAMESPACE, GATEWAY, {"http": 8080})])
            more = endpoints("shop", NAMESPACE, GATEWAY, {"http": 8080})
            more["endpoints"].append({"addresses": [GATEWAY], "conditions": {"ready": False}})
            gateway.cluster.apply([more])
        else:
            apply(render(case, lambda one: one["config"].update(mode="enforce")))

    def test_it_is_down_when_the_first_policy_comes(self) -> None:
        for case, status in (("edge", 200), ("edge-strict", 500)):
            with self.subTest(case):
                self.remove_all()
                self.stop_registry()
                self.restart_controller()
                apply(render(case))
                self.assert_accepted(EDGE, False, "connection refused")
                await_status(status)
                self.assertEqual((statuses(), counted_of()[1]), ({status}, {}))
                gateway.serve_registry(DOCKER_REGISTRY)
                self.deploy(render(case, lambda one: one["config"].update(mode="enforce")))

    def test_the_controller_gives_up_after_ten_attempts(self) -> None:
        """For an hour it does not ask for this url again. Another url for the same image heals it."""
        by_digest = image().rpartition(":")[0] + f"@sha256:{image_digest()}"
        self.addCleanup(self.restart_controller)
        for case, status in (("edge", 200), ("edge-strict", 500)):
            with self.subTest(case):
                self.stop_registry()
                self.restart_controller()
                for attempt in range(12):
                    apply(render(case, lambda one, rate=0.01 * attempt: one["config"]["sampling"].update(probability=rate)))
                    self.assert_accepted(EDGE, False)
                gateway.serve_registry(DOCKER_REGISTRY)
                apply(render(case))
                self.assert_accepted(EDGE, False, "after 10 attempts")
                await_status(status)
                self.assertEqual((statuses(), counted_of()[1]), ({status}, {}))
                self.deploy(render(case, lambda one: one["code"]["image"].update(url=by_digest)))


class ControlPlane(Case):
    def stop_controller(self) -> None:
        self.addCleanup(lambda: gateway.is_controller_up() or gateway.run_controller())
        gateway.stop_controller()

    def test_the_controller_is_down(self) -> None:
        """Requests pass, and are counted. A proxy that starts then has no listener, and is not ready, till it is back."""
        for case in ("edge", "edge-strict"):
            with self.subTest(case):
                self.deploy(render(case))
                self.stop_controller()
                self.assertEqual((statuses(), counts(1)), ({200}, True))
                proxy.stop()
                proxy.start()
                eventually("the proxy starts", lambda: proxy.admin("/server_info"))
                self.assertFalse(proxy.listens() or proxy.is_ready())
                gateway.run_controller()
                proxy.await_ready()
                await_counted()

    def test_the_controller_starts_anew_under_load(self) -> None:
        self.deploy(render("edge-strict"))
        with Load() as load:
            gateway.stop_controller()
            gateway.run_controller()
            apply(render("edge", lambda one: one["config"].update(mode="observe")))
            eventually("the change is there", lambda: ("edge", "observe", "untrusted") in counted_of()[1])
        self.assertEqual(load.failed, [])
