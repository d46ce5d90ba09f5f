"""What the tests in the real Istio share: the mesh, Tracewarden's manifests as they are rendered, load, and counters."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import subprocess
import sys
import time
import unittest
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / place) for place in ("envoy/local", "envoy", "tests/labs")]

from counters import REQUESTS, Series, builds, parse_series
from cluster import RUN
from environment import IMAGE, REGISTRY, TAG, image_digest
from istio import Mesh
from lab import GATEWAY, Answer, wait
from modules import SECOND_REVISION, other_revision
from proxy import HOST, Failed
import traffic
from traffic import CORRUPT, context, received
from workload import Running, Workload

Object = dict[str, Any]
NAMESPACE = "shop"
FETCHES = "istio_agent_wasm_remote_fetch_count"
# What applies to a listener takes effect in a second or two; open connections go on through the old one for longer.
SETTLED_SECONDS = 60
# Every proxy that a request to the frontend passes.
PASSES = (("frontend", "inbound"), ("frontend", "outbound"), ("checkout", "inbound"), ("checkout", "outbound"), ("stock", "inbound"))
OURS = "wasmplugins,trafficextensions,envoyfilters,telemetries,sidecars,serviceentries"

SKOPEO = str(REPOSITORY / ".venv/bin/skopeo")
DOCKER_REGISTRY = str(REPOSITORY / ".venv/bin/docker-registry")
mesh = Mesh(REPOSITORY / "target/istio", os.environ["KUBECTL"], int(os.environ.get("ISTIO_PORT") or 12000))


def image(tag: str = TAG) -> str:
    return f"oci://{REGISTRY}/{IMAGE}:{tag}"


def render(case: str) -> list[Object]:
    """The objects of a case in envoy/istio, with the image of this work tree."""
    text = mesh.cluster.kubectl("kustomize", str(REPOSITORY / "envoy/istio" / case))
    answer = mesh.cluster.kubectl("apply", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", text=text)
    found = json.loads(answer)
    objects = found["items"] if found["kind"] == "List" else [found]
    for one in objects:
        one["metadata"].pop("namespace", None)
        if one["kind"] in ("WasmPlugin", "TrafficExtension"):
            module_of(one).update(url=image(), sha256=image_digest())
    return objects


def module_of(plugin: Object) -> Object:
    """Where a plugin says what it loads."""
    return plugin["spec"].get("wasm", plugin["spec"])


def changed(objects: list[Object], change: Callable[[Object], object]) -> list[Object]:
    """The objects, with a change in every plugin's part that says what it loads."""
    copies = copy.deepcopy(objects)
    for one in copies:
        if one["kind"] in ("WasmPlugin", "TrafficExtension"):
            change(module_of(one))
    return copies


def series(workload: str) -> list[Series]:
    return parse_series(mesh.workloads[workload].stats())


def requests(workload: str, **labels: str) -> float:
    return mesh.workloads[workload].requests(**labels)


def only_for(name: str, objects: list[Object]) -> list[Object]:
    """The objects for one workload. They have names of their own: a proxy whose old listener drains is sent what the plugin of
    that listener's name says, whom it selects or not."""
    for one in objects:
        one["metadata"]["name"] += f"-{name}"
        one["spec"]["selector"] = {"matchLabels": {"app": name}}
    return objects


@dataclass
class Counts:
    """What the proxies counted since this was made: by workload and direction, and by the context."""

    before: dict[tuple[str, ...], float] = field(default_factory=dict)

    @staticmethod
    def now() -> dict[tuple[str, ...], float]:
        found: Counter[tuple[str, ...]] = Counter()
        for workload in mesh.workloads:
            for one in series(workload):
                if one.name == REQUESTS:
                    found[workload, one.labels["direction"], one.labels["mode"], one.labels["context"]] += one.value
        return dict(found)

    @classmethod
    def begin(cls) -> Counts:
        return cls(cls.now())

    def since(self) -> dict[tuple[str, ...], float]:
        gained = {key: value - self.before.get(key, 0) for key, value in self.now().items()}
        return {key: value for key, value in gained.items() if value}

    def passes(self) -> dict[tuple[str, str], float]:
        found: Counter[tuple[str, str]] = Counter()
        for (workload, direction, *_), value in self.since().items():
            found[workload, direction] += value
        return dict(found)


# Requests to the frontend, as someone outside of the mesh sends them.
Load = partial(traffic.Load, lambda path, headers: mesh.request(path, headers))


