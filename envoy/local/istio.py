#!/usr/bin/env python3
"""Runs a real Istio on this machine, without Docker and without a cluster: `make istio-up`, `istio-status`, `istio-down`.

A real API server, istiod and registry, Jaeger and Prometheus; and three workloads, frontend, checkout and stock, each with
Istio's agent and an Envoy in a network namespace of its own, whose traffic is captured by Istio's own rules. What differs from
a cluster: the proxy is upstream's Envoy, so two of istiod's switches keep Istio's own Envoy extensions out; and Pods, Services
and endpoints are objects that nothing schedules.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cluster import BIN, RUN, endpoints, namespace, service
from counters import REQUESTS, builds, parse_series, table
from environment import REPOSITORY, Environment, image_digest
from lab import GATEWAY, Answer, Opened, Ports, wait
from proxy import HOST, Failed, exit_status, not_read, port_number
from workload import APPLICATION_PORT, ISTIOD, PAGE_PORT, REGISTRY, Running, Workload

DEFAULT_PORT = 12000
MESH_NAMESPACE = "istio-system"
COLLECTOR_NAMESPACE, COLLECTOR = "observability", "otel-collector"
PROGRAMS = ("etcd", "kube-apiserver", "pilot-discovery", "pilot-agent", "jaeger", "prometheus")
EXIT_NOT_RUNNING = 3

WORKLOADS = (
    Workload("frontend", 11, calls="checkout"),
    Workload("checkout", 12, calls="stock"),
    Workload("stock", 13),
)


def page_of(work: Workload) -> str:
    return f"{work.name}'s page"


# What a person opens.
OPEN = (
    Opened("the frontend", WORKLOADS[0].address, APPLICATION_PORT),
    Opened("Jaeger", HOST, 16686),
    Opened("Prometheus", HOST, 9090),
    Opened("the API server", GATEWAY, 6443),
    Opened("the registry", GATEWAY, 443),
    *(Opened(page_of(work), HOST, PAGE_PORT, work.name) for work in WORKLOADS),
)


class Mesh(Environment):
    """The Istio of a run directory."""

    def __init__(self, directory: Path, kubectl: str, port: int) -> None:
        super().__init__(directory, kubectl, Ports(port, OPEN))
        self.workloads = {work.name: Running(self.cluster, work, self.envoy) for work in WORKLOADS}

    def up(self, envoy: str, registry: str, skopeo: str, image: Path) -> None:
        self.begin("Istio", envoy, PROGRAMS, lambda: self._start(registry, skopeo, image))

    def _start(self, registry: str, skopeo: str, image: Path) -> None:
        self.step("the registry, with the image", lambda: self.start_registry(registry, skopeo, image))
        self.step("etcd and the API server", self.cluster.start)
        self.step("istiod", self.start_istiod)
        self.step("Jaeger", self.start_jaeger)
        self.step("Prometheus", self.start_prometheus)
        self.cluster.apply([one for work in WORKLOADS for one in work.objects()])
        for running in self.workloads.values():
            self.step(running.workload.name, lambda running=running: self.start_workload(running), "starting")
        for running in self.workloads.values():
            self.step(f"{running.workload.name}'s proxy", running.await_ready)
            running.start_page()
        self.step("a request through all three", self.await_request)

    def start_istiod(self) -> None:
        cluster, collector_ports = self.cluster, {"http-otlp": 4318, "grpc-otlp": 4317}
        cluster.apply([namespace(MESH_NAMESPACE), namespace(COLLECTOR_NAMESPACE)])
        cluster.kubectl("apply", "--server-side", "-f", str(self.programs / "istio-crds.yaml"))
        cluster.apply([
            service(COLLECTOR, COLLECTOR_NAMESPACE, "10.96.0.2", collector_ports),
            endpoints(COLLECTOR, COLLECTOR_NAMESPACE, GATEWAY, collector_ports),
        ])  # fmt: skip
        (self.directory / "mesh.yaml").write_text(self.mesh_config(), "utf-8")
        self.run_istiod()
        self.prepare_namespace("shop")

    def run_istiod(self) -> None:
        environment = {
            "CLOUD_PLATFORM": "none", "POD_NAME": "istiod-0", "POD_NAMESPACE": MESH_NAMESPACE, "PILOT_ENABLE_GATEWAY_API": "false",
            "PILOT_ENABLE_ALPN_FILTER": "false", "PILOT_ENABLE_METADATA_EXCHANGE": "false",
        }  # fmt: skip
        istiod = self.lab.spawn("istiod", [
            f"{BIN}/pilot-discovery", "discovery", "--kubeconfig", f"{RUN}/kubeconfig.lab", "--meshConfig", f"{RUN}/mesh.yaml",
            "--grpcAddr", f"{HOST}:15010", "--secureGRPCAddr", f"{GATEWAY}:15012", "--httpsAddr", f"{HOST}:15017",
            "--httpAddr", f"{HOST}:15080", "--monitoringAddr", f"{HOST}:15014", "--ctrlz_port", "0",
        ], environment)  # fmt: skip
        wait("istiod", lambda: self.lab.ask(HOST, 15080, "/ready").status == 200, 60, istiod.log, istiod.child)

    def prepare_namespace(self, name: str) -> None:
        """Makes a namespace, and waits for what istiod puts into each."""
        self.cluster.apply([namespace(name, {"istio-injection": "enabled"})])
        authority = ("-n", name, "get", "configmap", "-o", "name")
        wait(f"the root certificate in {name}", lambda: "istio-ca-root-cert" in self.cluster.kubectl(*authority), 30)

    def mesh_config(self) -> str:
        """What `envoy/istio/mesh` says of the mesh's configuration."""
        lines = self.cluster.kubectl("kustomize", str(REPOSITORY / "envoy/istio/mesh")).splitlines()
        start = lines.index("  meshConfig:") + 1
        return "".join(f"{line[4:]}\n" for line in lines[start:])

    def start_prometheus(self) -> None:
        found = (REPOSITORY / "envoy/istio/prometheus.yaml").read_text("utf-8")
        role = "{ role: pod }"
        if role not in found:
            raise Failed(f"envoy/istio/prometheus.yaml lacks `{role}`: it and istio.py no longer fit together")
        found = found.replace(role, f"{{ role: pod, kubeconfig_file: {RUN}/kubeconfig.lab }}")
        rules = "rule_files: ['/mnt/repository/envoy/prometheus/tracewarden.*.yaml']\n"
        config = f"global: {{ scrape_interval: 5s, evaluation_interval: 5s }}\n{rules}{found}"
        (self.directory / "prometheus.yaml").write_text(config, "utf-8")
        command = [f"{BIN}/prometheus", f"--config.file={RUN}/prometheus.yaml", f"--storage.tsdb.path={RUN}/prometheus"]
        prometheus = self.lab.spawn("prometheus", [*command, f"--web.listen-address={HOST}:9090"])
        wait("Prometheus", lambda: self.lab.ask(HOST, 9090, "/-/ready").status == 200, 30, prometheus.log, prometheus.child)

    def log_of(self, workload: str) -> str:
        return (self.directory / f"{workload}-agent.log").read_text("utf-8", "replace")

    def start_workload(self, running: Running) -> None:
        self.cluster.apply(running.workload.objects())
        running.connect_to_bridge()
        running.furnish(self.hosts())
        if running.workload.kind == "sidecar":
            running.start_application(sys.executable)
        running.start_agent()

    def await_request(self) -> None:
        frontend = self.workloads["frontend"]
        assert frontend.agent
        wait("a request through all three", lambda: self.request(seconds=2).status == 200, 30, frontend.agent.log)

    def request(self, path: str = "/", headers: Optional[dict[str, str]] = None, seconds: float = 10) -> Answer:
        """Calls the frontend as someone outside of the mesh does."""
        return self.lab.ask(WORKLOADS[0].address, APPLICATION_PORT, path, headers, seconds=seconds)

    def hosts(self) -> dict[str, str]:
        """What the cluster's DNS would answer."""
        names = {"localhost": HOST, ISTIOD: GATEWAY, REGISTRY: GATEWAY}
        for work in WORKLOADS:
            names |= dict.fromkeys((work.name, f"{work.name}.{work.namespace}"), work.cluster_ip)
        return names


