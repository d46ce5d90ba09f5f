"""Runs the tests in the real Istio: `make test-istio`."""

import sys
from pathlib import Path

import harness
from proxy import exit_status
from runner import run

if __name__ == "__main__":
    here = Path(__file__).parent
    sys.exit(exit_status("test-istio", lambda: run(harness.mesh.lab, harness.start, harness.prepare, here)))
