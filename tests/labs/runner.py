"""Runs the tests of a directory in a lab, which it starts anew and stops in the end."""

from __future__ import annotations

import argparse
import time
import unittest
from pathlib import Path
from typing import Callable

from lab import Lab
from proxy import Failed


def run(lab: Lab, start: Callable[[], None], prepare: Callable[[], None], directory: Path) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", action="append", metavar="PATTERN", help="only the tests whose names have this in them")
    parser.add_argument("--keep", action="store_true", help="use the lab that runs, and leave it running")
    arguments = parser.parse_args()
    if not (arguments.keep and lab.process()):
        start()
    try:
        prepare()
        loader = unittest.TestLoader()
        loader.testNamePatterns = [f"*{pattern}*" for pattern in arguments.k or [""]]
        suite = loader.discover(str(directory))
        begin = time.monotonic()
        ran = unittest.TextTestRunner(verbosity=2).run(suite)
        if ran.testsRun == 0:
            raise Failed(f"no test has {arguments.k} in its name")
        print(f"{ran.testsRun} tests in {time.monotonic() - begin:.0f} s")
        return 0 if ran.wasSuccessful() else 1
    finally:
        if not arguments.keep:
            lab.stop()
