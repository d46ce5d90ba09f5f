"""Runs the tests of spans in real backends: `make test-backends`."""

import argparse
import sys
import unittest
from pathlib import Path

import servers
from proxy import Failed, exit_status


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", action="append", metavar="PATTERN", help="only the tests whose names have this in them")
    patterns = parser.parse_args().k or [""]
    servers.require()
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{pattern}*" for pattern in patterns]
    ran = unittest.TextTestRunner(verbosity=2).run(loader.discover(str(Path(__file__).parent)))
    if ran.testsRun == 0 and ran.wasSuccessful():
        raise Failed(f"no test has {patterns} in its name")
    return 0 if ran.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(exit_status("test-backends", run))
