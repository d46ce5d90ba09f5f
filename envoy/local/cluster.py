"""A Kubernetes API server with nothing behind it: no scheduler, no kubelet, no controllers. What they would do to the objects
that Istio reads is done here by hand."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from pathlib import Path
from typing import Any, Iterable, Optional

from lab import GATEWAY, Lab, wait
from proxy import HOST, Failed

API_PORT = 6443
BIN = "/mnt/bin"
RUN = "/mnt/run"
Object = dict[str, Any]


class Cluster:
    def __init__(self, lab: Lab, kubectl: str, port: int) -> None:
        self.lab = lab
        self.port = port
        self._kubectl = kubectl
        # One for the host, where the API server is behind a forwarded port, and one for the programs in the lab.
        self.kubeconfig = lab.directory / "kubeconfig"
        self.inside = lab.directory / "kubeconfig.lab"

    def start(self) -> None:
        directory = self.lab.directory
        token = secrets.token_hex(16)
        private(directory / "tokens.csv", f'{token},admin,1,"system:masters"\n')
        key = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, text=True, check=True).stdout
        private(directory / "accounts.key", key)
        local = f"http://{HOST}:2379"
        command = [f"{BIN}/etcd", "--data-dir", f"{RUN}/etcd", "--listen-client-urls", local, "--log-level", "warn"]
        etcd = self.lab.spawn("etcd", [*command, "--advertise-client-urls", local, "--listen-peer-urls", f"http://{HOST}:2380"])
        wait("etcd", lambda: self.lab.ask(HOST, 2379, "/health").status == 200, 60, etcd.log, etcd.child)
        server = self.lab.spawn("kube-apiserver", [
            f"{BIN}/kube-apiserver", f"--etcd-servers={local}", f"--bind-address={GATEWAY}", f"--advertise-address={GATEWAY}",
            f"--secure-port={API_PORT}", f"--cert-dir={RUN}/apiserver", "--service-cluster-ip-range=10.96.0.0/16",
            f"--token-auth-file={RUN}/tokens.csv", "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={RUN}/accounts.key",
            f"--service-account-signing-key-file={RUN}/accounts.key", "--endpoint-reconciler-type=none",
            "--allow-privileged=true", "--v=0",
        ])  # fmt: skip
        certificate = directory / "apiserver" / "apiserver.crt"
        wait("the API server's certificate", certificate.is_file, 60, server.log, server.child)
        self.kubeconfig.write_text(kubeconfig(f"https://{HOST}:{self.port}", certificate, token), "utf-8")
        self.inside.write_text(kubeconfig(f"https://{GATEWAY}:{API_PORT}", Path(f"{RUN}/apiserver/apiserver.crt"), token))
        for file in (self.kubeconfig, self.inside):
            file.chmod(0o600)
        wait("the API server", self.is_ready, 60, server.log, server.child)

    def is_ready(self) -> bool:
        try:
            return self.kubectl("get", "--raw", "/readyz") == "ok"
        except Failed:
            return False

    def kubectl(self, *arguments: str, text: str = "", seconds: float = 60) -> str:
        """What kubectl prints; its own error is the error."""
        command = [self._kubectl, "--kubeconfig", str(self.kubeconfig), *arguments]
        answer = subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds, check=False)
        if answer.returncode != 0:
            raise Failed(f"`kubectl {' '.join(arguments)}` failed:\n{answer.stdout}{answer.stderr}".rstrip())
        return answer.stdout

    def apply(self, objects: Iterable[Object], namespace: Optional[str] = None) -> str:
        """Applies objects; a status, which a kubelet or a controller would write, goes to the status."""
        every = list(objects)
        where = ("--namespace", namespace) if namespace else ()
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": every})
        said = self.kubectl(*where, "apply", "--server-side", "--force-conflicts", "-f", "-", text=document)
        for one in (one for one in every if "status" in one):
            patch = json.dumps({"status": one["status"]})
            kind, name, home = one["kind"].lower(), one["metadata"]["name"], one["metadata"].get("namespace", "default")
            self.kubectl("-n", home, "patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)
        return said


def private(file: Path, text: str) -> None:
    """Writes a file that only its owner reads."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)


def kubeconfig(server: str, authority: Path, token: str) -> str:
    cluster = {"server": server, "certificate-authority": str(authority), "tls-server-name": "kubernetes"}
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
    })  # fmt: skip


def namespace(name: str, labels: Optional[dict[str, str]] = None) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}


def service(name: str, home: str, cluster_ip: str, ports: dict[str, int], selector: Optional[dict[str, str]] = None) -> Object:
    listed = [{"name": called, "port": number, "targetPort": number} for called, number in ports.items()]
    spec: Object = {"clusterIP": cluster_ip, "ports": listed}
    if selector:
        spec["selector"] = selector
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": home}, "spec": spec}


def endpoints(of: str, home: str, address: str, ports: dict[str, int], pod: Optional[str] = None) -> Object:
    """What the controller of endpoints makes of a Service and its Pod."""
    endpoint: Object = {"addresses": [address], "conditions": {"ready": True}}
    if pod:
        endpoint["targetRef"] = {"kind": "Pod", "name": pod, "namespace": home}
    metadata = {"name": of, "namespace": home, "labels": {"kubernetes.io/service-name": of}}
    listed = [{"name": called, "port": number} for called, number in ports.items()]
    slice_ = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "metadata": metadata}
    return {**slice_, "endpoints": [endpoint], "ports": listed}
