#!/usr/bin/env python3
"""Counts what a request costs in the real Envoy, in instructions of its worker under callgrind.

`make bench` calls this; `make bench BENCH=all` adds every mode and option. Each count is kept with the hash of all
that it depends on, so that a second run measures only what has changed, and one that was stopped goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Iterator, NoReturn, Optional

import cases
from bootstrap import bootstrap
from callgrind import Count, Failed, Upstream, count_loop, require_valgrind, running
from cases import HOST, Row, Setup
from report import MICRO, MICRO_WHO, budget, micro_table, table

HERE = Path(__file__).resolve().parent
LUA = HERE / "traceparent.lua"

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
        return Count(found["instructions"], found["spread"]) if found else None

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

    def key(self, *parts: str) -> str:
        return digest(self.common, *parts)

    def key_of(self, row: Row, size: str) -> str:
        names = {name: Path(name) for name in self.modules}
        configuration = json.dumps(bootstrap(row.setup, names, LUA, 0, 0))
        module = file_digest(self.modules[row.setup.module]) if row.setup.module else ""
        return self.key(module, configuration, row.traffic.describe(size), row.sent)

    def measure(self, rows: list[Row]) -> dict[tuple[str, str], Count]:
        """The counts of every row, by label and size; one Envoy a configuration."""
        wanted = [(row, size) for row in rows for size in row.sizes]
        missing = [item for item in wanted if self.results.get(self.key_of(*item)) is None]
        say(f"{len(wanted)} counts, of which {len(wanted) - len(missing)} are known")
        setups: dict[Setup, list[tuple[Row, str]]] = {}
        for row, size in missing:
            setups.setdefault(row.setup, []).append((row, size))
        done = 0
        for setup, items in setups.items():
            self._measure_setup(setup, items, done, len(missing))
            done += len(items)
        counts = {(row.label, size): self.results.get(self.key_of(row, size)) for row, size in wanted}
        return {place: count for place, count in counts.items() if count is not None}

    def _measure_setup(self, setup: Setup, items: list[tuple[Row, str]], done: int, total: int) -> None:
        say(f"starting Envoy: {setup.name}")
        upstream = Upstream()
        with contextlib.closing(upstream), closed_port() as collector:
            config = bootstrap(setup, self.modules, LUA, upstream.port, collector)
            with running(self.envoy, config, upstream) as envoy:
                for number, (row, size) in enumerate(items, done + 1):
                    began = time.monotonic()
                    try:
                        count = envoy.count(row.traffic, size, row.sent)
                    except Failed as failed:
                        raise Failed(f"{row.label} ({size}): {failed}") from None
                    self.results.put(self.key_of(row, size), f"{row.label} ({size})", count)
                    seconds = time.monotonic() - began
                    say(
                        f"[{number}/{total}] {row.label} ({size}): {count.instructions:,.0f}"
                        f" ± {count.spread:.2%} in {seconds:.0f} s"
                    )

    def measure_micro(self) -> dict[tuple[str, str], float]:
        """The instructions of parsing and formatting, ours and OpenTelemetry's."""
        binary = file_digest(self.micro)
        counts = {}
        for operation, label in MICRO.items():
            for who in MICRO_WHO:
                key = self.key("micro", binary, operation, who)
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
    parser.add_argument(
        "which",
        nargs="?",
        default="default",
        choices=["default", "all"],
        help="which rows (default: %(default)s)",
    )
    parser.add_argument("--envoy", type=Path, required=True, help="Envoy's binary")
    parser.add_argument("--module", type=Path, required=True, help="Tracewarden's module")
    parser.add_argument("--floor", type=Path, required=True, help="the floor, with the same exports")
    parser.add_argument(
        "--floor-unpruned", type=Path, required=True, help="the floor, with every callback exported"
    )
    parser.add_argument("--micro", type=Path, required=True, help="the program of the micro-benchmark")
    parser.add_argument("--results", type=Path, required=True, help="where counts are kept, a JSON file")
    return parser.parse_args()


def rows_of(which: str) -> list[Row]:
    """The rows, with a bare Envoy for each traffic that has none."""
    if which == "default":
        return cases.DEFAULT
    known = {row.traffic for row in cases.ALL if row.setup == cases.BARE}
    others = dict.fromkeys(row.traffic for row in cases.ALL if row.traffic not in known)
    bare = [
        Row(f"bare Envoy, {traffic.name}", cases.BARE, traffic, sent=_untouched(traffic)) for traffic in others
    ]
    return cases.ALL[:1] + bare + cases.ALL[1:]


def _untouched(traffic: cases.Traffic) -> str:
    return "none" if traffic.traceparent is None else "same"


def run(options: argparse.Namespace) -> None:
    valgrind = require_valgrind()
    envoy = Path(shutil.which(str(options.envoy)) or options.envoy).resolve()
    common = digest(valgrind, file_digest(envoy), file_digest(HERE / "callgrind.py"))
    modules = {
        "tracewarden": options.module.resolve(),
        "floor": options.floor.resolve(),
        "floor-unpruned": options.floor_unpruned.resolve(),
    }
    bench = Bench(envoy, modules, options.micro.resolve(), Results(options.results), common)
    rows = rows_of(options.which)
    counts = bench.measure(rows)
    micro = bench.measure_micro()
    worst = max(counts.items(), key=lambda item: item[1].spread)
    print("Thousands of instructions of Envoy's worker a request: small has 5 headers, browser 20\n")
    print(table(rows, counts))
    print(f"\nTwo windows of a count differ by at most {worst[1].spread:.2%} ({', '.join(worst[0])}).")
    print("\nInstructions a header, natively\n")
    print(micro_table(micro))
    print("\nBudget\n")
    print(budget(rows, counts, micro, modules["tracewarden"]))


def main() -> int:
    signal.signal(signal.SIGTERM, _stop)
    try:
        run(arguments())
    except Failed as failed:
        say(f"bench: {failed}")
        return 1
    except KeyboardInterrupt:
        say("bench: stopped; what was counted is kept")
        return 130
    return 0


def _stop(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
