#!/usr/bin/env python3
"""Lets demo meshes run side by side for a while, each with a real Prometheus and the rules as they are, and tells which alerts
fire.

One mesh is healthy: traced requests, jobs without a context, jobs with traces of their own, uploads of telemetry, scrapes and
probes. The others have the same traffic and one fault each. Exit status: 0 every fault fired its alert and nothing else fired.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
# How many ports a mesh has.
PORTS = 13
CHECKOUT_IN, CHECKOUT_OUT, LOSSY_IN, LOSSY_OUT = 1, 2, 3, 4


@dataclass
class Scenario:
    name: str
    port: int
    # Each alert that must fire, as its name and the workload, and nothing else.
    expected: set[str]
    fault: str = ""
    fired: dict[str, float] = field(default_factory=dict)
    failed: int = 0

    @property
    def admin(self) -> int:
        return self.port + PORTS

    @property
    def prometheus(self) -> int:
        return self.port + PORTS + 1


def scenarios(first: int) -> list[Scenario]:
    rows = [
        ("healthy", set(), ""),
        ("forgets", {"TracewardenTraceLossByApplication lossy"}, "forget"),
        ("mangles", {"TracewardenTraceCorruption mangler"}, "mangle"),
        ("tears", {"TracewardenTraceTorn lossy"}, "tear"),
    ]
    return [Scenario(name, first + 20 * at, expected, fault) for at, (name, expected, fault) in enumerate(rows)]


def ask(port: int, path: str, headers: dict[str, str], method: str = "GET") -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def context() -> dict[str, str]:
    return {"traceparent": f"00-{random.getrandbits(128):032x}-{random.getrandbits(64):016x}-01"}


def healthy_step(scenario: Scenario, step: int) -> None:
    """A tenth of a second of a healthy mesh: ten requests a second through two services, and all that is no loss."""
    port = scenario.port
    ask(port, "/checkout", {})
    stock = {"host": "lossy"}
    if step % 20 == 0:
        # Jobs next to the requests: half a call a second without a context, and as many with a trace of their own.
        ask(port + CHECKOUT_OUT, "/stock", stock)
        ask(port + CHECKOUT_OUT, "/stock", {**stock, **context()})
    if step % 25 == 0:
        for path in ("/v1/traces", "/v1/metrics", "/api/v2/spans"):
            ask(port + CHECKOUT_OUT, path, {"host": "lossy", "content-type": "application/json"}, "POST")
    if step % 50 == 0:
        ask(port + CHECKOUT_IN, "/price", {"user-agent": "Prometheus/3.1.0"})
        ask(port + LOSSY_IN, "/stock", {"user-agent": "kube-probe/1.29"})


def faulty_step(scenario: Scenario, step: int) -> None:
    port = scenario.port
    if step % 3:
        return
    if scenario.fault == "forget":
        ask(port, "/lossy", {})
    elif scenario.fault == "mangle":
        ask(port, "/mangler", {})
    elif scenario.fault == "tear":
        # A service that receives one trace, and calls out in another.
        request = {"x-request-id": f"tear-{random.getrandbits(64):x}"}
        ask(port + LOSSY_IN, "/stock", {**request, **context()})
        ask(port + LOSSY_OUT, "/price", {"host": "checkout", **request, **context()})


def drive(scenario: Scenario, end: float) -> None:
    step = 0
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            healthy_step(scenario, step)
            faulty_step(scenario, step)
        except (OSError, http.client.HTTPException):
            scenario.failed += 1
        step += 1
        time.sleep(max(0.0, 0.1 - (time.monotonic() - began)))


def firing(scenario: Scenario) -> set[str]:
    query = urllib.parse.urlencode({"query": 'ALERTS{alertstate="firing"}'})
    connection = http.client.HTTPConnection(HOST, scenario.prometheus, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", f"/api/v1/query?{query}")
        answer = json.loads(connection.getresponse().read())
    labels = [series["metric"] for series in answer["data"]["result"]]
    return {f"{one['alertname']} {one.get('workload', '')}" for one in labels}


def watch(scenario: Scenario, began: float, end: float) -> None:
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError, KeyError):
            for alert in firing(scenario):
                scenario.fired.setdefault(alert, (time.monotonic() - began) / 60)
        time.sleep(5)


def mesh(verb: str, scenario: Scenario, directory: Path, *more: str) -> None:
    command = [sys.executable, str(REPOSITORY / "envoy/mesh.py"), verb, "--run-dir", str(directory / "mesh"), *more]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=120)


@contextlib.contextmanager
def prometheus(program: Path, scenario: Scenario, directory: Path):
    rules = REPOSITORY / "envoy/prometheus"
    for file in rules.glob("tracewarden.*.yaml"):
        shutil.copy(file, directory)
    config = (rules / "demo.yaml").read_text("utf-8").replace(f"{HOST}:9901", f"{HOST}:{scenario.admin}")
    (directory / "demo.yaml").write_text(config, "utf-8")
    command = [str(program), f"--config.file={directory / 'demo.yaml'}", f"--storage.tsdb.path={directory / 'data'}"]
    command += [f"--web.listen-address={HOST}:{scenario.prometheus}", "--log.level=error"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def run(options: argparse.Namespace, scenario: Scenario, directory: Path) -> None:
    where = ["--port", str(scenario.port), "--admin-port", str(scenario.admin)]
    mesh("up", scenario, directory, *where, "--envoy", options.envoy)
    try:
        with prometheus(options.prometheus, scenario, directory):
            began = time.monotonic()
            end = began + 60 * options.minutes
            threads = [
                threading.Thread(target=drive, args=(scenario, end), daemon=True),
                threading.Thread(target=watch, args=(scenario, began, end), daemon=True),
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60 * options.minutes + 60)
    finally:
        mesh("down", scenario, directory)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envoy", required=True, help="Envoy's binary")
    parser.add_argument("--prometheus", required=True, type=Path, help="Prometheus' binary")
    parser.add_argument("--minutes", type=float, default=17, help="how long (default: 17; alerts wait for ten minutes)")
    parser.add_argument("--first-port", type=int, default=21000, help="the first of 80 free ports (default: 21000)")
    options = parser.parse_args()
    all_of_them = scenarios(options.first_port)
    print(f"{len(all_of_them)} meshes run for {options.minutes:g} minutes…", flush=True)
    with tempfile.TemporaryDirectory(prefix="tracewarden-") as scratch:
        threads = []
        for scenario in all_of_them:
            directory = Path(scratch) / scenario.name
            directory.mkdir()
            threads.append(threading.Thread(target=run, args=(options, scenario, directory)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    is_right = True
    for scenario in all_of_them:
        fired = ", ".join(f"{alert} after {minutes:.1f} min" for alert, minutes in sorted(scenario.fired.items()))
        right = set(scenario.fired) == scenario.expected and scenario.failed == 0
        is_right &= right
        failed = f"; {scenario.failed} steps failed" if scenario.failed else ""
        print(f"{'ok  ' if right else 'FAIL'} {scenario.name}: {fired or 'nothing fired'}{failed}")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
