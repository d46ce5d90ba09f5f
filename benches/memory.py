#!/usr/bin/env python3
"""Prints the memory of an Envoy with each of some modules, after its start and after requests. Nothing is asserted.

`make bench-memory` calls this; `make bench-memory BEFORE=other.wasm` adds another module.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from bootstrap import bootstrap
from cases import BARE, TRAFFIC, tracewarden
from proxy import Envoy, exit_status, running
from traffic import Client, upstream

FIELDS = ("VmRSS", "VmHWM")
RUNS = 7
REQUESTS = 10_000


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envoy", type=Path, required=True)
    parser.add_argument("modules", type=Path, nargs="+", metavar="MODULE")
    arguments = parser.parse_args()
    columns = [f"{field}, {when}" for when in ("started", f"{REQUESTS:,} requests") for field in FIELDS]
    print(f"| MiB, median of {RUNS} runs | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for module in [None, *arguments.modules]:
        runs = [measure(arguments.envoy, module) for _ in range(RUNS)]
        medians = [f"{statistics.median(column) / 1024:.1f}" for column in zip(*runs)]
        print(f"| {module or 'no filter'} | {' | '.join(medians)} |", flush=True)
    return 0


def measure(envoy: Path, module: Path | None) -> list[int]:
    """Each field in KiB, after the start and after the requests."""
    with upstream() as server:
        modules = {"tracewarden": module} if module else {}
        config = bootstrap(tracewarden(parent_id="new") if module else BARE, modules, server.port)
        with running(envoy, config) as process:
            started = memory(process)
            Client(process, server).send(TRAFFIC["valid"], "small", REQUESTS)
            return started + memory(process)


def memory(envoy: Envoy) -> list[int]:
    lines = Path(f"/proc/{envoy.process.pid}/status").read_text("utf-8").splitlines()
    sizes = dict(line.split(":", 1) for line in lines)
    return [int(sizes[field].split()[0]) for field in FIELDS]


if __name__ == "__main__":
    sys.exit(exit_status("memory", run))
