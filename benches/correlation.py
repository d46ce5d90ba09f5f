#!/usr/bin/env python3
"""Prints what `correlation` takes of Envoy's memory, and of workers that share its lock. Nothing is asserted.

`make bench-correlation` calls this. `wrk` sends requests, each with a trace of its own, as fast as Envoy answers them
itself, so that all workers run all the time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bootstrap import BY_ITSELF, bootstrap
from cases import tracewarden
from proxy import HOST, Envoy, Failed, ask, exit_status, running

SCRIPT = Path(__file__).with_name("correlation.lua")
CASES: dict[str, dict[str, Any]] = {
    "off": {},
    "1,024 slots": {"correlation": {"slots": 1024}},
    "65,536 slots": {"correlation": {}},
}
CONNECTIONS_PER_WORKER = 16
WARM_UP_SECONDS = 2
ANSWER_SECONDS = 60.0


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envoy", type=Path, required=True)
    parser.add_argument("--module", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=20, help="of load for each row (20)")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        raise Failed("wrk is missing (Debian: apt-get install wrk).")
    print("| correlation | workers | requests | µs of a worker, each | heap grows by |\n|---|---|---|---|---|")
    for name, options in CASES.items():
        setup = tracewarden(parent_id="new", **options)
        config = bootstrap(setup, {"tracewarden": arguments.module}, action=BY_ITSELF)
        for workers in (1, 2):
            with running(arguments.envoy, config, workers) as envoy:
                print(f"| {name} | {workers} | {measure(envoy, workers, arguments.seconds)} |", flush=True)
    return 0


def measure(envoy: Envoy, workers: int, seconds: int) -> str:
    """Requests, microseconds of the workers' processors for each, and by how much Envoy's heap grew."""
    port = envoy.port()
    heap_before = heap(envoy)
    load(port, workers, WARM_UP_SECONDS)
    before = requests(envoy), busy(envoy)
    load(port, workers, seconds)
    answered, nanoseconds = requests(envoy) - before[0], busy(envoy) - before[1]
    grown = heap(envoy) - heap_before
    return f"{answered:,} | {nanoseconds / 1e3 / answered:.1f} | {grown / 1e6:.1f} MB"


def load(port: int, workers: int, seconds: int) -> None:
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS_PER_WORKER * workers)]
    command += ["--duration", f"{seconds}s", "--script", str(SCRIPT), f"http://{HOST}:{port}/"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=seconds + ANSWER_SECONDS)


def heap(envoy: Envoy) -> int:
    return int(json.loads(ask(envoy.admin, "/memory", ANSWER_SECONDS))["allocated"])


def requests(envoy: Envoy) -> int:
    stats = ask(envoy.admin, "/stats?format=json&filter=^http.bench.downstream_rq_total$", ANSWER_SECONDS)
    return int(json.loads(stats)["stats"][0]["value"])


def busy(envoy: Envoy) -> int:
    """Nanoseconds that Envoy's workers were on a processor."""
    tasks = Path(f"/proc/{envoy.process.pid}/task").iterdir()
    workers = [task for task in tasks if (task / "comm").read_text("utf-8").startswith("wrk:worker")]
    return sum(int((task / "schedstat").read_text("utf-8").split()[0]) for task in workers)


if __name__ == "__main__":
    sys.exit(exit_status("correlation", run))
