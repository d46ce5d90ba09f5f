#!/usr/bin/env python3
"""Runs a real Istio on this machine, without Docker and without a cluster: `make istio-up`, `istio-status`, `istio-down`.

A real API server, istiod and registry, Jaeger and Prometheus; and three workloads, frontend, checkout and stock, each with
Istio's agent and an Envoy in a network namespace of its own, whose traffic is captured by Istio's own rules. What differs from
a cluster: the proxy is upstream's Envoy, so two of istiod's switches keep Istio's own Envoy extensions out; and Pods, Services
and endpoints are objects that nothing schedules.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "envoy"))

from cluster import BIN, RUN, Cluster, endpoints, namespace, service
from counters import REQUESTS, parse_series, table
from lab import GATEWAY, Answer, Forward, Lab, Program, check_host, wait
from proxy import HOST, Failed, exit_status, not_read, port_number
from workload import APPLICATION_PORT, ISTIOD, REGISTRY, Running, Workload

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
# The images that `make image` makes, and under which name the registry has them.
IMAGE, TAG = "tracewarden", "0.1.0"


@dataclass(frozen=True)
class Ports:
    """What a person opens, on the host's loopback."""

    first: int

    def forwards(self) -> tuple[Forward, ...]:
        listed = (
            ("the frontend", WORKLOADS[0].address, APPLICATION_PORT),
            ("Jaeger", HOST, 16686),
            ("Prometheus", HOST, 9090),
            ("the API server", GATEWAY, 6443),
            ("the registry", GATEWAY, 443),
        )
        return tuple(Forward(what, self.first + at, address, port) for at, (what, address, port) in enumerate(listed))

    def of(self, what: str) -> int:
        return next(forward.port for forward in self.forwards() if forward.what == what)


