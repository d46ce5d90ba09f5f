"""Headers in every way that the formats allow: what no library writes, but somebody will."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from contexts import DECISIONS, HALF, Context, Headers, draw, draw_members, features

Pieces = dict[str, str]


@dataclass(frozen=True)
class Spelling:
    """Headers, and what about them may make a difference."""

    headers: Headers
    features: frozenset[str]


@dataclass(frozen=True)
class Form:
    """How a format is made of pieces."""

    decisions: tuple[str, ...]
    # Draws the pieces of a context, and names what is special about the way they are written.
    write: Callable[[Context, Random], tuple[Pieces, set[str]]]
    # Makes headers of them; a piece that is not there is left out.
    join: Callable[[Pieces], Headers]


def spell(name: str, rng: Random) -> Spelling:
    """A valid context, in any way that the format has for it."""
    form = FORMS[name]
    context = draw(rng, form.decisions)
    pieces, found = form.write(context, rng)
    return Spelling(form.join(pieces), features(context) | found)


def _hex(context: Context) -> Pieces:
    return {"trace-id": f"{context.trace_id:032x}", "span-id": f"{context.span_id:016x}"}


def _chance(rng: Random, share: float, found: set[str], what: str) -> bool:
    """Whether to write in a special way, which is then named."""
    happens = rng.random() < share
    if happens:
        found.add(what)
    return happens


def _width(context: Context, rng: Random, found: set[str]) -> Pieces:
    pieces = _hex(context)
    if context.trace_id <= HALF and _chance(rng, 0.5, found, "16 digits"):
        pieces["trace-id"] = f"{context.trace_id:016x}"
    return pieces


def _present(pieces: Pieces, names: str) -> list[str]:
    return [pieces[name] for name in names.split() if name in pieces]


def _b3(context: Context, rng: Random) -> tuple[Pieces, set[str]]:
    found: set[str] = set()
    pieces = _width(context, rng, found)
    if context.sampled is not None:
        pieces["state"] = "d" if context.debug else str(int(context.sampled))
        if _chance(rng, 0.3, found, "parent"):
            pieces["parent"] = f"{rng.getrandbits(64):016x}"
    return pieces, found


def _b3multi(context: Context, rng: Random) -> tuple[Pieces, set[str]]:
    found: set[str] = set()
    pieces = _width(context, rng, found)
    if context.debug:
        pieces["flags"] = "1"
        if _chance(rng, 0.3, found, "unsampled beside debug"):
            pieces["sampled"] = "0"
    elif context.sampled is not None:
        pieces["sampled"] = str(int(context.sampled))
        for word in ("true", "True", "TRUE"):
            if _chance(rng, 0.1, found, f"word {word}"):
                falses = {"true": "false", "True": "False", "TRUE": "FALSE"}
                pieces["sampled"] = word if context.sampled else falses[word]
                found -= {other for other in found if other.startswith("word")} - {f"word {word}"}
    if not context.debug and _chance(rng, 0.1, found, "flags that mean nothing"):
        pieces["flags"] = "0"
    if _chance(rng, 0.3, found, "parent"):
        pieces["parent"] = f"{rng.getrandbits(64):016x}"
    return pieces, found


def _jaeger(context: Context, rng: Random) -> tuple[Pieces, set[str]]:
    found: set[str] = set()
    pieces = _hex(context) | {"parent": "0"}
    if _chance(rng, 0.3, found, "no zeros in front"):
        pieces = pieces | {"trace-id": f"{context.trace_id:x}", "span-id": f"{context.span_id:x}"}
    if _chance(rng, 0.3, found, "parent"):
        pieces["parent"] = f"{rng.getrandbits(64):016x}"
    flags = int(bool(context.sampled)) | int(context.debug) << 1
    if _chance(rng, 0.2, found, "firehose"):
        flags |= 8
    if context.sampled is False and _chance(rng, 0.2, found, "debug without sampled"):
        flags |= 2
    pieces["flags"] = f"{flags:02x}" if _chance(rng, 0.3, found, "two digits of flags") else f"{flags:x}"
    if _chance(rng, 0.2, found, "escaped"):
        pieces["escaped"] = "%3A"
    return pieces, found


def _xray(context: Context, rng: Random) -> tuple[Pieces, set[str]]:
    found: set[str] = set()
    pieces = _hex(context)
    if _chance(rng, 0.2, found, "parentless"):
        del pieces["span-id"]
    if context.sampled is not None:
        pieces["sampled"] = str(int(context.sampled))
    elif _chance(rng, 0.5, found, "question mark"):
        pieces["sampled"] = "?"
    if _chance(rng, 0.2, found, "more keys"):
        pieces["more"] = "Self=1-67891234-12456789abcdef0123456789;Lineage=a:1234abcd:0"
    if len(pieces) > 1 and _chance(rng, 0.2, found, "spaces"):
        pieces["space"] = " "
    if _chance(rng, 0.2, found, "other order"):
        pieces["order"] = "reversed"
    return pieces, found


def _join_xray(pieces: Pieces) -> Headers:
    root = pieces["trace-id"]
    pieces = pieces | {"trace-id": f"{root[:8]}-{root[8:]}"}
    names = {"trace-id": "Root=1-", "span-id": "Parent=", "sampled": "Sampled=", "more": ""}
    parts = [key + pieces[name] for name, key in names.items() if name in pieces]
    if "order" in pieces:
        parts.reverse()
    return [("X-Amzn-Trace-Id", (pieces.get("space", "") + ";" + pieces.get("space", "")).join(parts))]


def _gcp(context: Context, rng: Random) -> tuple[Pieces, set[str]]:
    found: set[str] = set()
    pieces = {"trace-id": f"{context.trace_id:032x}"}
    if not _chance(rng, 0.1, found, "parentless"):
        pieces["span-id"] = str(context.span_id)
    elif _chance(rng, 0.5, found, "a slash alone"):
        pieces["span-id"] = ""
    if context.sampled is not None:
        pieces["option"] = f";o={int(context.sampled)}"
    elif _chance(rng, 0.3, found, "an empty option"):
        pieces["option"] = ";o="
    return pieces, found


def _join_gcp(pieces: Pieces) -> Headers:
    span = "/" + pieces["span-id"] if "span-id" in pieces else ""
    return [("x-cloud-trace-context", pieces["trace-id"] + span + pieces.get("option", ""))]


def _datadog(context: Context, rng: Random) -> tuple[Pieces, set[str]]:
    found: set[str] = set()
    pieces = {"trace-id": str(context.trace_id & HALF)}
    if not _chance(rng, 0.1, found, "parentless"):
        pieces["span-id"] = str(context.span_id)
    elif _chance(rng, 0.5, found, "parent 0"):
        pieces["span-id"] = "0"
    if context.sampled is not None:
        pieces["priority"] = rng.choice(("1", "2") if context.sampled else ("0", "-1"))
    tags = []
    if _chance(rng, 0.3, found, "more tags"):
        tags += ["_dd.p.dm=-4", "_dd.p.usr=YQ"]
    if context.trace_id > HALF:
        tags.append(f"_dd.p.tid={context.trace_id >> 64:016x}")
    if tags:
        pieces["tags"] = ",".join(tags)
    return pieces, found


def _ottrace(context: Context, rng: Random) -> tuple[Pieces, set[str]]:
    found: set[str] = set()
    pieces = _width(context, rng, found)
    if context.sampled is not None:
        pieces["sampled"] = "true" if context.sampled else "false"
        if _chance(rng, 0.2, found, "digit"):
            pieces["sampled"] = str(int(context.sampled))
        elif _chance(rng, 0.2, found, "upper-case word"):
            pieces["sampled"] = pieces["sampled"].upper()
    return pieces, found


def _grpc(context: Context, rng: Random) -> tuple[Pieces, set[str]]:
    found: set[str] = set()
    pieces = _hex(context) | {"options": f"02{int(bool(context.sampled)):02x}"}
    if _chance(rng, 0.5, found, "padding"):
        pieces["padding"] = "="
    return pieces, found


def _join_grpc(pieces: Pieces) -> Headers:
    return grpc_header(
        f"0000{pieces['trace-id']}01{pieces['span-id']}{pieces['options']}", "padding" in pieces
    )


def grpc_header(digits: str, padding: bool = False) -> Headers:
    value = base64.b64encode(bytes.fromhex(digits)).decode()
    return [("grpc-trace-bin", value if padding else value.rstrip("="))]


def _sw8(context: Context, _: Random) -> tuple[Pieces, set[str]]:
    trace = base64.b64encode(f"{context.trace_id:032x}".encode()).decode()
    return {"sampled": str(int(bool(context.sampled))), "trace": trace, "segment": "c2Vn"}, set()


def join_sw8(pieces: Pieces) -> Headers:
    rest = "3-Y2FydA==-Y2FydC0x-L2NhcnQ=-ZGI6NTQzMg=="
    return [("sw8", f"{pieces['sampled']}-{pieces['trace']}-{pieces['segment']}-{rest}")]


def _w3c(context: Context, rng: Random) -> tuple[Pieces, set[str]]:
    found: set[str] = set()
    flags = int(bool(context.sampled))
    if _chance(rng, 0.3, found, "random"):
        flags |= 2
    if _chance(rng, 0.2, found, "reserved flags"):
        flags |= rng.randrange(1, 64) << 2
    pieces = _hex(context) | {"version": "00", "flags": f"{flags:02x}"}
    if _chance(rng, 0.2, found, "later version"):
        pieces["version"] = f"{rng.randrange(1, 255):02x}"
        if _chance(rng, 0.5, found, "more fields"):
            pieces["more"] = "-what-the-future-will-be-like"
    if _chance(rng, 0.2, found, "spaces"):
        pieces["space"] = rng.choice((" ", "\t", " \t"))
    if _chance(rng, 0.6, found, "tracestate"):
        pieces["state"] = ",".join(f"{key}={value}" for key, value in draw_members(rng))
        if _chance(rng, 0.2, found, "spaces between members"):
            pieces["state"] = pieces["state"].replace(",", " ,\t")
        if _chance(rng, 0.2, found, "empty members"):
            pieces["state"] = pieces["state"].replace(",", ",,") + ", "
        if _chance(rng, 0.2, found, "two lines of tracestate"):
            pieces["line"] = "second=2"
    return pieces, found


def join_w3c(pieces: Pieces) -> Headers:
    space, more = pieces.get("space", ""), pieces.get("more", "")
    fields = "-".join(_present(pieces, "version trace-id span-id flags"))
    headers = [("traceparent", space + fields + more + space)]
    return headers + [("tracestate", pieces[name]) for name in ("state", "line") if name in pieces]


DEFERRABLE = ("sampled", "unsampled", "deferred")
YES_NO = ("sampled", "unsampled")


def _joined(header: str, delimiter: str, names: str) -> Callable[[Pieces], Headers]:
    return lambda pieces: [(header, delimiter.join(_present(pieces, names)))]


def _several(names: dict[str, str]) -> Callable[[Pieces], Headers]:
    return lambda pieces: [(header, pieces[name]) for name, header in names.items() if name in pieces]


def join_jaeger(pieces: Pieces) -> Headers:
    value = ":".join(_present(pieces, "trace-id span-id parent flags"))
    return [("uber-trace-id", value.replace(":", pieces.get("escaped", ":")))]


FORMS = {
    "tracecontext": Form(YES_NO, _w3c, join_w3c),
    "b3": Form(DECISIONS, _b3, _joined("b3", "-", "trace-id span-id state parent")),
    "b3multi": Form(
        DECISIONS,
        _b3multi,
        _several(
            {
                "trace-id": "X-B3-TraceId",
                "span-id": "X-B3-SpanId",
                "parent": "X-B3-ParentSpanId",
                "sampled": "X-B3-Sampled",
                "flags": "X-B3-Flags",
            }
        ),
    ),
    "jaeger": Form(("sampled", "unsampled", "debug"), _jaeger, join_jaeger),
    "xray": Form(DEFERRABLE, _xray, _join_xray),
    "gcp": Form(DEFERRABLE, _gcp, _join_gcp),
    "datadog": Form(
        DEFERRABLE,
        _datadog,
        _several(
            {
                "trace-id": "x-datadog-trace-id",
                "span-id": "x-datadog-parent-id",
                "priority": "x-datadog-sampling-priority",
                "tags": "x-datadog-tags",
            }
        ),
    ),
    "ottrace": Form(
        DEFERRABLE,
        _ottrace,
        _several(
            {"trace-id": "ot-tracer-traceid", "span-id": "ot-tracer-spanid", "sampled": "ot-tracer-sampled"}
        ),
    ),
    "grpc_trace_bin": Form(YES_NO, _grpc, _join_grpc),
    "sw8": Form(YES_NO, _sw8, join_sw8),
}
