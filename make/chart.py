#!/usr/bin/env python3
"""Writes what Tracewarden's Helm chart has from elsewhere: the cases as kustomize renders them, and the configuration's schema.

    make/chart.py KUBECTL DIRECTORY

A case is in the chart if it is of both kinds: a WasmPlugin in envoy/istio/NAME, and in envoy/istio/trafficextension/NAME the
TrafficExtension that is made of it.
"""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
ISTIO = REPOSITORY / "envoy/istio"


def write_cases(kubectl: str, directory: Path, cases: "list[str]") -> None:
    for kind in ("", "trafficextension"):
        (directory / kind).mkdir(parents=True, exist_ok=True)
        for case in cases:
            rendered = subprocess.run([kubectl, "kustomize", ISTIO / kind / case], check=True, stdout=subprocess.PIPE)
            (directory / kind / f"{case}.yaml").write_bytes(rendered.stdout)


def schema(cases: "list[str]") -> str:
    """The schema of the values, whose hand-written part has no case and no definition."""
    values = json.loads((ISTIO / "chart/values.schema.json").read_text("utf-8"))
    configuration = json.loads((REPOSITORY / "docs/configuration.schema.json").read_text("utf-8"))
    del configuration["$schema"]
    definitions = configuration.pop("$defs")
    values["properties"]["case"]["enum"] = cases
    values["$defs"] = {"Configuration": configuration, **definitions}
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def main(kubectl: str, directory: Path) -> None:
    cases = sorted(path.name for path in (ISTIO / "trafficextension").iterdir())
    write_cases(kubectl, directory / "files", cases)
    (directory / "values.schema.json").write_text(schema(cases), "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
