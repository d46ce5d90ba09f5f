"""What happens when something fails: the rows of "what happens when" in docs/istio.md."""

from __future__ import annotations

import http.client
import re
from hashlib import sha256

from harness import (
    CORRUPT, DELAY_PORT, DOCKER_REGISTRY, FETCHES, FILES, GATEWAY, HANG_PORT, HOST, IMAGE, NAMESPACE,
    PASSES, RUN, SECOND_REVISION, SKOPEO, TAG, Case, Counts, Failed, Load, Object, Running, Workload, await_counting,
    changed, context, eventually, file_url, image, image_digest, mesh, metric, modes_of_a_request, only_for, received, render,
    requests, revisions, second_version,
)  # fmt: skip
from test_tracing import spans, trace_of

CONVERSIONS = "istio_agent_wasm_config_conversion_count"


def observe(**module: object) -> list[Object]:
    return changed(render("sidecar-observe"), lambda one: one.update(module))


def touched(objects: list[Object], text: str) -> list[Object]:
    """The objects with an annotation that changes nothing else."""
    for one in objects:
        one["metadata"].setdefault("annotations", {})["tracewarden/touched"] = text
    return objects


class BadConfiguration(Case):
    def test_a_running_filter_is_kept(self) -> None:
        """I6, with `bypass`, and I7, with `refuse`: Envoy rejects the change, and the filter that runs goes on."""
        for on_bad_config in ("bypass", "refuse"):
            with self.subTest(on_bad_config=on_bad_config):
                good = observe()
                for one in good:
                    one["spec"]["vmConfig"]["env"][0]["value"] = on_bad_config
                self.deploy(good)
                # The filter tells a running configuration by a heartbeat of three seconds.
                bad = changed(good, lambda one: one["pluginConfig"].update(mode="obsrve"))
                said = mesh.log_of("frontend").count("obsrve")
                with Load() as load:
                    self.apply(bad)
                    eventually("the proxy rejects the change", lambda: mesh.log_of("frontend").count("obsrve") > said)
                    counts = Counts.begin()
                    eventually("requests are counted", lambda: counts.passes().get(("stock", "inbound"), 0) > 20)
                self.assertEqual(load.failed, [])
                self.assertEqual(metric("frontend", "tracewarden_bypassed_total"), 0)
                self.deploy(good)

    def test_the_first_configuration_is_bad(self) -> None:
        """With `bypass` everything passes, and is counted as bypassed."""
        with self.workload(Workload("cart", 21)) as cart:
            self.apply(only_for("cart", changed(observe(), lambda one: one["pluginConfig"].update(mode="obsrve"))))
            eventually("requests are bypassed", lambda: cart.call("/") and cart.total("tracewarden_bypassed_total") > 3)
            answer = cart.call("/", CORRUPT)
            self.assertEqual([answer.status, received(answer, "cart"), cart.requests()], [200, [CORRUPT["traceparent"]], 0])

    def test_the_first_configuration_is_bad_and_refused(self) -> None:
        """Without `bypass` a proxy that has no filter yet answers 500, in spite of FAIL_OPEN, till the plugin is mended."""

        def refuse(module: Object) -> None:
            module["vmConfig"]["env"][0]["value"] = "refuse"

        with self.workload(Workload("cart", 21)) as cart:
            refusing = only_for("cart", changed(observe(), refuse))
            self.apply(changed(refusing, lambda one: one["pluginConfig"].update(mode="obsrve")))
            eventually("requests are answered 500", lambda: cart.call("/").status == 500)
            self.apply(refusing)
            eventually("requests are counted", lambda: counts_one(cart))