class Mesh:
    """The Istio of a run directory."""

    def __init__(self, directory: Path, kubectl: str, port: int) -> None:
        self.directory = directory
        self.ports = Ports(port)
        self.lab = Lab(directory)
        self.cluster = Cluster(self.lab, kubectl, self.ports.of("the API server"))
        self.envoy = f"{RUN}/envoy"
        self.workloads = {work.name: Running(self.cluster, work, self.envoy) for work in WORKLOADS}

    def up(self, envoy: str, registry: str, skopeo: str, image: Path) -> None:
        """Starts everything anew, or nothing."""
        check_host()
        if self.lab.stop():
            print("Stopped the Istio that ran.")
        programs = self.directory.parent / "programs"
        missing = [name for name in PROGRAMS if not (programs / name).is_file()]
        if missing:
            raise Failed(f"{programs} lacks {', '.join(missing)}; `make istio-programs` builds them")
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        # The proxies' user goes through it.
        self.directory.chmod(0o755)
        shutil.copy(Path(envoy).resolve(), self.directory / "envoy")
        print("Starting a real Istio:", flush=True)
        begin = time.monotonic()
        try:
            self._start(programs, registry, skopeo, image)
        except BaseException:
            self.lab.stop()
            raise
        print(f"ready after {time.monotonic() - begin:.0f} s")

    def _start(self, programs: Path, registry: str, skopeo: str, image: Path) -> None:
        self.step("namespaces", lambda: self.lab.start(self.ports.forwards(), self.places(programs)))
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
        self.step("a request through all three", self.await_request)

    def places(self, programs: Path) -> list[tuple[Path, str]]:
        return [(programs, BIN), (self.directory, RUN), (REPOSITORY / "envoy" / "local", "/mnt/local"), (REPOSITORY, "/mnt/repository")]

    @staticmethod
    def step(what: str, action: Callable[[], object], word: str = "ready") -> None:
        begin = time.monotonic()
        print(f"  {what}…", end="", flush=True)
        try:
            action()
        except BaseException:
            print(" failed", flush=True)
            raise
        print(f" {word} after {time.monotonic() - begin:.1f} s", flush=True)

    def start_registry(self, registry: str, skopeo: str, image: Path) -> None:
        key, certificate = (self.directory / f"registry.{kind}" for kind in ("key", "crt"))
        # The agents ask a registry by name over TLS alone; `WASM_INSECURE_REGISTRIES` lets them accept this certificate.
        subprocess.run([
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={REGISTRY}",
            "-keyout", str(key), "-out", str(certificate),
        ], check=True, capture_output=True)  # fmt: skip
        tls = {"certificate": f"{RUN}/registry.crt", "key": f"{RUN}/registry.key"}
        storage = {"filesystem": {"rootdirectory": f"{RUN}/registry"}, "delete": {"enabled": True}}
        config = {"version": 0.1, "log": {"level": "warn"}, "http": {"addr": f"{GATEWAY}:443", "tls": tls}, "storage": storage}
        (self.directory / "registry.json").write_text(json.dumps(config), "utf-8")
        self.serve_registry(registry)
        for variant in ("compat", "artifact"):
            tag = TAG if variant == "compat" else f"{TAG}-{variant}"
            self.push(skopeo, image / variant, tag)

    def serve_registry(self, registry: str) -> None:
        program = self.lab.spawn("registry", [os.path.abspath(registry), "serve", f"{RUN}/registry.json"])
        wait("the registry", lambda: self.lab.accepts(GATEWAY, 443), 20, program.log, program.child)

    def push(self, skopeo: str, layout: Path, tag: str) -> None:
        target = f"docker://{HOST}:{self.ports.of('the registry')}/{IMAGE}:{tag}"
        command = [skopeo, "--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{layout}", target]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if answer.returncode != 0:
            raise Failed(f"the image {layout} could not be pushed:\n{answer.stderr}")

    def start_istiod(self) -> None:
        cluster, collector_ports = self.cluster, {"http-otlp": 4318, "grpc-otlp": 4317}
        cluster.apply([namespace(MESH_NAMESPACE), namespace(COLLECTOR_NAMESPACE)])
        cluster.kubectl("apply", "--server-side", "-f", str(self.directory.parent / "programs" / "istio-crds.yaml"))
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

    def start_jaeger(self) -> None:
        config = {
            "service": {
                "extensions": ["jaeger_storage", "jaeger_query"],
                "pipelines": {"traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["jaeger_storage_exporter"]}},
                "telemetry": {"metrics": {"level": "none"}},
            },
            "extensions": {
                "jaeger_query": {
                    "storage": {"traces": "memory"}, "http": {"endpoint": f"{HOST}:16686"}, "grpc": {"endpoint": f"{HOST}:16685"},
                },
                "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 100000}}}},
            },
            "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"{GATEWAY}:4317"}, "http": {"endpoint": f"{GATEWAY}:4318"}}}},
            "processors": {"batch": {"timeout": "200ms"}},
            "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
        }  # fmt: skip
        (self.directory / "jaeger.json").write_text(json.dumps(config), "utf-8")
        jaeger = self.lab.spawn("jaeger", [f"{BIN}/jaeger", "--config", f"{RUN}/jaeger.json"])
        wait("Jaeger", lambda: self.lab.ask(HOST, 16686, "/api/services").status == 200, 30, jaeger.log, jaeger.child)

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

    def serve_application(self, name: str, port: int) -> Program:
        """An application outside of the mesh, at the lab's gateway address."""
        program = self.lab.spawn(name, [sys.executable, "-B", "/mnt/local/application.py", name, "", str(port)])
        wait(f"the application {name}", lambda: self.lab.accepts(GATEWAY, port), 20, program.log, program.child)
        return program

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
  kubectl apply --namespace shop --kustomize envoy/istio/sidecar-observe
  curl {frontend}/                    # frontend calls checkout, and checkout stock
  curl '{frontend}/?forget=checkout'  # checkout forgets the trace context

  make istio-status   # which proxies run what, and what Tracewarden counted
  make istio-down     # stops everything

  Jaeger      http://{HOST}:{mesh.ports.of("Jaeger")}/
  Prometheus  http://{HOST}:{mesh.ports.of("Prometheus")}/alerts
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
            every = parse_series(running.stats())
        except OSError as error:
            print(f"{name}: its proxy does not answer ({error})")
            continue
        counted = table(every) if any(series.name == REQUESTS for series in every) else "  no filter has counted here"
        print(f"{name}, {'ready' if running.is_ready() else 'not ready'}:\n{counted}\n")
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
        count = len(Ports(port).forwards())
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
