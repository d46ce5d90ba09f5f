"""The policy that admits plugins only with a digest and from named registries, in the real API server."""

from __future__ import annotations

import json
import unittest

from harness import NAMESPACE, REPOSITORY, Failed, Object, eventually, mesh, render

TABLE = json.loads((REPOSITORY / "tests/istio/admission.json").read_text("utf-8"))
UNNAMED = next(row["object"] for row in TABLE["rows"] if row["what"] == "another registry")
NAME = "tracewarden-images"


class Admission(unittest.TestCase):
    def setUp(self) -> None:
        objects = render("admission")
        (policy,) = (one for one in objects if one["kind"] == "ValidatingAdmissionPolicy")
        (registries,) = (one for one in policy["spec"]["variables"] if one["name"] == "registries")
        registries["expression"] = json.dumps(TABLE["registries"])
        self.addCleanup(remove)
        mesh.cluster.apply(objects)
        eventually("the policy is in force", lambda: refusal(UNNAMED))

    def test_it_admits_and_refuses_what_the_table_says(self) -> None:
        self.assertGreater(len(TABLE["rows"]), 20)
        for row in TABLE["rows"]:
            said = refusal(row["object"])
            with self.subTest(row["what"], kind=row["object"]["kind"]):
                self.assertIn(row["refused"] or "", said)
                self.assertEqual(said == "", row["refused"] is None, said)


def refusal(one: Object) -> str:
    """What the API server says against an object; nothing if it admits it."""
    try:
        mesh.cluster.kubectl("-n", NAMESPACE, "create", "--dry-run=server", "-f", "-", text=json.dumps(one))
    except Failed as error:
        return str(error)
    return ""


def remove() -> None:
    """Deletes the policy, and waits till it is no longer in force for the tests that come."""
    mesh.cluster.kubectl("delete", "validatingadmissionpolicybindings,validatingadmissionpolicies", NAME)
    eventually("the policy is gone", lambda: not refusal(UNNAMED))
