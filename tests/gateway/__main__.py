"""Runs the tests of Envoy Gateway's policies with its real controller: `make test-gateway`."""

import sys
from pathlib import Path

import harness
from proxy import exit_status
from runner import run

if __name__ == "__main__":
    here = Path(__file__).parent
    sys.exit(exit_status("test-gateway", lambda: run(harness.gateway.lab, harness.start, harness.prepare, here)))
