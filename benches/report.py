"""The tables, and what the design allows."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from callgrind import Count
from cases import BARE, SIZES, TRAFFIC, Row
from collector import COLUMNS
from proxy import align

NEW = "Tracewarden, request pass"
FLOOR_LABEL = "floor, request pass"
# Its figures are those that the budget was made with.
LUA_LABEL = "Lua, request pass, looks at every header"
CHUNKS = TRAFFIC["body"].chunks
BODY_LABEL = f"body of {CHUNKS} chunks, {NEW}"
FLOOR_BODY_LABEL = f"body of {CHUNKS} chunks, {FLOOR_LABEL}"

FLOOR_BUDGET = 1.2
LUA_BUDGET = {"small": 0.6, "browser": 0.5}
PARSE_BUDGET = 5.0
SIZE_BUDGET = 440_000
# A chunk of a body costs nothing but what Envoy does for any module in its way; the rest is noise.
CHUNK_BUDGET = 50.0

MICRO_WHO = ("tracewarden", "cheapest", "hashmap")
MICRO = {
    "parse": "parse traceparent",
    "parse-tracestate": "parse traceparent and tracestate",
    "format": "format traceparent",
    "format-tracestate": "format traceparent and tracestate",
}

# By the row's label and the request's size.
Counts = dict[tuple[str, str], Count]
Added = dict[tuple[str, str], float]
# By operation and who does it.
Micro = dict[tuple[str, str], float]


def additions(rows: list[Row], counts: Counts) -> Added:
    """What each row adds to bare Envoy under the same traffic."""
    bare = {(row.traffic, size): row.label for row in rows if row.setup == BARE for size in row.sizes}
    return {
        (row.label, size): counts[row.label, size].instructions
        - counts[bare[row.traffic, size], size].instructions
        for row in rows
        for size in row.sizes
    }


def table(rows: list[Row], counts: Counts) -> str:
    """The table, in thousands of instructions a request."""
    added = additions(rows, counts)
    columns = ["added", "/ floor", "/ Lua"]
    lines = [["", "small", *columns, "browser", *columns]]
    for row in rows:
        cells = [row.label]
        for size in SIZES:
            count = counts.get((row.label, size))
            mine = added.get((row.label, size))
            cells.append(_thousands(count.instructions if count else None))
            cells.append("" if row.setup == BARE else _thousands(mine))
            cells.append(_ratio(mine, added.get((row.floor or "", size))))
            cells.append(_ratio(mine, added.get((LUA_LABEL, size))) if row.floor == FLOOR_LABEL else "")
        lines.append(cells)
    prices = ["price of the option" if any(row.over for row in rows) else "", *(_price(row, added) for row in rows)]
    return "\n".join(f"{line}  {price}".rstrip() for line, price in zip(align(lines), prices))


def spans_table(rows: list[Row], counts: Counts) -> str:
    """What became of every span, and Tracewarden's price divided by that of Envoy's tracer in batches of either size."""
    added = additions(rows, counts)
    exporting = [row for row in rows if row.exporter]
    tracers = [row for row in exporting if row.exporter == "tracer"]
    ratios = [f"/ tracer, batches of {tracer.setup.batch}" for tracer in tracers]
    lines = [["", "headers", "a batch", *COLUMNS, *ratios]]
    for row in exporting:
        for size in row.sizes:
            spans = counts[row.label, size].spans or {"requests": 0, "received": 0}
            # Envoy's tracer does not count what it records, nor what it drops.
            cells = [f"{spans[name]:,d}" if name in spans else "-" for name in COLUMNS]
            divided = [_ratio(added[row.label, size], added[tracer.label, size]) for tracer in tracers]
            if row in tracers:
                divided = [""] * len(tracers)
            elif spans["received"] < spans["requests"]:
                # What was never sent costs nothing.
                divided = ["spans lost"] * len(tracers)
            lines.append([row.label, size, str(row.setup.batch), *cells, *divided])
    return "\n".join(line.rstrip() for line in align(lines))


def _price(row: Row, added: Added) -> str:
    if not row.over:
        return ""
    differences = (added[row.label, size] - added[row.over, size] for size in row.sizes)
    return " / ".join(f"{difference / 1000:+.1f}" for difference in differences) + f" over {row.over}"


def budget(rows: list[Row], counts: Counts, micro: Micro, module: Path) -> str:
    """What the design allows, and whether it is kept."""
    added = additions(rows, counts)
    lines: list[list[str]] = []

    def at_most(what: str, value: float, limit: float, form: str) -> None:
        verdict = "kept" if value <= limit else "EXCEEDED"
        lines.append([what, format(value, form), f"at most {limit:{form}}", verdict])

    for size in SIZES:
        mine = added[NEW, size]
        at_most(f"request pass / floor, {size}", mine / added[FLOOR_LABEL, size], FLOOR_BUDGET, ".2f")
        at_most(f"request pass / Lua, {size}", mine / added[LUA_LABEL, size], LUA_BUDGET[size], ".2f")
    if (BODY_LABEL, "small") in added:
        ours = added[BODY_LABEL, "small"] - added[NEW, "small"]
        floor = added[FLOOR_BODY_LABEL, "small"] - added[FLOOR_LABEL, "small"]
        at_most("a chunk of a body, over the floor's", (ours - floor) / CHUNKS, CHUNK_BUDGET, ".0f")
    parse = micro["parse", "tracewarden"] / micro["parse", "cheapest"]
    at_most("parse / opentelemetry_sdk", parse, 1 / PARSE_BUDGET, ".2f")
    at_most("module, bytes", module.stat().st_size, SIZE_BUDGET, ",d")
    return "\n".join(align(lines))


def micro_table(micro: Micro) -> str:
    """Parsing and formatting, in instructions."""
    lines = [["", "ours", "opentelemetry_sdk", "ratio", "with HashMap", "ratio"]]
    for operation, label in MICRO.items():
        ours, cheapest, hashmap = (micro[operation, who] for who in MICRO_WHO)
        others = [cell for other in (cheapest, hashmap) for cell in (f"{other:,.0f}", f"{other / ours:.1f}")]
        lines.append([label, f"{ours:,.0f}", *others])
    return "\n".join(align(lines))


def _thousands(count: Optional[float]) -> str:
    return "" if count is None else f"{count / 1000:.1f}"


def _ratio(mine: Optional[float], other: Optional[float]) -> str:
    return "" if mine is None or not other else f"{mine / other:.2f}"
