"""A workload of the lab: a Pod with an address, a network namespace, Istio's agent with its Envoy, and an application."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from cluster import BIN, RUN, Cluster, Object, endpoints, service
from counters import REQUESTS
from environment import REGISTRY
from lab import GATEWAY, NETWORK, Answer, Lab, Program, wait

# Istio's own choices, as a cluster has them.
PROXY_USER = 1337
STATUS_PORT, ENVOY_METRICS_PORT, HEALTH_PORT, ADMIN_PORT = 15020, 15090, 15021, 15000
OUTBOUND_PORT, INBOUND_PORT = 15001, 15006
APPLICATION_PORT = 8080
# Where this workload's trace health page is, on its loopback.
PAGE_PORT = 15099
ISTIOD = "istiod.istio-system.svc"
READY_SECONDS = 60


@dataclass(frozen=True)
class Workload:
    name: str
    number: int
    namespace: str = "shop"
    # The service that its application calls.
    calls: str = ""
    # `sidecar`, or `router` for a gateway.
    kind: str = "sidecar"
    labels: dict[str, str] = field(default_factory=dict)
    # What the annotation `proxy.istio.io/config` of the Pod says.
    proxy_config: Object = field(default_factory=dict)
    # A directory that is a volume in the proxy, at /etc/tracewarden.
    volume: str = ""
    ports: dict[str, int] = field(default_factory=lambda: {"http": APPLICATION_PORT})

    @property
    def address(self) -> str:
        return f"{NETWORK}.{self.number}"

    @property
    def cluster_ip(self) -> str:
        return f"10.96.0.{self.number}"

    @property
    def pod(self) -> str:
        return f"{self.name}-0"

    @property
    def all_labels(self) -> dict[str, str]:
        return {"app": self.name, "service.istio.io/canonical-name": self.name, "security.istio.io/tlsMode": "istio", **self.labels}

    def objects(self) -> list[Object]:
        """What a Deployment, a kubelet and the controllers would have made."""
        home = {"namespace": self.namespace}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": self.name, **home}}
        proxy = {"name": "istio-proxy", "image": "istio", "ports": [{"name": "http-envoy-prom", "containerPort": ENVOY_METRICS_PORT}]}
        spec = {"serviceAccountName": self.name, "nodeName": "lab", "containers": [proxy]}
        ready = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady", "PodScheduled", "Initialized")]
        status = {"phase": "Running", "podIP": self.address, "podIPs": [{"ip": self.address}], "conditions": ready}
        metadata = {"name": self.pod, "labels": self.all_labels, **home}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}
        return [
            account,
            pod,
            service(self.name, self.namespace, self.cluster_ip, self.ports, {"app": self.name}),
            endpoints(self.name, self.namespace, self.address, self.ports, self.pod),
        ]


class Running:
    """A workload whose programs run in the lab."""

    def __init__(self, cluster: Cluster, workload: Workload, envoy: str) -> None:
        self.cluster = cluster
        self.lab: Lab = cluster.lab
        self.workload = workload
        self._envoy = envoy
        self.agent: Optional[Program] = None
        self.application: Optional[Program] = None
        self.page: Optional[Program] = None

    @property
    def directory(self) -> Path:
        return self.lab.directory / self.workload.name

    def connect_to_bridge(self) -> None:
        """Makes the network namespace, with Istio's own capture of traffic."""
        name = self.workload.name
        self.lab.add_host(name, self.workload.number)
        if self.workload.kind == "sidecar":
            capture = f"{BIN}/pilot-agent istio-iptables -p {OUTBOUND_PORT} -z {INBOUND_PORT} -u {PROXY_USER} -g {PROXY_USER}"
            options = f"-m REDIRECT -i '*' -x '' -b '*' -d {ENVOY_METRICS_PORT},{HEALTH_PORT},{STATUS_PORT}"
            self.lab.run("sh", "-c", f"ip netns exec {name} {capture} {options}")

    def furnish(self, hosts: dict[str, str]) -> None:
        """The files that a Pod's volumes would hold."""
        root = self.directory
        shutil.rmtree(root, ignore_errors=True)
        for directory in ("etc/istio/config", "etc/istio/proxy", "var/lib/istio/envoy", "var/run/secrets/tokens",
                          "var/run/secrets/istio", "data"):  # fmt: skip
            (root / directory).mkdir(parents=True)
        (root / "hosts").write_text("".join(f"{address} {name}\n" for name, address in hosts.items()), "utf-8")
        shutil.copy(self.lab.directory / "mesh.yaml", root / "etc/istio/config/mesh")
        template = self.lab.directory.parent / "programs" / "envoy_bootstrap_tmpl.json"
        shutil.copy(template, root / "var/lib/istio/envoy")
        kubectl, home = self.cluster.kubectl, self.workload.namespace
        token = kubectl("-n", home, "create", "token", self.workload.name, "--audience", "istio-ca", "--duration", "24h")
        (root / "var/run/secrets/tokens/istio-token").write_text(token.strip(), "utf-8")
        path = "jsonpath={.data.root-cert\\.pem}"
        authority = kubectl("-n", home, "get", "configmap", "istio-ca-root-cert", "-o", path)
        (root / "var/run/secrets/istio/root-cert.pem").write_text(authority, "utf-8")
        self.lab.run("chown", "-R", f"{PROXY_USER}:{PROXY_USER}", f"{RUN}/{self.workload.name}")

    def start_agent(self) -> None:
        """Starts Istio's agent as its image does; it starts Envoy."""
        work, name = self.workload, self.workload.name
        config = {
            "binaryPath": self._envoy, "configPath": "./etc/istio/proxy", "discoveryAddress": f"{ISTIOD}:15012", "concurrency": 1,
            **work.proxy_config,
        }  # fmt: skip
        environment = {
            "CLOUD_PLATFORM": "none", "POD_NAME": work.pod, "POD_NAMESPACE": work.namespace, "SERVICE_ACCOUNT": name,
            "INSTANCE_IP": work.address, "HOST_IP": GATEWAY, "ISTIO_META_CLUSTER_ID": "Kubernetes",
            "ISTIO_META_WORKLOAD_NAME": name, "ISTIO_METAJSON_LABELS": json.dumps(work.all_labels),
            "WASM_INSECURE_REGISTRIES": REGISTRY, "PROXY_CONFIG": json.dumps(config),
            # The injection makes these variables of the Pod.
            **work.proxy_config.get("proxyMetadata", {}),
        }  # fmt: skip
        agent = f"{BIN}/pilot-agent proxy {work.kind} --domain {work.namespace}.svc.cluster.local"
        if work.kind == "router":
            environment["ISTIO_META_OWNER"] = f"kubernetes://apis/apps/v1/namespaces/{work.namespace}/deployments/{name}"
        as_proxy = f"setpriv --reuid {PROXY_USER} --regid {PROXY_USER} --clear-groups"
        # Envoy opens its own output anew, as /dev/stdout.
        log = self.lab.directory / f"{name}-agent.log"
        log.write_bytes(b"")
        os.chown(log, PROXY_USER, PROXY_USER)
        self.agent = self.lab.spawn(f"{name}-agent", self._own_files(f"{as_proxy} {agent}"), environment)

    def start_application(self, python: str) -> None:
        name, following = self.workload.name, self.workload.calls
        command = f"{shlex.quote(python)} -B /mnt/local/application.py {name} {following}"
        self.application = self.lab.spawn(f"{name}-application", self._own_files(command))

    def start_page(self) -> None:
        """Serves the trace health page of this workload's Envoy, as docs/health-page.md says."""
        demo = (Path(__file__).resolve().parents[1] / "envoy.yaml").read_text("utf-8")
        listener = demo[demo.index("    - name: report\n") : demo.index("  clusters:\n")]
        router_type = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
        router = f"{{ name: envoy.filters.http.router, typed_config: {{ '@type': {router_type} }} }}"
        listener = listener.replace("10012", str(PAGE_PORT)).replace("*router", router)
        listener = listener.replace("filename: envoy/", "filename: /mnt/repository/envoy/")
        address = f"{{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {ADMIN_PORT} }} }} }}"
        endpoints_of = f"{{ cluster_name: admin_stats, endpoints: [{{ lb_endpoints: [{{ endpoint: {address} }}] }}] }}"
        clusters = f"  clusters:\n    - name: admin_stats\n      load_assignment: {endpoints_of}\n"
        (self.directory / "page.yaml").write_text(f"static_resources:\n  listeners:\n{listener}{clusters}", "utf-8")
        command = f"{self._envoy} -c page.yaml --disable-hot-restart --concurrency 1 --log-level warning"
        self.page = self.lab.spawn(f"{self.workload.name}-page", self._own_files(command))

    def _own_files(self, command: str) -> list[str]:
        """The command in the workload's network, with its own names of hosts and its own directory for modules: agents that
        share one overwrite each other's modules while Envoy reads them."""
        own = f"{RUN}/{self.workload.name}"
        volume = f"mount --bind {self.workload.volume} /etc/tracewarden" if self.workload.volume else ""
        script = f"""set -e
            cd {own}
            {volume}
            mount --bind {own}/hosts /etc/hosts
            mount --bind {own}/data /var/lib/istio/data
            exec nsenter --net=/run/netns/{self.workload.name} -- {command}"""
        return ["unshare", "--mount", "sh", "-c", script]

    def stop(self) -> None:
        """Ends the workload, and takes its objects out of the API server."""
        for program in (self.application, self.agent):
            if program:
                program.stop()
        self.lab.run("ip", "netns", "delete", self.workload.name)
        for one in self.workload.objects():
            self.cluster.kubectl("-n", self.workload.namespace, "delete", one["kind"], one["metadata"]["name"], "--force")

    def is_ready(self) -> bool:
        return self.lab.ask(self.workload.address, STATUS_PORT, "/healthz/ready").status == 200

    def await_ready(self, seconds: float = READY_SECONDS) -> None:
        assert self.agent
        wait(f"{self.workload.name}'s proxy", self.is_ready, seconds, self.agent.log, self.agent.child)

    def admin(self, path: str, method: str = "GET") -> str:
        """What this workload's Envoy says at its admin endpoint, which only its own namespace reaches."""
        return self.lab.ask("127.0.0.1", ADMIN_PORT, path, host=self.workload.name, method=method).text

    def call(self, path: str, headers: Optional[dict[str, str]] = None, port: int = APPLICATION_PORT) -> Answer:
        """Calls the workload from outside of the mesh."""
        return self.lab.ask(self.workload.address, port, path, headers)

    def requests(self, **labels: str) -> float:
        """How many requests its Tracewarden counted with these labels."""
        return self.total(REQUESTS, **labels)

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's series with these labels, of Tracewarden, of Envoy or of the agent; 0 if there are none."""
        found = 0.0
        for line in self.stats().splitlines():
            match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if match and labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', match[1] or "")).items():
                found += float(match[2])
        return found

    def log(self) -> str:
        """What the agent and its Envoy wrote since the agent started."""
        assert self.agent
        return self.agent.log.read_text("utf-8", "replace")

    def stats(self) -> str:
        """What a cluster's scrape gets: the agent's metrics and Envoy's."""
        return self.lab.ask(self.workload.address, STATUS_PORT, "/stats/prometheus").text