class Modules(Case):
    def test_a_module_that_envoy_can_not_load(self) -> None:
        """I8: the first time every request is answered 500, in spite of FAIL_OPEN, till the resource changes; once a filter runs
        it goes on."""
        with self.workload(Workload("cart", 21)) as cart:
            damaged = only_for("cart", observe(url=file_url("damaged"), sha256=""))
            self.apply(damaged)
            eventually("requests are answered 500", lambda: cart.call("/").status == 500)
            self.assertEqual([cart.call("/").status for _ in range(10)], [500] * 10)
            self.apply(only_for("cart", observe()))
            eventually("requests are answered again", lambda: cart.call("/").status == 200)
            eventually("requests are counted", lambda: counts_one(cart))
            rejections = rejected(cart)
            self.apply(damaged)
            eventually("the proxy rejects it", lambda: rejected(cart) > rejections)
            self.assertTrue(counts_one(cart))

    def test_a_wrong_digest(self) -> None:
        """I9: the agent lets everything pass, uncounted, and says why; then counters start from 0."""
        self.deploy(observe())
        before = requests("frontend")
        self.assertGreater(before, 0)
        wrong = observe(sha256="0" * 64)
        with Load() as load:
            self.apply(wrong)
            eventually("nothing is counted", lambda: not modes_of_a_request())
            self.assertEqual(fetches("checksum_mismatched") > 0, True)
            self.assertEqual(requests("frontend"), 0, "the series vanish with the filter")
            self.apply(observe())
            eventually("every proxy counts again", lambda: set(modes_of_a_request()) == set(PASSES))
        self.assertEqual(load.failed, [])

    def test_what_the_api_server_refuses(self) -> None:
        """I10."""
        for module, said in (({"sha256": "0123456789"}, "sha256"), ({"url": "ftp://registry.example/x"}, "url")):
            with self.subTest(module), self.assertRaisesRegex(Failed, said):
                self.apply(observe(**module))

    def test_every_form_of_the_module_loads(self) -> None:
        """I23."""
        own = sha256((FILES / "whole.wasm").read_bytes()).hexdigest()
        forms = {
            "an ordinary image": {"url": image(), "sha256": image_digest("compat")},
            "an artifact": {"url": image(f"{TAG}-artifact"), "sha256": image_digest("artifact")},
            "a file over http, with its own digest": {"url": file_url("whole"), "sha256": own},
            "a file in the proxy": {"url": f"file://{RUN}/files/whole.wasm", "sha256": ""},
        }
        for name, form in forms.items():
            with self.subTest(name):
                self.deploy(observe(**form))

    def test_the_pull_policy(self) -> None:
        """A tag that was moved: a proxy that has it keeps it, unless it must always pull."""
        tag = "moving"
        mesh.push(SKOPEO, FILES.parent.parent / "image/compat", tag)
        unpinned = {"url": image(tag), "sha256": ""}
        self.deploy(observe(**unpinned))
        first = set().union(*map(revisions, mesh.workloads))
        mesh.push(SKOPEO, FILES / "second-image/compat", tag)
        self.deploy(touched(observe(**unpinned), "1"))
        self.assertTrue(all(revisions(name) == first for name in mesh.workloads))
        always = touched(observe(**unpinned, imagePullPolicy="Always"), "2")
        self.apply(always)
        eventually("the proxies run what the tag names now", lambda: not any(revisions(name) & first for name in mesh.workloads))


class Registry(Case):
    def stop_registry(self) -> None:
        self.addCleanup(mesh.serve_registry, DOCKER_REGISTRY)
        mesh.end_registry()

    def test_it_is_down_and_the_digest_is_known(self) -> None:
        """I11."""
        self.deploy(render("sidecar-observe"))
        self.stop_registry()
        self.switch(render("sidecar-enforce"), "enforce")

    def test_it_is_down_and_the_tag_is_new(self) -> None:
        """I12: everything passes, uncounted, also when the registry is back, till the plugin changes."""
        self.deploy(observe())
        self.stop_registry()
        unknown = observe(url=image("unseen"), sha256="")
        heal = ("annotate", "wasmplugins", "--all", "--namespace", NAMESPACE, "--overwrite", "tracewarden/pulled=1")
        with Load() as load:
            self.apply(unknown)
            eventually("nothing is counted", lambda: not modes_of_a_request())
            self.assertGreater(fetches("manifest_failure"), 0)
            self.assertGreater(metric("frontend", CONVERSIONS, result="fetch_failure"), 0)
            mesh.serve_registry(DOCKER_REGISTRY)
            mesh.push(SKOPEO, FILES.parent.parent / "image/compat", "unseen")
            self.stays_uncounted()
            mesh.cluster.kubectl(*heal)
            eventually("every proxy counts again", lambda: set(modes_of_a_request()) == set(PASSES))
        self.assertEqual(load.failed, [])

    def stays_uncounted(self) -> None:
        counts = Counts.begin()
        sent = 0

        def request() -> bool:
            nonlocal sent
            sent += mesh.request("/", context()).status == 200
            return sent >= 30

        eventually("requests pass", request)
        self.assertEqual(counts.since(), {})

    def test_it_goes_down_after_every_proxy_pulled(self) -> None:
        """What `pull` is for: no proxy goes uncounted by a switch to a new image, though the registry is down."""
        # An agent that has pulled nothing yet.
        with self.workload(Workload("cart", 21)) as cart:
            self.apply(only_for("cart", observe()))
            eventually("requests are counted", lambda: counts_one(cart))
            self.apply(only_for("cart", changed(render("pull"), second_version)))
            eventually("the proxy pulled", lambda: re.search('^tracewarden_enabled{.*listener="pull"', cart.stats(), re.MULTILINE))
            self.assertTrue(counts_one(cart), "the plugin that pulls counts nothing")
            self.stop_registry()
            self.apply(only_for("cart", changed(observe(), second_version)))
            eventually("the proxy runs it", lambda: counts_one(cart) and SECOND_REVISION in cart.stats())
            self.assertEqual(cart.total(FETCHES, result="manifest_failure"), 0)

    def test_it_answers_slowly_when_the_plugin_comes(self) -> None:
        """I20: no request fails, since the listener comes with its filter."""
        slow = observe(url=f"oci://{GATEWAY}:{DELAY_PORT}/{IMAGE}:{TAG}")
        with Load() as load:
            self.apply(slow)
            eventually("every proxy counts", lambda: set(modes_of_a_request()) == set(PASSES))
        self.assertEqual(load.failed, [])
        self.assertGreater(load.sent, 5)

    def test_it_is_down_and_a_workload_is_new(self) -> None:
        """Ready at once, and uncounted; as with I12, till the plugin changes."""
        self.apply(only_for("late", observe()))
        self.stop_registry()
        with self.workload(Workload("late", 22)) as late:
            self.assertEqual([late.call("/", context()).status, late.requests()], [200, 0])
            mesh.serve_registry(DOCKER_REGISTRY)
            self.apply(touched(only_for("late", observe()), "healed"))
            eventually("requests are counted", lambda: counts_one(late))

    def test_it_hangs_and_a_workload_is_new(self) -> None:
        """I21: not ready for the half minute that the agent waits, then ready and uncounted."""
        hanging = observe(url=f"oci://registry.example:{HANG_PORT}/{IMAGE}:{TAG}")
        self.apply(only_for("late", hanging))
        with self.workload(Workload("late", 22), ready=0) as late:
            eventually("the proxy starts", lambda: mesh.lab.accepts(late.workload.address, 15020))
            self.assertFalse(late.is_ready())
            late.await_ready(60)
            self.assertEqual(late.call("/", context()).status, 200)
            self.assertEqual(late.requests(), 0)


