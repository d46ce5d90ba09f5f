"""What is measured: the traffic, the configurations of Envoy that it meets, and the rows of the table.

`cases.json` lists them. A group's fields count for each of its rows, whose own come first. Each traffic needs a row
with a bare Envoy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterator, Optional

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
# Not sampled, so that Envoy's own tracer, which respects the flag, records nothing.
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-00"

# As long as `traceparent`: a request without one is otherwise the same request.
SOME_OTHER_HEADER = "x-not-trace"

CHUNK = b"x" * 1024

_CASES = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))

# With traceparent these are 5 and 20 headers.
HEADERS: dict[str, list[str]] = _CASES["headers"]
SIZES = tuple(HEADERS)


@dataclass(frozen=True)
class Traffic:
    """A request, and what the upstream answers."""

    name: str
    traceparent: Optional[str] = PARENT
    tracestate: Optional[str] = None
    chunks: int = 0
    answers_context: bool = False

    def head(self, size: str) -> bytes:
        """The request's head; the path tells the upstream what to answer."""
        method, path = "POST" if self.chunks else "GET", "/told" if self.answers_context else "/mute"
        headers = {
            SOME_OTHER_HEADER: None if self.traceparent else PARENT,
            "traceparent": self.traceparent,
            "tracestate": self.tracestate,
            "transfer-encoding": "chunked" if self.chunks else None,
        }
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return "\r\n".join([f"{method} {path} HTTP/1.1", *HEADERS[size], *lines, "", ""]).encode()

    def describe(self, size: str) -> str:
        """All that makes one request differ from another."""
        return f"{self.head(size)!r} and {self.chunks} times {len(CHUNK)} bytes"


TRAFFIC = {name: Traffic(name, **fields) for name, fields in _CASES["traffic"].items()}


@dataclass(frozen=True)
class Setup:
    """A configuration of Envoy: what stands in front of the router, and whether Envoy itself traces."""

    # None, or the name of a module under the paths that the command line gives.
    module: Optional[str] = None
    # What the length of the floor's says is what the floor does.
    configuration: str = ""
    # None, or what comes before the Lua filter's source.
    lua: Optional[str] = None
    # None, or which collector Envoy's own tracer sends its spans to: see `bootstrap.TRACERS`.
    tracer: Optional[str] = None
    # How many spans a batch has that goes to the live collector.
    batch: Optional[int] = None
    # Whether the demo mesh's log of broken calls is written, to nowhere.
    logs_broken: bool = False
    # How many routes Envoy tries, of which the last one matches.
    routes: int = 1


BARE = Setup()

# A queue that is never full and a batch that never is: what is counted is the span, not its upload.
EXPORTS: dict[str, dict[str, Any]] = {
    "never sent": {"otlp": {"cluster": "nobody"}, "queue_bytes": 64 << 20, "batch": 1_000_000, "delay_ms": 1_000_000},
    "live": {"otlp": {"cluster": "live"}},
}


def tracewarden(batch: Optional[int] = None, **options: Any) -> Setup:
    """The filter on the inbound side, and quiet on the response pass, unless the options say otherwise."""
    options = {"direction": "inbound", "response": {"validate": False, "inject": []}, **options}
    if "export" in options:
        options["export"] = {**EXPORTS[options["export"]], **({"batch": batch} if batch else {})}
    return Setup("tracewarden", json.dumps(options), batch=batch)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    label: str
    setup: Setup
    traffic: Traffic
    # What the upstream must receive for the measurement to mean anything: see `traffic.outcome`.
    sent: str = "child"
    # The row whose added instructions are the denominator of the ratio to the floor.
    floor: Optional[str] = None
    # The row that this one is an option of; the difference is the option's price.
    over: Optional[str] = None
    # Who exports a span of each request to the live collector: `tracewarden` or `tracer`.
    exporter: Optional[str] = None
    sizes: tuple[str, ...] = SIZES


def _rows(entries: list[dict[str, Any]]) -> Iterator[Row]:
    for entry in entries:
        shared = {name: value for name, value in entry.items() if name != "rows"}
        for row in entry.get("rows", [{}]):
            fields = {**shared, **row}
            if "options" in fields:
                fields["options"] = {**shared.get("options", {}), **row.get("options", {})}
            yield _row(**fields)


def _row(label: str, traffic: str = "valid", sizes: Any = SIZES, options: Any = None, **fields: Any) -> Row:
    names = ("module", "configuration", "lua", "tracer", "batch", "logs_broken", "routes")
    of_setup = {name: fields.pop(name) for name in names if name in fields}
    batch = of_setup.get("batch")
    setup = replace(BARE if options is None else tracewarden(batch, **options), **of_setup)
    return Row(label, setup, TRAFFIC[traffic], sizes=tuple(sizes), **fields)


SPANS = list(_rows(_CASES["spans"]))
DEFAULT = [*_rows(_CASES["default"]), *SPANS]
ROUTES = list(_rows(_CASES["routes"]))
ROWS = {
    "default": DEFAULT,
    "spans": SPANS,
    "routes": ROUTES,
    "sidecar": list(_rows(_CASES["sidecar"])),
    # Bare Envoy is a row of each of them.
    "all": [*DEFAULT, *ROUTES[1:], *_rows(_CASES["options"])],
}
