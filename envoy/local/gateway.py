"""Envoy Gateway's real controller in a lab, and the proxies that its Deployments describe: `make test-gateway` uses it.

A real API server and registry, and Jaeger. What differs from a cluster: nothing schedules the Deployments, so their Pods are
run here by hand, as upstream's Envoy.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Optional

from cluster import BIN, RUN, Object, endpoints, namespace, service
from environment import REGISTRY, Environment
from lab import GATEWAY, NETWORK, Answer, Opened, Ports, Program, wait
from proxy import HOST

DEFAULT_PORT = 12100
CONTROLLER_NAMESPACE = "envoy-gateway-system"
CONTROLLER = f"envoy-gateway.{CONTROLLER_NAMESPACE}.svc.cluster.local"
CONTROLLER_NUMBER, PROXY_NUMBER = 2, 11
# Where the controller serves the configuration of proxies, and where modules.
XDS_PORT, MODULE_PORT = 18000, 18002
CONTROLLER_READY_PORT = 8081
NAMESPACE, GATEWAY_NAME = "shop", "edge"
PROGRAMS = ("etcd", "kube-apiserver", "envoy-gateway", "jaeger", "gateway-crds.yaml")
# Envoy Gateway's choices: what a Service's port 80 reaches, Envoy's own stats, probes, and admin endpoint.
HTTP_PORT, STATS_PORT, READY_PORT, ADMIN_PORT = 10080, 19001, 19003, 19000
APPLICATION_PORT = 8080
OPEN = (Opened("the API server", GATEWAY, 6443), Opened("the registry", GATEWAY, 443))


class EnvoyGateway(Environment):
    """The Envoy Gateway of a run directory, with the proxy of one Gateway."""

    def __init__(self, directory: Path, kubectl: str, port: int) -> None:
        super().__init__(directory, kubectl, Ports(port, OPEN))
        self.proxy = Proxy(self)

    def up(self, envoy: str, registry: str, skopeo: str, image: Path) -> None:
        self.begin("Envoy Gateway", envoy, PROGRAMS, lambda: self._start(registry, skopeo, image))

    def _start(self, registry: str, skopeo: str, image: Path) -> None:
        self.step("the registry, with the image", lambda: self.start_registry(registry, skopeo, image))
        self.step("etcd and the API server", self.cluster.start)
        self.step("the definitions", self.define)
        self.step("the controller", self.start_controller)
        self.step("Jaeger", self.start_jaeger)
        self.step("the application", self.start_application)

    def define(self) -> None:
        self.cluster.kubectl("apply", "--server-side", "-f", str(self.programs / "gateway-crds.yaml"))
        self.cluster.apply([namespace(CONTROLLER_NAMESPACE), namespace(NAMESPACE)])

    def start_controller(self) -> None:
        self.lab.add_host("controller", CONTROLLER_NUMBER)
        address = f"{NETWORK}.{CONTROLLER_NUMBER}"
        # Its name is spelt with a last dot, too, which a name server would not mind.
        names = {REGISTRY: GATEWAY, CONTROLLER: address, f"{CONTROLLER}.": address}
        lines = "".join(f"{address} {name}\n" for name, address in names.items())
        # Nobody answers other names, and a refusal comes at once.
        refuse = f"rm -f /etc/resolv.conf; echo nameserver {HOST} >/etc/resolv.conf"
        self.lab.run("sh", "-c", f"cat >>/etc/hosts; {refuse}", text=lines)
        provider = {"type": "Kubernetes", "kubernetes": {"leaderElection": {"disable": True}}}
        config = {
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyGateway", "provider": provider,
            "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        }  # fmt: skip
        (self.directory / "gateway.json").write_text(json.dumps(config), "utf-8")
        environment = [f"{name}={value}" for name, value in self._environment().items()]
        certgen = ["env", *environment, f"{BIN}/envoy-gateway", "certgen", "--disable-topology-injector"]
        self.lab.run(*certgen)
        write_volume(self.directory / "controller-certs", self.secret("envoy-gateway"))
        self.run_controller()

    def _environment(self) -> dict[str, str]:
        # The registry's certificate is in the system's store, as that of a real registry is.
        return {
            "KUBECONFIG": f"{RUN}/kubeconfig.lab", "ENVOY_GATEWAY_NAMESPACE": CONTROLLER_NAMESPACE,
            "SSL_CERT_FILE": f"{RUN}/registry.crt",
        }  # fmt: skip

    def run_controller(self) -> None:
        # A new Pod has pulled nothing yet.
        self.lab.run("rm", "-rf", "/var/lib/eg")
        command = [f"{BIN}/envoy-gateway", "server", "--config-path", f"{RUN}/gateway.json"]
        pod = self.lab.as_pod("controller", {"/certs": f"{RUN}/controller-certs"}, command)
        program = self.lab.spawn("controller", pod, self._environment())
        wait("the controller", self.controller_is_ready, 60, program.log, program.child)

    def controller_is_ready(self) -> bool:
        return self.lab.ask(f"{NETWORK}.{CONTROLLER_NUMBER}", CONTROLLER_READY_PORT, "/readyz").status == 200

    def is_controller_up(self) -> bool:
        return self.lab.accepts(f"{NETWORK}.{CONTROLLER_NUMBER}", XDS_PORT)

    def stop_controller(self) -> None:
        self.lab.end("envoy-gateway server")
        wait("the controller's end", lambda: not self.is_controller_up(), 20)

    def publish_collector(self) -> None:
        """A Service for Jaeger, and a route that nobody's requests take, which makes a cluster of it in the proxies."""
        ports, metadata = {"http": 4318}, {"name": "collector", "namespace": NAMESPACE}
        rules = [{"backendRefs": [{"name": "collector", "port": 4318}]}]
        spec = {"parentRefs": [{"name": GATEWAY_NAME}], "hostnames": ["collector.invalid"], "rules": rules}
        self.cluster.apply([
            service("collector", NAMESPACE, "10.96.0.12", ports), endpoints("collector", NAMESPACE, GATEWAY, ports),
            {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": spec},
        ])  # fmt: skip

    def spans(self, trace: str) -> list[Object]:
        """The spans of a trace that Jaeger has."""
        answer = self.lab.ask(HOST, 16686, f"/api/traces/{trace}")
        return json.loads(answer.text)["data"][0]["spans"] if answer.status == 200 else []

    def start_application(self) -> None:
        self.serve_application("shop", APPLICATION_PORT)
        ports = {"http": APPLICATION_PORT}
        self.cluster.apply([
            service("shop", NAMESPACE, "10.96.0.11", ports), endpoints("shop", NAMESPACE, GATEWAY, ports),
        ])  # fmt: skip

    def log(self) -> Path:
        return self.directory / "controller.log"

    def complaints(self) -> str:
        """What the controller and the proxy complained about."""
        lines = self.log().read_text("utf-8", "replace").splitlines()
        return "\n".join([line for line in lines if re.search(r"\t(error|warn)\t", line)][-10:] + self.proxy.log().splitlines()[-20:])

    def secret(self, name: str) -> dict[str, bytes]:
        found = self.get(CONTROLLER_NAMESPACE, "secret", name)
        return {key: base64.b64decode(value) for key, value in found["data"].items()}

    def get(self, home: str, *arguments: str) -> Object:
        return json.loads(self.cluster.kubectl("-n", home, "get", *arguments, "-o", "json"))


class Proxy:
    """The Pod of the Deployment that the controller makes for the Gateway."""

    name, pod = "proxy", "proxy-0"
    address = f"{NETWORK}.{PROXY_NUMBER}"

    def __init__(self, gateway: EnvoyGateway) -> None:
        self._gateway = gateway
        self._lab = gateway.lab
        self._log = gateway.directory / "proxy.log"
        self._program: Optional[Program] = None

    def deployment(self) -> Optional[Object]:
        """What the controller says of the Gateway's proxies, once it does."""
        owned = f"gateway.envoyproxy.io/owning-gateway-name={GATEWAY_NAME}"
        found = self._gateway.get(CONTROLLER_NAMESPACE, "deployment", "-l", owned)["items"]
        return found[0] if found else None

    def start(self) -> None:
        """Does what a scheduler, a kubelet and the controller of endpoints do with the Deployment."""
        wait("the Gateway's Deployment", lambda: self.deployment() is not None, 30, self._gateway.log())
        deployment = self.deployment()
        assert deployment
        if not self._log.exists():
            self._lab.add_host(self.name, PROXY_NUMBER)
        self._log.write_bytes(b"")
        pod = deployment["spec"]["template"]["spec"]
        container = next(one for one in pod["containers"] if one["name"] == "envoy")
        fields = {
            "metadata.name": self.pod, "metadata.namespace": CONTROLLER_NAMESPACE,
            "metadata.annotations['topology.kubernetes.io/zone']": "",
        }  # fmt: skip
        environment = {
            one["name"]: one.get("value", "") or fields.get(one.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", ""), "")
            for one in container["env"]
        }
        arguments = [re.sub(r"\$\((\w+)\)", lambda match: environment[match[1]], one) for one in container["args"]]
        command = [self._gateway.envoy, *arguments]
        self._publish(deployment)
        self._program = self._lab.spawn("proxy", self._lab.as_pod(self.name, self._volumes(pod, container), command), environment)

    def _volumes(self, pod: Object, container: Object) -> dict[str, str]:
        """The Secrets and ConfigMaps that the container mounts, as directories."""
        volumes = {one["name"]: one for one in pod["volumes"]}
        mounts = {}
        for mount in container["volumeMounts"]:
            volume, name = volumes[mount["name"]], f"proxy-{mount['name']}"
            if "secret" in volume:
                files = self._gateway.secret(volume["secret"]["secretName"])
            else:
                found = self._gateway.get(CONTROLLER_NAMESPACE, "configmap", volume["configMap"]["name"])["data"]
                files = {one["path"]: found[one["key"]].encode() for one in volume["configMap"]["items"]}
            write_volume(self._lab.directory / name, files)
            mounts[mount["mountPath"]] = f"{RUN}/{name}"
        return mounts

    def _publish(self, deployment: Object) -> None:
        """What controllers say of a Deployment and its Service once the Pod is ready."""
        name = deployment["metadata"]["name"]
        found = self._gateway.get(CONTROLLER_NAMESPACE, "service", name)
        slice_ = endpoints(name, CONTROLLER_NAMESPACE, self.address, {one["name"]: one["targetPort"] for one in found["spec"]["ports"]})
        slice_["metadata"]["labels"] |= found["metadata"]["labels"]
        self._gateway.cluster.apply([slice_])
        available = {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}
        balancer = {"loadBalancer": {"ingress": [{"ip": self.address}]}}
        for kind, status in (("deployment", available), ("service", balancer)):
            patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
            self._gateway.cluster.kubectl("-n", CONTROLLER_NAMESPACE, "patch", kind, name, *patch)

    def stop(self) -> None:
        """Ends the proxy, whoever started it."""
        self._lab.end(f"--service-node {self.pod}")
        self._program = None

    def await_ready(self, seconds: float = 60) -> None:
        assert self._program
        wait("the proxy", self.is_ready, seconds, self._program.log, self._program.child)

    def runs(self) -> bool:
        return self._program is not None and self._program.child.poll() is None

    def is_ready(self) -> bool:
        return self._lab.accepts(self.address, READY_PORT) and self._lab.ask(self.address, READY_PORT, "/ready").status == 200

    def listens(self) -> bool:
        return self._lab.accepts(self.address, HTTP_PORT)

    def request(self, path: str = "/", headers: Optional[dict[str, str]] = None, seconds: float = 10) -> Answer:
        """Calls the application through the Gateway."""
        return self._lab.ask(self.address, HTTP_PORT, path, {"host": "shop.example", **(headers or {})}, seconds=seconds)

    def stats(self) -> str:
        return self._lab.ask(self.address, STATS_PORT, "/stats/prometheus").text

    def admin(self, path: str) -> str:
        return self._lab.ask(HOST, ADMIN_PORT, path, host=self.name).text

    def log(self) -> str:
        """What Envoy wrote since it started, without its access log."""
        lines = self._log.read_text("utf-8", "replace").splitlines()
        return "\n".join(line for line in lines if line.startswith("["))


def write_volume(directory: Path, files: dict[str, bytes]) -> None:
    directory.mkdir(exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