class ControlPlane(Case):
    def test_istiod_is_down(self) -> None:
        """I13."""
        self.deploy(render("sidecar-observe"))
        mesh.lab.end("pilot-discovery")
        self.addCleanup(lambda: mesh.lab.accepts(HOST, 15080) or mesh.run_istiod())
        eventually("istiod is gone", lambda: not mesh.lab.accepts(HOST, 15080))
        await_counting(1)
        with self.workload(Workload("cart", 21), ready=0) as cart:
            eventually("the agent starts", lambda: mesh.lab.accepts(cart.workload.address, 15020))
            self.assertFalse(cart.is_ready())
            mesh.run_istiod()
            cart.await_ready()

    def test_istiod_starts_anew_under_load(self) -> None:
        self.deploy(render("sidecar-observe"))
        with Load() as load:
            mesh.lab.end("pilot-discovery")
            eventually("istiod is gone", lambda: not mesh.lab.accepts(HOST, 15080))
            mesh.run_istiod()
            self.switch(render("sidecar-enforce"), "enforce")
        self.assertEqual(load.failed, [])


class Connections(Case):
    def test_one_that_is_open_goes_on_without_the_filter(self) -> None:
        """I5: its requests go through the listener as it was, uncounted, till the proxy closes it."""
        with self.workload(Workload("cart", 21)) as cart:
            connection = http.client.HTTPConnection("cart")
            self.addCleanup(connection.close)
            connection.sock = mesh.lab.connect(cart.workload.address, 8080)
            self.assertEqual(status(connection), 200)
            self.apply(only_for("cart", observe()))
            eventually("new connections are counted", lambda: counts_one(cart))
            before = cart.requests()
            self.assertEqual(status(connection), 200)
            self.assertEqual(cart.requests(), before)


class Agent(Case):
    def test_it_starts_anew(self) -> None:
        """The filter comes back with it, and counts from 0."""
        with self.workload(Workload("cart", 21)) as cart:
            self.apply(only_for("cart", observe()))
            eventually("requests are counted", lambda: counts_one(cart))
            assert cart.agent
            cart.agent.stop()
            cart.start_agent()
            cart.await_ready()
            self.assertEqual(cart.requests(), 0)
            eventually("requests are counted", lambda: counts_one(cart))


class Collector(Case):
    def test_the_collector_is_down(self) -> None:
        """Traffic goes on, each span that was dropped is counted, and spans arrive again when it is back."""
        self.deploy(render("sidecar-spans"))
        mesh.lab.end("jaeger.json")
        self.addCleanup(lambda: mesh.lab.accepts(HOST, 16686) or mesh.start_jaeger())
        with Load() as load:
            eventually("spans are dropped", lambda: metric("stock", "tracewarden_spans_dropped_total") > 0, 60)
        self.assertEqual(load.failed, [])
        mesh.start_jaeger()
        sent = context()
        mesh.request("/", sent)
        eventually("spans arrive again", lambda: len(spans(trace_of(sent)[0])) == 5)


def status(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/", headers=context())
    answer = connection.getresponse()
    answer.read()
    return answer.status


def counts_one(workload: Running) -> bool:
    """Whether a request is answered, and counted once."""
    before = workload.requests()
    return workload.call("/", context()).status == 200 and workload.requests() == before + 1


def rejected(workload: Running) -> int:
    """How many filters Envoy said it rejected."""
    return workload.log().count("TypedExtensionConfig rejected")


def fetches(result: str) -> float:
    return metric("frontend", FETCHES, result=result)
