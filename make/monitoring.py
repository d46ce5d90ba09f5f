#!/usr/bin/env python3
"""Writes what the kustomize component envoy/monitoring has of the rules in envoy/prometheus.

    make/monitoring.py DIRECTORY

That is rules.yaml, the rules as a PrometheusRule, and runbook/patch.yaml, which makes each alert's path in the runbook a URL: it
moves the path to the annotation `runbook_url`, and kustomize puts the user's base in front of it.
"""

import re
import sys
from pathlib import Path
from textwrap import indent

REPOSITORY = Path(__file__).resolve().parents[1]
RULES = [REPOSITORY / f"envoy/prometheus/tracewarden.{name}.yaml" for name in ("expected", "rules")]
WRITTEN = "# `make reference` writes this file: edit envoy/prometheus.\n"
PROMETHEUS_RULE = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: tracewarden
spec:
  groups:
"""


def groups(file: Path) -> str:
    """The groups of a file of rules, as they are written there, with their comments, and deeper by a level."""
    comments, key, rest = file.read_text("utf-8").partition("groups:\n")
    if not key:
        sys.exit(f"{file}: expected a line `groups:`, found none")
    return indent(comments, "    ") + indent(rest, "  ")


def patch(rules: str) -> str:
    """An operation for each alert, at the places that the rules have in the list."""
    operations, group, rule = [], -1, -1
    for line in rules.splitlines():
        if re.match(r" *- name: ", line):
            group, rule = group + 1, -1
        elif re.match(r" *- (record|alert): ", line):
            rule += 1
            if "alert:" in line:
                place = f"/spec/groups/{group}/rules/{rule}/annotations/runbook"
                operations.append(f"- {{ op: move, from: {place}, path: {place}_url }}\n")
    return "".join(operations)


def main(directory: Path) -> None:
    rules = "".join(groups(file) for file in RULES)
    (directory / "runbook").mkdir(parents=True, exist_ok=True)
    (directory / "rules.yaml").write_text(WRITTEN + PROMETHEUS_RULE + rules, "utf-8")
    (directory / "runbook/patch.yaml").write_text(WRITTEN + patch(rules), "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
