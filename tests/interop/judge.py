"""Compares the built module with the vendors' own libraries, both ways and in every format.

What they write the module reads, what the module writes they read, and both read the same headers, legal and
not. Where they differ, `differences.md` must say so beforehand, with the rule that decides; a difference that is
not there fails, and so does one that is there and is gone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from cases import Case, Cases, Seen, every_spelling, malformed, there_and_back, they_write, we_write
from contexts import differences
from differences import DIFFERENCES, Difference, is_always
from libraries import LIBRARIES, Library

SEED = 20261122
# How many failures of a check are printed.
SHOWN = 8

Row = tuple[str, ...]


@dataclass
class Check:
    """The cases of a format, a library and a direction, and how they went."""

    form: str
    library: Library
    direction: str
    cases: list[Case]
    # How often each row of the table was seen, by the alternative among its features.
    known: Counter[tuple[Difference, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def judge(self, outcomes: Iterator[Seen]) -> None:
        rows = [row for row in DIFFERENCES if row.is_about(self.form, self.library.name, self.direction)]
        for case in self.cases:
            seen = next(outcomes)
            try:
                self._compare(case, seen, rows)
            except AssertionError as wrong:
                self.failures.append(f"{case.headers}: {wrong}")

    def _compare(self, case: Case, seen: Seen, rows: list[Difference]) -> None:
        ours, theirs = case.ours(seen), case.theirs(seen)
        found = differences(ours, theirs, self.library.told[self.form])
        reason = seen.reason()
        named = case.features | ({f"because of {reason}"} if reason else set())
        unknown = set(found)
        for row in rows:
            fitting = row.reason(named)
            if fitting is not None and row.what in found:
                self.known[row, fitting] += 1
                unknown.discard(row.what)
            elif fitting is not None and is_always(fitting):
                self.failures.append(f"{case.headers} {sorted(named)}: no longer so: {row.what}")
        for what in sorted(unknown):
            self.failures.append(f"{case.headers} {sorted(named)}: {what}: we {ours}, they {theirs}")


def checks() -> Iterator[Check]:
    """Every format with every library that knows it, in every direction."""
    for library in LIBRARIES:
        for form in library.decisions:
            directions: dict[str, Cases] = {
                "they write, we read": they_write,
                "every spelling": every_spelling,
            }
            # The module does not write SkyWalking's format.
            if form != "sw8":
                directions |= {"we write, they read": we_write, "there and back": there_and_back}
            if library.validates:
                directions["malformed"] = malformed
            for direction, cases in directions.items():
                rng = Random(f"{SEED} {library.name} {form} {direction}")
                yield Check(form, library, direction, list(cases(library, form, rng)))


def run(command: list[str], cases: list[Case]) -> Iterator[Seen]:
    """Sends all requests through the module."""
    requests = (json.dumps({"config": case.config, "headers": case.headers}) + "\n" for case in cases)
    done = subprocess.run(command, input="".join(requests), stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with status {done.returncode}")
    # A header may contain bytes at which `splitlines` would split too.
    for line in done.stdout.removesuffix("\n").split("\n"):
        outcome = json.loads(line)
        headers = [(name, value) for name, value in outcome["headers"]]
        yield Seen(headers, outcome["counters"], outcome["state"])


def results(judged: list[Check]) -> list[Row]:
    rows: list[Row] = [("format", "library", "direction", "contexts", "known differences", "result")]
    for check in judged:
        result = f"{len(check.failures)} FAILED" if check.failures else "ok"
        known = sum(check.known.values())
        rows.append(
            (check.form, check.library.name, check.direction, str(len(check.cases)), str(known or ""), result)
        )
    return rows


def known(seen: Counter[tuple[Difference, str]]) -> list[Row]:
    rows: list[Row] = [
        ("rule", "right", "library", "format", "direction", "cases", "features", "difference", "why")
    ]
    for row in DIFFERENCES:
        cases = str(sum(seen[row, reason] for reason in row.reasons))
        what = (row.features, row.what, row.why)
        rows.append((row.rule, row.right, row.library, row.formats, row.direction, cases, *what))
    return rows


def plain(rows: list[Row]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def markdown(rows: list[Row]) -> str:
    head, *body = ["| " + " | ".join(row) + " |\n" for row in rows]
    return head + "|---" * len(rows[0]) + "|\n" + "".join(body)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", type=Path, required=True, help="where the tables go, as Markdown")
    parser.add_argument("runner", nargs="+", help="the command that runs requests through the module")
    arguments = parser.parse_args()

    started = time.monotonic()
    judged = list(checks())
    cases = [case for check in judged for case in check.cases]
    print(f"interop: {len(judged)} checks, {len(cases)} requests through the module…", flush=True)
    outcomes = run(arguments.runner, cases)
    seen: Counter[tuple[Difference, str]] = Counter()
    for check in judged:
        check.judge(outcomes)
        seen.update(check.known)
    gone = [(row, reason) for row in DIFFERENCES for reason in row.reasons if not seen[row, reason]]

    print(plain(results(judged)))
    tables = [markdown(results(judged)), "Known differences:\n", markdown(known(seen))]
    arguments.report.parent.mkdir(parents=True, exist_ok=True)
    arguments.report.write_text("# Tracewarden and the vendors' libraries\n\n" + "\n".join(tables))
    print(f"{sum(seen.values())} known differences of {len(DIFFERENCES)} kinds: {arguments.report}")

    for check in judged:
        for failure in check.failures[:SHOWN]:
            print(f"{check.form}, {check.library.name}, {check.direction}: {failure}")
    for row, reason in gone:
        where = f"{row.library}, {row.formats}, {row.direction}"
        print(f"differences.md: {where}: {reason}: not seen: {row.what}")
    failed = sum(bool(check.failures) for check in judged) + len(gone)
    passed = sum(not check.failures for check in judged)
    print(f"interop: {passed} passed, {failed} failed ({time.monotonic() - started:.0f} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
