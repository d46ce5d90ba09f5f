"""What is measured: the traffic, the configurations of Envoy that it meets, and the rows of the table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Optional

HOST = "127.0.0.1"
SIZES = ("small", "browser")

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
# Not sampled, so that Envoy's own tracer, which respects the flag, records nothing.
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-00"
UPPER_CASE = PARENT.upper()
MEMBERS = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,vendor@system=opaque value"
SPACED_MEMBERS = "rojo=00f067aa0ba902b7, congo=t61rcWkgMzE, vendor@system=opaque value"

# As long as `traceparent`: a request without one is otherwise the same request.
SOME_OTHER_HEADER = "x-not-trace"

# With traceparent these are 5 and 20 headers.
SMALL = [
    ("host", "shop.example"),
    ("user-agent", "bench/1.0"),
    ("accept", "*/*"),
    ("accept-encoding", "gzip"),
]
BROWSER = [
    ("host", "shop.example"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    ),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
    ("cache-control", "max-age=0"),
    (
        "cookie",
        "session=3f9a6c0d2b8e4715a1c2d3e4f5061728; theme=dark; consent=all; basket=17; _ga=GA1.2.1234567890.1712345678",
    ),
    ("dnt", "1"),
    ("origin", "https://shop.example"),
    ("priority", "u=0, i"),
    ("referer", "https://shop.example/catalogue?page=2"),
    ("sec-ch-ua", '"Chromium";v="142", "Not_A Brand";v="99", "Google Chrome";v="142"'),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", '"Linux"'),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-user", "?1"),
    ("upgrade-insecure-requests", "1"),
]

CHUNKS = 10
CHUNK = b"x" * 1024


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
        path = "/told" if self.answers_context else "/mute"
        lines = [f"{'POST' if self.chunks else 'GET'} {path} HTTP/1.1"]
        headers = list(SMALL if size == "small" else BROWSER)
        if self.traceparent is None:
            headers.append((SOME_OTHER_HEADER, PARENT))
        else:
            headers.append(("traceparent", self.traceparent))
        if self.tracestate is not None:
            headers.append(("tracestate", self.tracestate))
        if self.chunks:
            headers.append(("transfer-encoding", "chunked"))
        lines += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join([*lines, "", ""]).encode()

    def describe(self, size: str) -> str:
        """All that makes one request differ from another."""
        return f"{self.head(size)!r} and {self.chunks} times {len(CHUNK)} octets"


VALID = Traffic("valid")
SAMPLED = Traffic("sampled", traceparent=PARENT[:-1] + "1")
NOTHING = Traffic("no context", traceparent=None)
CORRUPT = Traffic("corrupt", traceparent=UPPER_CASE)
STATE = Traffic("tracestate", tracestate=MEMBERS)
SPACED_STATE = Traffic("tracestate with spaces", tracestate=SPACED_MEMBERS)
BODY = Traffic("body", chunks=CHUNKS)
ANSWERED = Traffic("answered", answers_context=True)


@dataclass(frozen=True)
class Setup:
    """A configuration of Envoy: what stands in front of the router, and whether Envoy itself traces."""

    name: str
    # None, or the name of a module under the paths that the command line gives.
    module: Optional[str] = None
    configuration: str = ""
    # None, or what comes before the Lua filter's source.
    lua: Optional[str] = None
    tracer: bool = False


def _tracewarden(name: str, **options: Any) -> Setup:
    return Setup(name, module="tracewarden", configuration=json.dumps({"direction": "inbound", **options}))


QUIET = {"validate": False, "inject": []}

BARE = Setup("bare")
# The length of the floor's configuration says what it does.
EMPTY = Setup("empty", module="floor", configuration="")
FLOOR = Setup("floor", module="floor", configuration="1")
FLOOR_BOTH = Setup("floor, both passes", module="floor", configuration="12")
EMPTY_ALL = Setup("empty, all callbacks", module="floor-unpruned", configuration="")
REQUEST = _tracewarden("request", parent_id="new", response=QUIET)
BOTH = _tracewarden("both passes", parent_id="new")
LUA = Setup("lua", lua="")
LUA_EVERY = Setup("lua, every header", lua="EVERY_HEADER = true\n")
TRACER = Setup("tracer", tracer=True)

DISABLED = _tracewarden("disabled", enabled=False)
OBSERVE = _tracewarden("observe", mode="observe", response=QUIET)
FORWARD = _tracewarden("forward", response=QUIET)
AUTO_DIRECTION = Setup(
    "direction auto", module="tracewarden", configuration=json.dumps({"parent_id": "new", "response": QUIET})
)
RENAMED = _tracewarden("renamed header", parent_id="new", response=QUIET, header="x-trace-parent")
NEVER = _tracewarden("start never", start="never", response=QUIET)
EDGE = _tracewarden("role edge", role="edge", response=QUIET)
HALF = _tracewarden("probability", role="edge", response=QUIET, sampling={"probability": 0.5})
IGNORE_PARENT = _tracewarden("ignore parent", parent_id="new", response=QUIET, sampling={"parent": "ignore"})
EXCLUDE = _tracewarden("exclude", parent_id="new", response=QUIET, exclude=[{"path_prefix": "/healthz"}])
EXCLUDED = _tracewarden("excluded", parent_id="new", response=QUIET, exclude=[{"path_prefix": "/mute"}])
VALIDATE = _tracewarden("validate", parent_id="new", response={"validate": True, "inject": []})
INJECT = _tracewarden("inject", parent_id="new", response={"validate": False, "inject": ["traceparent"]})
TRACERESPONSE = _tracewarden(
    "traceresponse", parent_id="new", response={"validate": False, "inject": ["traceresponse"]}
)
SERVER_TIMING = _tracewarden(
    "server-timing", parent_id="new", response={"validate": False, "inject": ["server-timing"]}
)
READ_B3 = _tracewarden(
    "b3 read", parent_id="new", response=QUIET, propagation={"extract": ["tracecontext", "b3"]}
)
WRITE_B3 = _tracewarden(
    "b3 written", parent_id="new", response=QUIET, propagation={"inject": ["tracecontext", "b3"]}
)
WRITE_DATADOG = _tracewarden(
    "datadog written", parent_id="new", response=QUIET, propagation={"inject": ["tracecontext", "datadog"]}
)
TRUST_CIDR = _tracewarden(
    "trust by address",
    parent_id="new",
    response=QUIET,
    trust={"default": "untrusted", "trusted": [{"cidr": "127.0.0.0/8"}]},
)
RULES = _tracewarden(
    "rules",
    role="edge",
    response=QUIET,
    sampling={"rules": [{"match": {"path_prefix": f"/{n}"}, "probability": 1} for n in range(3)]},
)
RATE = _tracewarden(
    "rate", role="edge", response=QUIET, sampling={"max_traces_per_second_per_worker": 1_000_000}
)
REQUEST_ID = _tracewarden("request id", role="edge", response=QUIET, trace_id_source="x-request-id")
REMEMBER = _tracewarden("correlation, inbound", parent_id="new", response=QUIET, correlation={})
RECALL = Setup(
    "correlation, outbound",
    module="tracewarden",
    configuration=json.dumps(
        {"direction": "outbound", "parent_id": "new", "response": QUIET, "correlation": {}}
    ),
)
ACCESS_LOG = _tracewarden("access log", parent_id="new", response=QUIET, access_log={"filter_state": True})

# A queue that is never full and a batch that never is: what is counted is the span, not its upload.
_NEVER_SENT = {"otlp": {"cluster": "nobody"}, "queue": 1_000_000, "batch": 1_000_000, "delay_ms": 1_000_000}
EXPORT = _tracewarden("export", response=QUIET, exclude=[], export=_NEVER_SENT)
EXPORT_EXCLUDE = _tracewarden("export, default exclude", response=QUIET, export=_NEVER_SENT)
EXPORT_PAIR = _tracewarden(
    "export, pair", response=QUIET, exclude=[], export=_NEVER_SENT, span={"kind": "server_and_client"}
)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    label: str
    setup: Setup
    traffic: Traffic = VALID
    # What the upstream must receive for the measurement to mean anything: see `callgrind.received`.
    sent: str = "child"
    # The row whose added instructions are the denominator of the ratio to the floor.
    floor: Optional[str] = None
    # The row that this one is an option of; the difference is the option's price.
    over: Optional[str] = None
    sizes: tuple[str, ...] = field(default=SIZES)


NEW = "Tracewarden, request pass"
FULL = "Tracewarden, both passes"
FLOOR_LABEL = "floor, request pass"
FLOOR_BOTH_LABEL = "floor, both passes"
# Its figures are those that the budget was made with.
LUA_LABEL = "Lua, request pass, looks at every header"
BODY_LABEL = f"body of {CHUNKS} chunks, {NEW}"
FLOOR_BODY_LABEL = f"body of {CHUNKS} chunks, {FLOOR_LABEL}"

DEFAULT = [
    Row("bare Envoy", BARE, sent="same"),
    Row(FLOOR_LABEL, FLOOR),
    Row(NEW, REQUEST, floor=FLOOR_LABEL),
    Row(FLOOR_BOTH_LABEL, FLOOR_BOTH),
    Row(FULL, BOTH, floor=FLOOR_BOTH_LABEL),
    Row(LUA_LABEL, LUA_EVERY, floor=FLOOR_LABEL),
    Row("Lua, request pass, looks one header up", LUA, floor=FLOOR_LABEL),
    Row("Envoy's OpenTelemetry tracer", TRACER),
]

ALL = [
    *DEFAULT,
    Row("Envoy's tracer, sampled", TRACER, SAMPLED),
    Row("empty module", EMPTY, sent="same"),
    Row("enabled: false", DISABLED, sent="same", over="empty module"),
    Row("parent_id: forward", FORWARD, sent="same", over=NEW),
    Row("mode: observe", OBSERVE, sent="same", over="parent_id: forward"),
    Row("direction: auto", AUTO_DIRECTION, over=NEW),
    Row("header: x-trace-parent, none came", RENAMED, sent="same"),
    Row("a tracestate of 3 members", REQUEST, STATE, over=NEW),
    Row("a tracestate with spaces, rewritten", REQUEST, SPACED_STATE, over="a tracestate of 3 members"),
    Row("sampling.parent: ignore", IGNORE_PARENT, sent="sampled child", over=NEW),
    Row("exclude, one prefix, not excluded", EXCLUDE, over=NEW),
    Row("exclude, one prefix, excluded", EXCLUDED, sent="same", over=NEW),
    Row("propagation.extract: b3 as well", READ_B3, over=NEW),
    Row("propagation.inject: b3 as well", WRITE_B3, over=NEW),
    Row("propagation.inject: datadog as well", WRITE_DATADOG, over=NEW),
    Row("trust, one range of addresses", TRUST_CIDR, over=NEW),
    Row("correlation, inbound", REMEMBER, over=NEW),
    Row("correlation, outbound", RECALL, over=NEW),
    Row("access_log.filter_state", ACCESS_LOG, over=NEW),
    Row("export, not sampled", EXPORT, sent="same", over="parent_id: forward"),
    Row("export, not sampled, default exclude", EXPORT_EXCLUDE, sent="same", over="export, not sampled"),
    Row("export, a span", EXPORT, SAMPLED, over=NEW),
    Row("export, a pair of spans", EXPORT_PAIR, SAMPLED, over="export, a span"),
    Row("response.validate", VALIDATE, over=NEW),
    Row("response.validate, upstream answered", VALIDATE, ANSWERED, over="response.validate"),
    Row("response.inject: traceparent", INJECT, over=NEW),
    Row("response.inject: traceresponse", TRACERESPONSE, over=NEW),
    Row("response.inject: server-timing", SERVER_TIMING, over=NEW),
    Row("no context: starts, role edge", EDGE, NOTHING, sent="root", over=NEW),
    Row(
        "no context: starts, probability 0.5", HALF, NOTHING, sent="root", over="no context: starts, role edge"
    ),
    Row("starts, 3 sampling rules", RULES, NOTHING, sent="root", over="no context: starts, role edge"),
    Row("starts, a rate of new traces", RATE, NOTHING, sent="root", over="no context: starts, role edge"),
    Row("starts, trace_id_source", REQUEST_ID, NOTHING, sent="root", over="no context: starts, role edge"),
    Row("no context: lost, repaired", REQUEST, NOTHING, sent="root", over="no context: starts, role edge"),
    Row("no context: lost, start: never", NEVER, NOTHING, sent="none", over="no context: lost, repaired"),
    Row("corrupt, repaired", REQUEST, CORRUPT, sent="root", over="no context: lost, repaired"),
    Row("corrupt, start: never", NEVER, CORRUPT, sent="none", over="corrupt, repaired"),
    Row("Lua, no context", LUA, NOTHING, sent="root"),
    Row(f"body of {CHUNKS} chunks, bare Envoy", BARE, BODY, sent="same", sizes=("small",)),
    Row(FLOOR_BODY_LABEL, FLOOR, BODY, over=FLOOR_LABEL, sizes=("small",)),
    Row(BODY_LABEL, REQUEST, BODY, over=NEW, sizes=("small",)),
    Row("empty module, every callback exported", EMPTY_ALL, sent="same", over="empty module", sizes=("small",)),
    Row(
        f"body of {CHUNKS} chunks, the same",
        EMPTY_ALL,
        BODY,
        sent="same",
        over="empty module, every callback exported",
        sizes=("small",),
    ),
]
