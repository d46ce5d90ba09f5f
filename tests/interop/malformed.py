"""Headers that are broken, in every way that we could think of and in some that nobody would."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

from contexts import Context, Headers
from spellings import FORMS, Pieces, Spelling, grpc_header, join_jaeger, join_sw8, join_w3c

# The pieces that are ids, and the number of digits of each; 0 for decimal ones.
DIGITS = {
    "tracecontext": {"trace-id": 32, "span-id": 16},
    "b3": {"trace-id": 32, "span-id": 16},
    "b3multi": {"trace-id": 32, "span-id": 16},
    "jaeger": {"trace-id": 32, "span-id": 16},
    "xray": {"trace-id": 32, "span-id": 16},
    "gcp": {"trace-id": 32, "span-id": 0},
    "datadog": {"trace-id": 0, "span-id": 0},
    "ottrace": {"trace-id": 32, "span-id": 16},
}
# The piece that is the decision, and values that it must not have, or not everywhere.
DECISION = {
    "tracecontext": ["flags", "0A", "0", "001", "", "g0", "+1"],
    "b3": ["state", "2", "true", "", "D", "01"],
    "b3multi": ["sampled", "2", "yes", "", "d"],
    "jaeger": ["flags", "", "001", "g", "-1", "+1", "0x1"],
    "xray": ["sampled", "2", "", "true", "10"],
    "gcp": ["option", ";o=2", ";o=10", ";o=x", ";o=", ";", ";o", ";x=1", " ;o=1"],
    "datadog": ["priority", "3", "-7", "", "yes", "1.0", "+1", "01", "1_0", "99999999999999999999"],
    "ottrace": ["sampled", "", "maybe", "2"],
    "sw8": ["sampled", "2", "", "true"],
}
# The bytes between the pieces.
DELIMITERS = {"tracecontext": "-", "b3": "-", "jaeger": ":", "xray": ";", "sw8": "-"}


def mangle(name: str, rng: Random, rounds: int) -> Iterator[Spelling]:
    """Malformed headers: each way to break each piece, so many times."""
    form = FORMS[name]
    for _ in range(rounds):
        for piece, digits in DIGITS.get(name, {}).items():
            for what, broken in _broken_ids(digits):
                pieces = _plain(name, rng)
                pieces[piece] = broken(pieces[piece])
                yield Spelling(form.join(pieces), frozenset({f"{piece}: {what}"}))
        decision, *values = DECISION.get(name, [""])
        for value in values:
            headers = form.join(_plain(name, rng) | {decision: value})
            yield Spelling(headers, frozenset({f"{decision}: {value!r}"}))
        for what, change in SHAPES + _delimiters(name):
            yield Spelling(change(form.join(_plain(name, rng))), frozenset({what}))
        for what, headers in OTHERS[name](rng) if name in OTHERS else ():
            yield Spelling(headers, frozenset({what}))


def scramble(name: str, rng: Random) -> Spelling:
    """A valid header with one or two bytes changed, at random."""
    form = FORMS[name]
    headers = form.join(_plain(name, rng))
    for _ in range(rng.randrange(1, 3)):
        at = rng.randrange(len(headers))
        header, value = headers[at]
        place = rng.randrange(len(value) + 1)
        byte = chr(
            rng.choice((rng.randrange(0x20, 0x7F), rng.randrange(0x20, 0x7F), rng.randrange(0x80, 0x100)))
        )
        tail = value[place + rng.randrange(2) :]
        headers[at] = (header, value[:place] + rng.choice(("", byte)) + tail)
    return Spelling(headers, frozenset({"random bytes"}))


def _plain(name: str, rng: Random) -> Pieces:
    """The pieces of a sampled context, with letters in every hexadecimal id."""
    ids = [rng.getrandbits(64) | 0x1AB << 52 | 1 for _ in range(3)]
    context = Context(ids[0] << 64 | ids[1], ids[2], sampled=True)
    # Decimal ids stay so low that a digit more is no overflow.
    if 0 in DIGITS.get(name, {}).values():
        context = replace(context, span_id=ids[2] >> 8, trace_id=ids[0] << 64 | ids[1] >> 8)
    return FORMS[name].write(context, Plain())[0]


class Plain(Random):
    """Never takes a chance, and so writes everything in the plainest way."""

    def random(self) -> float:
        return 1 - 1e-9


def _broken_ids(digits: int) -> list[tuple[str, Callable[[str], str]]]:
    if digits == 0:
        return [
            ("zero", lambda _: "0"),
            ("empty", lambda _: ""),
            ("negative", lambda text: "-" + text),
            ("plus sign", lambda text: "+" + text),
            ("fraction", lambda text: text + ".0"),
            ("underscore", lambda text: text[:3] + "_" + text[3:]),
            ("hexadecimal", lambda text: f"{int(text):#x}"),
            ("2^64", lambda _: str(1 << 64)),
            ("21 digits", lambda text: text.zfill(21)),
            ("zeros in front", lambda text: text.zfill(20)),
            ("superscript digit", lambda text: text[:4] + "\xb2" + text[5:]),
            ("space in front", lambda text: " " + text),
        ]
    return [
        ("zero", lambda _: "0" * digits),
        ("empty", lambda _: ""),
        ("upper case", str.upper),
        ("not hexadecimal", lambda text: text[:3] + "g" + text[4:]),
        ("a digit less", lambda text: text[1:]),
        ("a digit more", lambda text: "1" + text),
        ("plus sign", lambda text: "+" + text[1:]),
        ("0x", lambda text: "0x" + text[2:]),
        ("underscore", lambda text: text[:4] + "_" + text[5:]),
        ("superscript digit", lambda text: text[:4] + "\xb2" + text[5:]),
        ("space inside", lambda text: text[:4] + " " + text[5:]),
    ]


def _value(change: Callable[[str], str]) -> Callable[[Headers], Headers]:
    return lambda headers: [(headers[0][0], change(headers[0][1])), *headers[1:]]


# What can befall any header, done to the first of the format.
SHAPES: list[tuple[str, Callable[[Headers], Headers]]] = [
    ("empty", _value(lambda _: "")),
    ("blank", _value(lambda _: " ")),
    ("spaces around", _value(lambda value: f" {value} ")),
    ("tabs around", _value(lambda value: f"\t{value}\t")),
    ("two equal lines", lambda headers: [headers[0], *headers]),
    ("the same again after a comma", _value(lambda value: f"{value},{value}")),
    ("a comma at the end", _value(lambda value: value + ",")),
    ("in quotes", _value(lambda value: f'"{value}"')),
    ("a byte above 7f at the end", _value(lambda value: value + "\xe9")),
    ("a long tail", _value(lambda value: value + "1" * 5000)),
]


def _delimiters(name: str) -> list[tuple[str, Callable[[Headers], Headers]]]:
    byte = DELIMITERS.get(name)
    if byte is None:
        return []
    return [
        ("a delimiter at the end", _value(lambda value: value + byte)),
        ("a delimiter in front", _value(lambda value: byte + value)),
        ("a delimiter twice", _value(lambda value: value.replace(byte, byte * 2, 1))),
        ("a piece less", _value(lambda value: value.rpartition(byte)[0])),
        ("a piece more", _value(lambda value: f"{value}{byte}1")),
        ("another delimiter", _value(lambda value: value.replace(byte, "_", 1))),
    ]


def _broken_jaeger(rng: Random) -> Iterator[tuple[str, Headers]]:
    pieces = _plain("jaeger", rng)
    for parent in ("", "x", "+1", "1" * 17):
        yield f"parent: {parent!r}", join_jaeger(pieces | {"parent": parent})


def _broken_datadog(rng: Random) -> Iterator[tuple[str, Headers]]:
    pieces = _plain("datadog", rng)
    tid = pieces["tags"].removeprefix("_dd.p.tid=")
    tags = {
        "tid: upper case": f"_dd.p.tid={tid.upper()}",
        "tid: a digit less": f"_dd.p.tid={tid[1:]}",
        "tid: a digit more": f"_dd.p.tid=1{tid}",
        "tid: zero": f"_dd.p.tid={'0' * 16}",
        "tid: not hexadecimal": f"_dd.p.tid=g{tid[1:]}",
        "tid: plus sign": f"_dd.p.tid=+{tid[1:]}",
        "tid: underscore": f"_dd.p.tid={tid[:4]}_{tid[5:]}",
        "tid: empty": "_dd.p.tid=",
        "tid: twice": f"_dd.p.tid={tid},_dd.p.tid=2{tid[1:]}",
        "tid: spaces around": f"_dd.p.dm=-4, _dd.p.tid={tid} ",
        "tags: one without a value": f"_dd.p.dm,_dd.p.tid={tid}",
        "tags: an empty one": f"_dd.p.dm=-4,,_dd.p.tid={tid}",
        "tags: one of another kind": f"other=1,_dd.p.tid={tid}",
        "tags: 600 bytes": f"_dd.p.long={'x' * 600},_dd.p.tid={tid}",
    }
    for what, value in tags.items():
        yield what, FORMS["datadog"].join(pieces | {"tags": value})


def _broken_grpc(rng: Random) -> Iterator[tuple[str, Headers]]:
    """Other bytes below the base64."""
    pieces = _plain("grpc_trace_bin", rng)
    trace, span = pieces["trace-id"], pieces["span-id"]
    yield "trace-id: zero", grpc_header(f"0000{'0' * 32}01{span}0201")
    yield "span-id: zero", grpc_header(f"0000{trace}01{'0' * 16}0201")
    yield "version 1", grpc_header(f"0100{trace}01{span}0201")
    yield "no options", grpc_header(f"0000{trace}01{span}")
    yield "no span-id", grpc_header(f"0000{trace}0201")
    yield "fields in another order", grpc_header(f"0001{span}00{trace}0201")
    yield "an unknown field at the end", grpc_header(f"0000{trace}01{span}02010301")
    yield "an unknown field in front", grpc_header(f"000300{trace}01{span}0201")
    yield "cut in the trace-id", grpc_header(f"0000{trace[:20]}")
    yield "cut in the span-id", grpc_header(f"0000{trace}01{span[:6]}")
    yield "cut in the options", grpc_header(f"0000{trace}01{span}02")
    yield "more option bits", grpc_header(f"0000{trace}01{span}02ff")


def _broken_sw8(rng: Random) -> Iterator[tuple[str, Headers]]:
    pieces = _plain("sw8", rng)
    text = base64.b64decode(pieces["trace"]).decode()
    others = {
        "a trace-id of another kind": f"{text}.25.16000",
        "trace-id: upper case": text.upper(),
        "trace-id: zero": "0" * 32,
        "trace-id: empty": "",
    }
    for what, trace in others.items():
        yield what, join_sw8(pieces | {"trace": base64.b64encode(trace.encode()).decode()})
    yield "trace-id: no base64", join_sw8(pieces | {"trace": "%%%%"})
    yield "segment: empty", join_sw8(pieces | {"segment": ""})
    yield "segment: no base64", join_sw8(pieces | {"segment": "%%%%"})


def _broken_w3c(rng: Random) -> Iterator[tuple[str, Headers]]:
    pieces = _plain("tracecontext", rng)
    versions = ("ff", "CC", "0", "000", ".0", "+1")
    for version in versions:
        yield f"version: {version!r}", join_w3c(pieces | {"version": version})
    more = ("-", ".", "-x", ".x")
    for text in more:
        yield f"version 00, then {text!r}", join_w3c(pieces | {"more": text})
        yield f"version cc, then {text!r}", join_w3c(pieces | {"version": "cc", "more": text})
    members = "".join(f"k{number}=1," for number in range(33))
    states = {
        "a duplicate": "a=1,b=2,a=3",
        "33 members": members,
        "32 members": members.removesuffix("k32=1,"),
        "upper-case key": "A=1,b=2",
        "a key of 257": f"{'k' * 257}=1",
        "a key that begins with a digit": "1a=1,b=2",
        "two at signs in a key": "a@b@c=1",
        "an at sign at the end of a key": "a@=1",
        "a tenant of 242": f"{'t' * 242}@v=1",
        "a key that begins with an at sign": "@a=1,b=2",
        "a dot in a key": "a.b=1",
        "a space in a key": "a =1",
        "an empty key": "=1",
        "an empty value": "a=,b=2",
        "a value of 257": f"a={'v' * 257}",
        "an equals sign in a value": "a=b=c",
        "no equals sign": "a",
        "a tab in a value": "a=b\tc",
        "a space in front of a value": "a= b",
        "a space in a value": "a=b c",
        "a byte above 7f in a value": "a=\xe9",
        "9000 bytes": ",".join(f"k{number}={'v' * 250}" for number in range(32)) + "," * 500,
    }
    for what, state in states.items():
        yield f"tracestate: {what}", join_w3c(pieces | {"state": state})


# What can only befall one format.
OTHERS: dict[str, Callable[[Random], Iterator[tuple[str, Headers]]]] = {
    "datadog": _broken_datadog,
    "grpc_trace_bin": _broken_grpc,
    "jaeger": _broken_jaeger,
    "sw8": _broken_sw8,
    "tracecontext": _broken_w3c,
}