def up(arguments: argparse.Namespace, mesh: Mesh) -> int:
    mesh.up(arguments.envoy, arguments.registry, arguments.skopeo, arguments.image)
    print()
    print(what_to_try(mesh))
    return 0


def what_to_try(mesh: Mesh) -> str:
    frontend = f"http://{HOST}:{mesh.ports.of('the frontend')}"
    return f"""\
  export KUBECONFIG={mesh.cluster.kubeconfig}
  kubectl kustomize envoy/istio/sidecar-observe | sed 's/SET-THIS-.*/{image_digest()}/' | kubectl apply --namespace shop -f -
  curl {frontend}/                    # frontend calls checkout, and checkout stock
  curl '{frontend}/?forget=checkout'  # checkout forgets the trace context

  make istio-status   # which proxies run what, and what Tracewarden counted
  make istio-down     # stops everything

  Jaeger      http://{HOST}:{mesh.ports.of("Jaeger")}/
  Prometheus  http://{HOST}:{mesh.ports.of("Prometheus")}/alerts
  pages       {" ".join(f"http://{HOST}:{mesh.ports.of(page_of(work))}/" for work in WORKLOADS)}
  logs        {mesh.directory}"""


def down(_: argparse.Namespace, mesh: Mesh) -> int:
    print("Stopped everything." if mesh.lab.stop() else "No Istio runs here.")
    return 0


