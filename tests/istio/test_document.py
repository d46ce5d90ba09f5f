"""What docs/istio.md says to type, as it is written there."""

from __future__ import annotations

import json
import os
import re
import subprocess

from harness import (
    CORRUPT, REPOSITORY, Case, await_counting, context, eventually, image, image_digest, mesh, only_for, received, render,
)  # fmt: skip
from cluster import RUN
from environment import REGISTRY

DOCUMENT = (REPOSITORY / "docs/istio.md").read_text("utf-8")


def commands(section: str) -> list[str]:
    """The blocks of commands of a section."""
    text = DOCUMENT.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    assert blocks, section
    return blocks


def run(text: str) -> str:
    """What the commands print in the lab, in which the registry has its name."""
    tools = {os.path.dirname(os.environ[name]) for name in ("KUBECTL", "HELM")} | {str(REPOSITORY / ".venv/bin")}
    settings = f"export PATH={':'.join(sorted(tools))}:$PATH KUBECONFIG={RUN}/kubeconfig.lab REGISTRY={REGISTRY} HOME={RUN}"
    return mesh.lab.run("bash", "-c", f"set -e -o pipefail; cd {REPOSITORY}; {settings}; {text}")


class Document(Case):
    def test_the_quick_start(self) -> None:
        first, *others = commands("Quick start")[0].splitlines()
        # What this mesh was started with; cargo is not in the lab.
        self.assertEqual(first, "make image")
        self.assertEqual(len(others), 4)
        self.addCleanup(run, "helm uninstall tracewarden --namespace shop")
        run("\n".join(others[:-1]))
        eventually("checkout counts", lambda: mesh.request("/", context()) and mesh.workloads["checkout"].requests())
        self.assertIn('context="continued"', run(others[-1]))

    def test_helm_upgrades_and_rolls_back(self) -> None:
        install, upgrade, back = commands("Helm")[1].replace("shop.yaml", f"{RUN}/shop.yaml").splitlines()
        values = {"image": image(), "digest": image_digest(), "sampling": {"probability": 0.5}}
        (mesh.directory / "shop.yaml").write_text(json.dumps(values), "utf-8")
        self.addCleanup(run, "helm uninstall tracewarden --namespace shop")
        for command, sent_on in ((install, [CORRUPT["traceparent"]]), (upgrade, []), (back, [CORRUPT["traceparent"]])):
            run(command)
            await_counting(1)
            eventually(f"`{command}` took effect", lambda: received(mesh.request("/", CORRUPT), "stock") == sent_on)

    def test_the_proxies_that_are_not_counted(self) -> None:
        tell, heal = commands("Which proxies are not counted")
        self.apply(only_for("checkout", render("sidecar-observe")))
        eventually("the others are told", lambda: not_counted(tell) == {"frontend-0", "stock-0"}, 90)
        self.assertEqual(run(heal).count("annotated"), 2)
        mesh.cluster.kubectl("-n", "shop", "delete", "wasmplugins", "--all")
        self.deploy(render("sidecar-observe"))
        self.assertEqual(not_counted(tell), set())

    def test_a_later_file_replaces_a_list(self) -> None:
        """What istioctl makes of a list that stands in two files."""
        own = {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator",
               "spec": {"meshConfig": {"defaultConfig": {"extraStatTags": ["own_tag"]}}}}  # fmt: skip
        files = {"own": json.dumps(own), "ours": mesh.cluster.kubectl("kustomize", str(REPOSITORY / "envoy/istio/mesh"))}
        for name, text in files.items():
            (mesh.directory / f"{name}.yaml").write_text(text, "utf-8")

        def generated(*names: str) -> str:
            command = [str(REPOSITORY / "target/programs/istioctl"), "manifest", "generate"]
            for name in names:
                command += ["--filename", str(mesh.directory / f"{name}.yaml")]
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

        ours_last, own_last = generated("own", "ours"), generated("ours", "own")
        self.assertEqual([tag in ours_last for tag in ("- own_tag", "- evidence")], [False, True])
        self.assertEqual([tag in own_last for tag in ("- own_tag", "- evidence")], [True, False])


def not_counted(tell: str) -> set[str]:
    # The last Pod may be counted, and then `grep` and thus the loop end well; or not, and `echo` does.
    return {line.split(" ")[0] for line in run(tell).splitlines()}
