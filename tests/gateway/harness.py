"""What the tests in the real Envoy Gateway share: the lab, the policies as people apply them, their status, and counters."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unittest
from collections import Counter
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Callable, Optional

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / place) for place in ("envoy/local", "envoy", "tests/labs")]

from cluster import RUN
from counters import REQUESTS, builds, parse_series
from environment import IMAGE, REGISTRY, TAG, image_digest
from gateway import DEFAULT_PORT, EnvoyGateway
from lab import GATEWAY, Answer, wait
from modules import other_revision
from proxy import Failed
import traffic
from traffic import context

Object = dict[str, Any]
NAMESPACE = "shop"
EDGE, ROUTE = "tracewarden-edge", "tracewarden-route"
SETTLED_SECONDS = 30
SKOPEO = str(REPOSITORY / ".venv/bin/skopeo")
DOCKER_REGISTRY = str(REPOSITORY / ".venv/bin/docker-registry")

gateway = EnvoyGateway(REPOSITORY / "target/gateway", os.environ["KUBECTL"], int(os.environ.get("GATEWAY_PORT") or DEFAULT_PORT))
proxy = gateway.proxy
FILES, FILES_PORT = gateway.directory / "files", 8070
Load = partial(traffic.Load, proxy.request)


def start() -> None:
    """A controller that nobody has used."""
    gateway.up(os.environ["ENVOY"], DOCKER_REGISTRY, SKOPEO, REPOSITORY / "target/image")


def prepare() -> None:
    """The Gateway, with the EnvoyProxy as the quick start applies it, and its proxy."""
    kubectl("apply", "-f", str(REPOSITORY / "tests/gateway/gateway.yaml"))
    for command in quick_start()[:2]:
        as_written(command)
    wait("the Deployment with our stats tags", lambda: "wasmcustom" in json.dumps(proxy.deployment()), 30, gateway.log())
    proxy.stop()
    start_proxy()
    serve_files()


def serve_files() -> None:
    """The module as a file, whole, damaged, and as if of another revision."""
    module = (REPOSITORY / "target/tracewarden.wasm").read_bytes()
    FILES.mkdir(exist_ok=True)
    for name, content in {"whole": module, "damaged": module[: len(module) // 2], "second": other_revision(module)}.items():
        (FILES / f"{name}.wasm").write_bytes(content)
    if not gateway.lab.accepts(GATEWAY, FILES_PORT):
        gateway.lab.spawn("files", [sys.executable, "-m", "http.server", str(FILES_PORT), "-d", f"{RUN}/files"])
        wait("the server of files", lambda: gateway.lab.accepts(GATEWAY, FILES_PORT), 20)


def from_file(name: str) -> Callable[[Object], None]:
    """Lets a policy load a file instead of the image."""
    digest = sha256((FILES / f"{name}.wasm").read_bytes()).hexdigest()
    source = {"url": f"http://{GATEWAY}:{FILES_PORT}/{name}.wasm", "sha256": digest}
    return lambda module: module.update(code={"type": "HTTP", "http": source})


def quick_start() -> list[str]:
    """The commands of the document's quick start, as they are written there; nothing in the lab forwards ports."""
    text = (REPOSITORY / "docs/envoy-gateway.md").read_text("utf-8").split("\n## ")[1]
    lines = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)).splitlines()
    return [line for line in lines if line.startswith("kubectl ") and " port-forward " not in line]


def as_written(command: str) -> str:
    """What a command prints that is run in the repository by a shell."""
    places = f"{Path(os.environ['KUBECTL']).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": places, "KUBECONFIG": str(gateway.cluster.kubeconfig)}
    return subprocess.run(command, shell=True, cwd=REPOSITORY, env=environment, check=True, text=True, stdout=subprocess.PIPE).stdout


def start_proxy() -> None:
    proxy.start()
    proxy.await_ready()
    wait("the Gateway's listener", proxy.listens, 30, gateway.log())


def kubectl(*arguments: str, text: str = "") -> str:
    return gateway.cluster.kubectl("--namespace", NAMESPACE, *arguments, text=text)


