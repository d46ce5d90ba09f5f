"""What the labs of Istio and of Envoy Gateway have in common: the lab, its API server, the registry, Jaeger, applications."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Sequence

from cluster import BIN, RUN, Cluster
from lab import GATEWAY, Lab, Ports, Program, check_host, wait
from proxy import HOST, Failed

REPOSITORY = Path(__file__).resolve().parents[2]
REGISTRY = "registry.example"
# The images that `make image` makes, and under which name the registry has them.
IMAGE, TAG = "tracewarden", "0.1.0"


def image_digest(variant: str = "compat", layouts: Path = REPOSITORY / "target/image") -> str:
    """The digest of an image, as 64 hexadecimal digits."""
    index = json.loads((layouts / variant / "index.json").read_text("utf-8"))
    return index["manifests"][0]["digest"].removeprefix("sha256:")


def jaeger_config(receiver: str, grpc: int = 4317, http: int = 4318, query: int = 16686, query_grpc: int = 16685) -> dict[str, object]:
    """A Jaeger that keeps traces in memory. It receives OTLP at an address, and answers queries on loopback alone."""
    protocols = {"grpc": {"endpoint": f"{receiver}:{grpc}"}, "http": {"endpoint": f"{receiver}:{http}"}}
    answers = {"http": {"endpoint": f"{HOST}:{query}"}, "grpc": {"endpoint": f"{HOST}:{query_grpc}"}}
    return {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {"traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
        "extensions": {
            # Otherwise it sends spans of its own to whatever listens on loopback's port 4317.
            "jaeger_query": {"storage": {"traces": "memory"}, "enable_tracing": False, **answers},
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 100000}}}},
        },
        "receivers": {"otlp": {"protocols": protocols}},
        "processors": {"batch": {"timeout": "200ms"}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
    }


class Environment:
    """The lab of a run directory, without its control plane."""

    def __init__(self, directory: Path, kubectl: str, ports: Ports) -> None:
        self.directory = directory
        self.ports = ports
        self.lab = Lab(directory)
        self.cluster = Cluster(self.lab, kubectl, ports.of("the API server"))
        self.programs = directory.parent / "programs"
        self.envoy = f"{RUN}/envoy"

    def begin(self, what: str, envoy: str, needed: Sequence[str], start: Callable[[], None]) -> None:
        """Starts everything anew, or nothing."""
        check_host()
        if self.lab.stop():
            print(f"Stopped the {what} that ran.")
        missing = [name for name in needed if not (self.programs / name).is_file()]
        if missing:
            raise Failed(f"{self.programs} lacks {', '.join(missing)}; make builds them")
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        # The proxies' user goes through it.
        self.directory.chmod(0o755)
        shutil.copy(Path(envoy).resolve(), self.directory / "envoy")
        print(f"Starting a real {what}:", flush=True)
        begin = time.monotonic()
        try:
            self.step("namespaces", lambda: self.lab.start(self.ports.forwards(), self.places()))
            start()
        except BaseException:
            self.lab.stop()
            raise
        print(f"ready after {time.monotonic() - begin:.0f} s")

    def places(self) -> list[tuple[Path, str]]:
        local = REPOSITORY / "envoy" / "local"
        return [(self.programs, BIN), (self.directory, RUN), (local, "/mnt/local"), (REPOSITORY, "/mnt/repository")]

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
        # A registry is asked by name over TLS alone, so the certificate has that name.
        subprocess.run([
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={REGISTRY}",
            "-addext", f"subjectAltName=DNS:{REGISTRY}", "-keyout", str(key), "-out", str(certificate),
        ], check=True, capture_output=True)  # fmt: skip
        tls = {"certificate": f"{RUN}/registry.crt", "key": f"{RUN}/registry.key"}
        storage = {"filesystem": {"rootdirectory": f"{RUN}/registry"}, "delete": {"enabled": True}}
        config = {"version": 0.1, "log": {"level": "warn"}, "http": {"addr": f"{GATEWAY}:443", "tls": tls}, "storage": storage}
        (self.directory / "registry.json").write_text(json.dumps(config), "utf-8")
        self.serve_registry(registry)
        self.know_registry()
        for variant in ("compat", "artifact"):
            tag = TAG if variant == "compat" else f"{TAG}-{variant}"
            self.push(skopeo, image / variant, tag)

    def know_registry(self) -> None:
        """Lets programs in the lab use the registry by its name."""
        containers = "/etc/containers"
        self.lab.run("sh", "-c", f"""set -e
            echo {GATEWAY} {REGISTRY} >>/etc/hosts
            mkdir -p {containers}/registries.conf.d
            echo '{{"default": [{{"type": "insecureAcceptAnything"}}]}}' >{containers}/policy.json
            printf '[[registry]]\nlocation = "{REGISTRY}"\ninsecure = true\n' >{containers}/registries.conf.d/lab.conf""")

    def serve_registry(self, registry: str) -> None:
        """Starts the registry, unless it runs."""
        if self.lab.accepts(GATEWAY, 443):
            return
        program = self.lab.spawn("registry", [os.path.abspath(registry), "serve", f"{RUN}/registry.json"])
        wait("the registry", lambda: self.lab.accepts(GATEWAY, 443), 20, program.log, program.child)

    def end_registry(self) -> None:
        self.lab.end("registry.json")
        wait("the registry is gone", lambda: not self.lab.accepts(GATEWAY, 443), 20)

    def push(self, skopeo: str, layout: Path, tag: str) -> None:
        target = f"docker://{HOST}:{self.ports.of('the registry')}/{IMAGE}:{tag}"
        command = [skopeo, "--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{layout}", target]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if answer.returncode != 0:
            raise Failed(f"the image {layout} could not be pushed:\n{answer.stderr}")

    def start_jaeger(self) -> None:
        (self.directory / "jaeger.json").write_text(json.dumps(jaeger_config(GATEWAY)), "utf-8")
        jaeger = self.lab.spawn("jaeger", [f"{BIN}/jaeger", "--config", f"{RUN}/jaeger.json"])
        wait("Jaeger", lambda: self.lab.ask(HOST, 16686, "/api/services").status == 200, 30, jaeger.log, jaeger.child)

    def serve_application(self, name: str, port: int) -> Program:
        """An application without a proxy of its own, at the lab's gateway address."""
        program = self.lab.spawn(name, [sys.executable, "-B", "/mnt/local/application.py", name, "", str(port)])
        wait(f"the application {name}", lambda: self.lab.accepts(GATEWAY, port), 20, program.log, program.child)
        return program
