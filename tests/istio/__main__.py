"""Runs the tests in the real Istio, which it starts anew and stops in the end: `make test-istio`.

  -k PATTERN   only the tests whose names have this in them
  --keep       use the Istio that runs, and leave it running
"""

from __future__ import annotations

import argparse
import sys
import time
import unittest
from pathlib import Path

import harness
from proxy import Failed, exit_status


def tests() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", action="append", metavar="PATTERN")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    mesh = harness.mesh
    if not (arguments.keep and mesh.lab.process()):
        harness.start()
    try:
        harness.prepare()
        loader = unittest.TestLoader()
        loader.testNamePatterns = [f"*{pattern}*" for pattern in arguments.k or [""]]
        suite = loader.discover(str(Path(__file__).parent))
        begin = time.monotonic()
        ran = unittest.TextTestRunner(verbosity=2).run(suite)
        if ran.testsRun == 0:
            raise Failed(f"no test has {arguments.k} in its name")
        print(f"{ran.testsRun} tests in {time.monotonic() - begin:.0f} s")
        return 0 if ran.wasSuccessful() else 1
    finally:
        if not arguments.keep:
            mesh.lab.stop()


if __name__ == "__main__":
    sys.exit(exit_status("test-istio", tests))