def render(case: str, change: Optional[Callable[[Object], object]] = None) -> Object:
    """The policy of a case in envoy/gateway with the image of this work tree, and with a change of what it loads."""
    text = kubectl("kustomize", str(REPOSITORY / "envoy/gateway" / case))
    policy = json.loads(kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", text=text))
    module = policy["spec"]["wasm"][0]
    module["code"]["image"].update(url=image(), sha256=image_digest())
    if change:
        change(module)
    return policy


def image(tag: str = TAG) -> str:
    return f"{REGISTRY}/{IMAGE}:{tag}"


def apply(policy: Object) -> None:
    """Applies a policy as its users do: what is not valid is refused."""
    kubectl("apply", "--validate=strict", "-f", "-", text=json.dumps(policy))


def conditions(policy: str) -> dict[str, tuple[str, str, str]]:
    """What the controller says of a policy as it is now: status, reason and message of each condition."""
    found = gateway.get(NAMESPACE, "envoyextensionpolicy", policy)
    listed = [one for of in found.get("status", {}).get("ancestors", []) for one in of["conditions"]]
    now = found["metadata"]["generation"]
    return {one["type"]: (one["status"], one["reason"], one["message"]) for one in listed if one["observedGeneration"] == now}


def counted() -> Counter[tuple[str, str, str]]:
    """How many requests were counted, by role, mode and what came."""
    found: Counter[tuple[str, str, str]] = Counter()
    for one in parse_series(proxy.stats()):
        if one.name == REQUESTS:
            found[one.labels["role"], one.labels["mode"], one.labels["context"]] += int(one.value)
    return +found


def counted_of(headers: Optional[dict[str, str]] = None, host: str = "shop.example") -> tuple[Answer, dict[tuple[str, str, str], int]]:
    """The answer to a request, and what was counted of it."""
    before = counted()
    answer = proxy.request("/", {**(context() if headers is None else headers), "host": host})
    return answer, dict(counted() - before)


def revisions() -> set[str]:
    """Which builds of Tracewarden the proxy runs."""
    return builds(proxy.stats())


def bypassed() -> float:
    return sum(one.value for one in parse_series(proxy.stats()) if one.name == "tracewarden_bypassed_total")


def rejected() -> int:
    """How many updates of a listener Envoy rejected."""
    return stat("listener_manager.lds.update_rejected")


def stat(name: str) -> int:
    """One of Envoy's own counters; 0 if it has none."""
    found = proxy.admin(f"/stats?filter=^{name}$").split(": ")
    return int(found[1]) if len(found) > 1 else 0


def eventually(what: str, check: Callable[[], object], seconds: float = SETTLED_SECONDS) -> None:
    """Waits till a check holds; otherwise shows what the controller and the proxy said."""
    try:
        wait(what, check, seconds)
    except Failed as error:
        raise AssertionError(f"{error}\n{gateway.complaints()}") from None


def await_counted(times: int = 1) -> None:
    """Waits till a request is answered, and counted so often."""
    eventually(f"a request is counted {times} times", lambda: counts(times))


def counts(times: int) -> bool:
    answer, found = counted_of()
    return answer.status == 200 and sum(found.values()) == times


def await_status(status: int) -> None:
    eventually(f"requests are answered {status}", lambda: proxy.request().status == status)


def statuses(count: int = 10) -> set[int]:
    """How requests are answered."""
    return {proxy.request("/", context()).status for _ in range(count)}


class Case(unittest.TestCase):
    """A test that leaves no policy behind, and the proxy as it was."""

    maxDiff = None

    def setUp(self) -> None:
        self.addCleanup(self.remove_all)

    def remove_all(self) -> None:
        kubectl("delete", "envoyextensionpolicy", "--all", "--wait=true")
        if not proxy.runs():
            start_proxy()
        await_counted(0)

    def deploy(self, policy: Object) -> None:
        """Applies a policy, and waits till it counts."""
        apply(policy)
        await_counted()

    def restart_proxy(self) -> None:
        proxy.stop()
        start_proxy()

    def assert_accepted(self, policy: str, accepted: bool, said: str = "") -> None:
        """Waits for what the controller says of a policy as it is now."""
        eventually(f"{policy} has a status", lambda: "Accepted" in conditions(policy))
        status, _, message = conditions(policy)["Accepted"]
        self.assertEqual((status, said in message), (str(accepted), True), message)