class Case(unittest.TestCase):
    """A test that leaves no object of Tracewarden's behind, and counts nothing when it begins."""

    maxDiff = None

    def setUp(self) -> None:
        self.addCleanup(self.remove_all)

    def remove_all(self) -> None:
        self.remove_plugins()
        await_counting(0)

    def remove_plugins(self) -> None:
        for home in (NAMESPACE, "istio-system"):
            mesh.cluster.kubectl("-n", home, "delete", OURS, "--all", "--wait=true")

    def apply(self, objects: list[Object], namespace: str = NAMESPACE) -> None:
        mesh.cluster.apply(objects, namespace)

    def deploy(self, objects: list[Object], times: int = 1) -> None:
        """Applies objects, and waits till every proxy counts each request so many times."""
        self.apply(objects)
        await_counting(times)

    def switch(self, objects: list[Object], mode: str) -> None:
        """Applies objects, and waits till every proxy counts in a mode and no longer in another, whoever else sends requests."""
        self.apply(objects)
        eventually(f"every proxy counts in the mode {mode}", lambda: modes_of_a_request() == dict.fromkeys(PASSES, {mode}))

    @contextlib.contextmanager
    def workload(self, workload: Workload, ready: float = 60) -> Iterator[Running]:
        """One more workload, till the block ends."""
        running = Running(mesh.cluster, workload, mesh.envoy)
        mesh.start_workload(running)
        try:
            if ready:
                running.await_ready(ready)
            yield running
        finally:
            running.stop()


def await_counting(times: int, workloads: Optional[dict[tuple[str, str], int]] = None) -> None:
    """Waits till three requests in a row are counted so often by every proxy, or as it says for each."""
    expected = workloads if workloads is not None else {place: times for place in PASSES}
    wanted = {place: float(count) for place, count in expected.items() if count}
    deadline = time.monotonic() + SETTLED_SECONDS
    agreed, passes, answer = 0, {}, None
    while agreed < 3:
        if time.monotonic() > deadline:
            raise AssertionError(f"a request should be counted {wanted}, and is {passes} ({answer})\n{agents()}")
        counts = Counts.begin()
        answer = mesh.request("/", context())
        passes = counts.passes()
        agreed = agreed + 1 if answer.status == 200 and passes == wanted else 0
        if not agreed:
            time.sleep(0.2)


def modes_of_a_request() -> dict[tuple[str, str], set[str]]:
    counts = Counts.begin()
    mesh.request("/", context())
    found: dict[tuple[str, str], set[str]] = {}
    for workload, direction, mode, _ in counts.since():
        found.setdefault((workload, direction), set()).add(mode)
    return found


def metric(workload: str, name: str, **labels: str) -> float:
    return mesh.workloads[workload].total(name, **labels)


def revisions(workload: str) -> set[str]:
    """Which builds of Tracewarden a workload's proxy runs."""
    return builds(mesh.workloads[workload].stats())


def eventually(what: str, check: Callable[[], object], seconds: float = 30) -> None:
    """Waits till a check holds."""
    try:
        wait(what, check, seconds)
    except Failed as error:
        raise AssertionError(f"{error}\n{agents()}") from None


def agents() -> str:
    """What the agents complained about."""
    said = []
    for name in mesh.workloads:
        log = mesh.directory / f"{name}-agent.log"
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if "\terror\t" in line or "\twarn" in line]
        said += [f"{log.name}: {line}" for line in lines[-5:]]
    return "\n".join(said)


FILES = mesh.directory / "files"
FILES_PORT, HANG_PORT, DELAY_PORT = 8070, 8071, 8072
SERVERS = "/mnt/repository/tests/istio/servers.py"
SECOND_TAG = "0.2.0"


def start() -> None:
    """A mesh that nobody has used."""
    mesh.up(os.environ["ENVOY"], DOCKER_REGISTRY, SKOPEO, REPOSITORY / "target/image")


def file_url(name: str) -> str:
    return f"http://{GATEWAY}:{FILES_PORT}/{name}.wasm"


def prepare() -> None:
    """What the tests load besides the image: files of the module, whole, damaged, and as if of another revision, which is in
    the registry, too; and servers that behave badly."""
    module = (REPOSITORY / "target/tracewarden.wasm").read_bytes()
    FILES.mkdir(exist_ok=True)
    second = other_revision(module)
    modules = {"tracewarden": module, "whole": module, "damaged": module[: len(module) // 2], "second": second}
    for name, content in modules.items():
        (FILES / f"{name}.wasm").write_bytes(content)
    layouts = FILES / "second-image"
    command = ["cargo", "run", "--locked", "--quiet", "-p", "xtask", "--", "image", str(FILES / "second.wasm"), str(layouts)]
    subprocess.run(command, check=True, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    mesh.push(SKOPEO, layouts / "compat", SECOND_TAG)
    for arguments in (("files", FILES_PORT, f"{RUN}/files"), ("hang", HANG_PORT), ("delay", DELAY_PORT, 1.5, GATEWAY, 443)):
        mesh.lab.spawn(f"servers-{arguments[0]}", [sys.executable, "-B", SERVERS, *map(str, arguments)])
    for port in (FILES_PORT, HANG_PORT, DELAY_PORT):
        wait("the servers of the tests", lambda port=port: mesh.lab.accepts(GATEWAY, port), 20)


def second_version(module: Object) -> None:
    """Lets a plugin load the module of the other revision."""
    module.update(url=image(SECOND_TAG), sha256=image_digest("compat", FILES / "second-image"))


def runs_second(workload: str) -> bool:
    return SECOND_REVISION in {revision[:40] for revision in revisions(workload)}
