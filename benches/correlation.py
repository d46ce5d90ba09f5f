#!/usr/bin/env python3
"""Prints what `correlation` takes of Envoy's memory, and of workers that share its lock. Nothing is asserted.

`make bench-correlation` calls this. `wrk` sends requests, each with a trace of its own, as fast as Envoy answers them
itself, so that all workers run all the time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Optional

from bootstrap import bootstrap
from cases import HOST, QUIET, Setup

SCRIPT = Path(__file__).with_name("correlation.lua")
CASES: list[tuple[str, Optional[dict[str, int]]]] = [
    ("off", None),
    ("1,024 slots", {"slots": 1024}),
    ("65,536 slots", {}),
]
CONNECTIONS_PER_WORKER = 16
WARM_UP_SECONDS = 2
START_SECONDS = 60.0
ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Cost:
    """Requests, microseconds of the workers' processors for each, and by how many octets Envoy's heap grew."""

    requests: int
    microseconds: float
    heap: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envoy", type=Path, required=True)
    parser.add_argument("--module", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=20, help="of load for each row (20)")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing (Debian: apt-get install wrk).")
    print("| correlation | workers | requests | µs of a worker, each | heap grows by |\n|---|---|---|---|---|")
    for name, correlation in CASES:
        for workers in (1, 2):
            cost = measure(arguments, correlation, workers)
            numbers = f"{cost.requests:,} | {cost.microseconds:.1f} | {cost.heap / 1e6:.1f} MB"
            print(f"| {name} | {workers} | {numbers} |", flush=True)


def measure(arguments: argparse.Namespace, correlation: Optional[dict[str, int]], workers: int) -> Cost:
    with running(arguments, correlation, workers) as (process, admin, port):
        heap_before = heap(admin)
        load(port, workers, WARM_UP_SECONDS)
        before = requests(admin), busy(process.pid)
        load(port, workers, arguments.seconds)
        answered, nanoseconds = requests(admin) - before[0], busy(process.pid) - before[1]
        return Cost(answered, nanoseconds / 1e3 / answered, heap(admin) - heap_before)


def configuration(module: Path, correlation: Optional[dict[str, int]]) -> dict[str, Any]:
    """The benchmark's Envoy, which answers by itself, with as many connections on one worker as on the other."""
    options: dict[str, Any] = {"direction": "inbound", "parent_id": "new", "response": QUIET}
    if correlation is not None:
        options["correlation"] = correlation
    setup = Setup("correlation", module="tracewarden", configuration=json.dumps(options))
    config = bootstrap(setup, {"tracewarden": module}, Path(), upstream=1, collector=1)
    listener = config["static_resources"]["listeners"][0]
    listener["connection_balance_config"] = {"exact_balance": {}}
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    answer = {"status": 200, "body": {"inline_string": "ok"}}
    manager["route_config"]["virtual_hosts"][0]["routes"] = [
        {"match": {"prefix": "/"}, "direct_response": answer}
    ]
    return config


@contextlib.contextmanager
def running(
    arguments: argparse.Namespace, correlation: Optional[dict[str, int]], workers: int
) -> Iterator[tuple[subprocess.Popen[bytes], str, int]]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = configuration(arguments.module, correlation)
        (directory / "envoy.json").write_text(json.dumps(config), "utf-8")
        command = [str(arguments.envoy), "--config-path", str(directory / "envoy.json")]
        command += ["--concurrency", str(workers), "--disable-hot-restart", "--log-level", "error"]
        command += ["--admin-address-path", str(directory / "admin")]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            yield process, *await_ready(process, directory / "admin")
        finally:
            process.kill()
            process.wait()


def await_ready(process: subprocess.Popen[bytes], path: Path) -> tuple[str, int]:
    """The admin interface's address and the listener's port."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError, LookupError, ValueError):
            admin = "http://" + path.read_text("utf-8").strip()
            status = get(f"{admin}/listeners?format=json")["listener_statuses"][0]
            return admin, int(status["local_address"]["socket_address"]["port_value"])
        time.sleep(0.1)
    sys.exit("Envoy did not start.")


def load(port: int, workers: int, seconds: int) -> None:
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS_PER_WORKER * workers)]
    command += ["--duration", f"{seconds}s", "--script", str(SCRIPT), f"http://{HOST}:{port}/"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=seconds + ANSWER_SECONDS)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
        return json.load(answer)


def heap(admin: str) -> int:
    return int(get(f"{admin}/memory")["allocated"])


def requests(admin: str) -> int:
    stats = get(f"{admin}/stats?format=json&filter=^http.bench.downstream_rq_total$")["stats"]
    return int(stats[0]["value"])


def busy(pid: int) -> int:
    """Nanoseconds that Envoy's workers were on a processor."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    workers = [task for task in tasks if (task / "comm").read_text("utf-8").startswith("wrk:worker")]
    return sum(int((task / "schedstat").read_text("utf-8").split()[0]) for task in workers)


if __name__ == "__main__":
    main()
