#!/usr/bin/env python3
"""Counts what a request costs in the real Envoy, in instructions of its worker under callgrind.

`make bench` calls this; `make bench BENCH=all` adds every mode and option, `make bench BENCH=spans` counts exported spans
alone, `BENCH=routes` a proxy of 100 routes, and `BENCH=sidecar` the settings of Istio's sidecar-observe. Each count is
kept with the hash of all that it depends on, so that a second run measures only what has changed, and one that was
stopped goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Iterator, Optional

from bootstrap import bootstrap
from callgrind import Count, count_loop, counter, require_valgrind
from cases import ROWS, Row, Setup
from collector import Account, collecting
from proxy import HOST, Failed, exit_status
from report import MICRO, MICRO_WHO, budget, micro_table, spans_table, table
from traffic import upstream

HERE = Path(__file__).resolve().parent

MICRO_TIMES = 10_000


class Results:
    """Counts by the hash of what they depend on, on disk after each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counts: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            self._counts = json.loads(path.read_text("utf-8"))

    def get(self, key: str) -> Optional[Count]:
        found = self._counts.get(key)
        return Count(found["instructions"], found["spread"], found["spans"]) if found else None

    def put(self, key: str, what: str, count: Count) -> None:
        self._counts[key] = {"what": what, **asdict(count)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self._counts, indent=1), "utf-8")
        os.replace(new, self._path)


@dataclass(frozen=True)
class Bench:
    """What is measured with."""

    envoy: Path
    modules: dict[str, Path]
    micro: Path
    results: Results
    # The hash of everything that all counts depend on.
    common: str

    def key_of(self, row: Row, size: str) -> str:
        configuration = bootstrap(row.setup, {name: Path(name) for name in self.modules})
        module = file_digest(self.modules[row.setup.module]) if row.setup.module else ""
        return digest(self.common, module, configuration, row.traffic.describe(size), row.sent)

    def measure(self, rows: list[Row]) -> dict[tuple[str, str], Count]:
        """The counts of every row, by label and size; one Envoy a configuration."""
        wanted = {(row, size): self.key_of(row, size) for row in rows for size in row.sizes}
        setups: dict[Setup, list[tuple[Row, str]]] = {}
        for (row, size), key in wanted.items():
            if self.results.get(key) is None:
                setups.setdefault(row.setup, []).append((row, size))
        missing = sum(map(len, setups.values()))
        say(f"{len(wanted)} counts, of which {len(wanted) - missing} are known")
        done = 0
        for setup, items in setups.items():
            say(f"starting Envoy: {items[0][0].label}")
            for (row, size), count, seconds in self._counts(setup, items):
                done += 1
                self.results.put(wanted[row, size], f"{row.label} ({size})", count)
                found = f"{count.instructions:,.0f} ± {count.spread:.2%} in {seconds:.0f} s"
                say(f"[{done}/{missing}] {row.label} ({size}): {found}")
        counts = {(row.label, size): self.results.get(key) for (row, size), key in wanted.items()}
        return {place: count for place, count in counts.items() if count is not None}

    def _counts(
        self, setup: Setup, items: list[tuple[Row, str]]
    ) -> Iterator[tuple[tuple[Row, str], Count, float]]:
        """The items' counts, and the seconds that each took."""
        with upstream() as server, closed_port() as dead, collecting() as live:
            config = bootstrap(setup, self.modules, server.port, dead, live.server_port)
            with counter(self.envoy, config, server) as envoy:
                for row, size in items:
                    began = time.monotonic()
                    account = Account(envoy.envoy, live, row.exporter) if row.exporter else None
                    try:
                        count = envoy.count(row.traffic, size, row.sent, account)
                    except Failed as failed:
                        raise Failed(f"{row.label} ({size}): {failed}") from None
                    yield (row, size), count, time.monotonic() - began

    def measure_micro(self) -> dict[tuple[str, str], float]:
        """The instructions of parsing and formatting, ours and OpenTelemetry's."""
        binary = file_digest(self.micro)
        counts = {}
        for operation, label in MICRO.items():
            for who in MICRO_WHO:
                key = digest(self.common, "micro", binary, operation, who)
                count = self.results.get(key)
                if count is None:
                    count = Count(count_loop([str(self.micro), operation, who], MICRO_TIMES), 0.0)
                    self.results.put(key, f"{label}, {who}", count)
                    say(f"{label}, {who}: {count.instructions:,.0f}")
                counts[operation, who] = count.instructions
        return counts


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else gets meanwhile."""
    with socket.socket() as held:
        held.bind((HOST, 0))
        yield held.getsockname()[1]


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def file_digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from None


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = "which rows (default: %(default)s)"
    parser.add_argument("which", nargs="?", default="default", choices=list(ROWS), help=which)
    for option, what in {
        "--envoy": "Envoy's binary",
        "--module": "Tracewarden's module",
        "--floor": "the floor, with the same exports",
        "--floor-unpruned": "the floor, with every callback exported",
        "--micro": "the program of the micro-benchmark",
        "--results": "where counts are kept, a JSON file",
    }.items():
        parser.add_argument(option, type=Path, required=True, help=what)
    return parser.parse_args()


def run() -> int:
    options = arguments()
    valgrind = require_valgrind()
    envoy = Path(shutil.which(options.envoy) or options.envoy).resolve()
    method = [file_digest(HERE / name) for name in ("callgrind.py", "collector.py", "traffic.py")]
    modules = {
        "tracewarden": options.module.resolve(),
        "floor": options.floor.resolve(),
        "floor-unpruned": options.floor_unpruned.resolve(),
    }
    common = digest(valgrind, file_digest(envoy), *method)
    bench = Bench(envoy, modules, options.micro.resolve(), Results(options.results), common)
    rows = ROWS[options.which]
    counts = bench.measure(rows)
    worst = max(counts.items(), key=lambda item: item[1].spread)
    print("Thousands of instructions of Envoy's worker a request: small has 5 headers, browser 20\n")
    print(table(rows, counts))
    print(f"\nTwo windows of a count differ by at most {worst[1].spread:.2%} ({', '.join(worst[0])}).")
    if any(row.exporter for row in rows):
        print("\nWith every span exported to a live collector over HTTP, and the same with Envoy's tracer\n")
        print(spans_table(rows, counts))
    # The rest is about the request pass.
    if options.which in ("spans", "routes", "sidecar"):
        return 0
    micro = bench.measure_micro()
    print("\nInstructions a header, natively\n")
    print(micro_table(micro))
    print("\nBudget\n")
    print(budget(rows, counts, micro, modules["tracewarden"]))
    return 0


if __name__ == "__main__":
    sys.exit(exit_status("bench", run, "stopped; what was counted is kept"))