def status(_: argparse.Namespace, mesh: Mesh) -> int:
    if mesh.lab.process() is None:
        print("No Istio runs here; `make istio-up` starts it.")
        return EXIT_NOT_RUNNING
    for running in mesh.workloads.values():
        name = running.workload.name
        try:
            page = running.stats()
        except OSError as error:
            print(f"{name}: its proxy does not answer ({error})")
            continue
        runs = " and ".join(f"Tracewarden {revision}" for revision in sorted(builds(page)))
        ready = "ready" if running.is_ready() else "not ready"
        print(f"{name} is {ready} and runs {runs or 'no Tracewarden'}")
        every = parse_series(page)
        if any(series.name == REQUESTS for series in every):
            print(table(every))
        print()
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for action, what in ((up, "start it, or start it anew"), (status, "say what runs and what was counted"), (down, "stop it")):
        command = commands.add_parser(action.__name__, help=what)
        command.set_defaults(action=action)
        command.add_argument("--run-dir", type=Path, default=REPOSITORY / "target/istio", metavar="DIR")
        command.add_argument("--kubectl", default=os.environ.get("KUBECTL", "kubectl"), metavar="PATH")
        port = int(os.environ.get("ISTIO_PORT") or DEFAULT_PORT)
        count = len(OPEN)
        what = f"the first of {count} ports on loopback (default: $ISTIO_PORT, else {DEFAULT_PORT})"
        command.add_argument("--port", type=port_number, default=port, metavar="PORT", help=what)
        if action is up:
            command.add_argument("--envoy", required=True, metavar="PATH")
            command.add_argument("--registry", default=str(REPOSITORY / ".venv/bin/docker-registry"), metavar="PATH")
            command.add_argument("--skopeo", default=str(REPOSITORY / ".venv/bin/skopeo"), metavar="PATH")
            command.add_argument("--image", type=Path, default=REPOSITORY / "target/image", metavar="DIR")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    return not_read(lambda: arguments.action(arguments, Mesh(arguments.run_dir.resolve(), arguments.kubectl, arguments.port)))


if __name__ == "__main__":
    sys.exit(exit_status("istio.py", main))
