"""Trace contexts: what they are made of, how random ones are drawn, and how two of them differ."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

HALF = (1 << 64) - 1

Headers = list[tuple[str, str]]
Members = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Context:
    """A context as one side understands it."""

    trace_id: int
    # None: the format need not name a parent, and did not.
    span_id: int | None
    # None: the decision is left to the receiver.
    sampled: bool | None
    debug: bool = False
    random: bool = False
    state: Members = ()

    def __str__(self) -> str:
        parent = "no parent" if self.span_id is None else f"{self.span_id:016x}"
        words = [f"{self.trace_id:032x}", parent, WORDS[self.sampled]]
        words += ["debug"] * self.debug + ["random"] * self.random
        return " ".join(words + [f"{key}={value}" for key, value in self.state])


WORDS = {True: "sampled", False: "unsampled", None: "deferred"}

# The fields that both sides always report.
IDS = frozenset({"trace_id", "span_id"})

# Ids that bugs like: all ones, one, a half of zeros, the top bit of a half, leading zeros.
TRACE_IDS = (
    (1 << 128) - 1,
    1,
    HALF,
    1 << 63,
    1 << 64,
    1 << 127,
    HALF << 64,
    (HALF >> 1 << 64) | 1 << 63,
    0x00000000_00000001_80000000_00000000,
    0x0000ABCD_00000000_00000000_00001234,
    0x4BF92F35_77B34DA6_00000000_00000001,
    10**19,
)
SPAN_IDS = (HALF, 1, 1 << 63, (1 << 63) - 1, 1 << 32, 0xF067AA0BA902B7, 10**19, 9)
DECISIONS = ("sampled", "unsampled", "deferred", "debug")


def draw(rng: Random, decisions: tuple[str, ...]) -> Context:
    """A random context, one in eight with an id from the lists above."""
    trace_id = rng.choice(TRACE_IDS) if rng.random() < 0.125 else rng.getrandbits(128) or 1
    if rng.random() < 0.2:
        trace_id = trace_id & HALF or 1
    span_id = rng.choice(SPAN_IDS) if rng.random() < 0.125 else rng.getrandbits(64) or 1
    decision = rng.choice(decisions)
    sampled = None if decision == "deferred" else decision != "unsampled"
    return Context(trace_id, span_id, sampled, debug=decision == "debug")


def draw_members(rng: Random) -> Members:
    """The members of a `tracestate`, as every level of the specification allows them."""
    # Without t among them: the key `ot` is OpenTelemetry's, and the filter keeps what it says true.
    letters, more = "abcdefghijklmnopqrstuvwxyz", "abcxyz0189_-*/"
    members: dict[str, str] = {}
    for _ in range(rng.randrange(6)):
        key = rng.choice(letters) + "".join(rng.choices(more, k=rng.randrange(12)))
        if rng.random() < 0.2:
            key += "@" + rng.choice(letters) + "".join(rng.choices(more, k=rng.randrange(8)))
        value = "".join(chr(rng.randrange(0x21, 0x7F)) for _ in range(rng.randrange(1, 20)))
        members[key] = value.replace(",", ";").replace("=", ":")
    return tuple(members.items())


def features(context: Context) -> frozenset[str]:
    """What about a context may make a difference."""
    found = {"debug" if context.debug else WORDS[context.sampled]}
    if context.trace_id & HALF == 0:
        found.add("low half zero")
    found.add("64-bit" if context.trace_id <= HALF else "128-bit")
    # In hexadecimal, without the zeros in front, shorter than formats with fixed widths allow.
    if context.trace_id <= HALF >> 4:
        found.add("short trace-id")
    if context.span_id is not None and context.span_id <= HALF >> 4:
        found.add("short span-id")
    if context.random:
        found.add("random")
    return frozenset(found)


def differences(ours: Context | None, theirs: Context | None, told: frozenset[str]) -> frozenset[str]:
    """What two sides make of the same thing, in words; nothing where they agree in all that both can tell."""
    if ours is None or theirs is None:
        if ours is theirs:
            return frozenset()
        return frozenset({"only they accept it" if ours is None else "only we accept it"})
    found = set()
    if ours.trace_id != theirs.trace_id:
        found.add(_halves(ours.trace_id, theirs.trace_id))
    if ours.span_id != theirs.span_id:
        found.add(_parents(ours.span_id, theirs.span_id))
    if "sampled" in told and ours.sampled != theirs.sampled:
        found.add(f"we say {WORDS[ours.sampled]}, they say {WORDS[theirs.sampled]}")
    if "debug" in told and ours.debug != theirs.debug:
        found.add("only we say debug" if ours.debug else "only they say debug")
    if "random" in told and ours.random != theirs.random:
        found.add("only we say random" if ours.random else "only they say random")
    if "state" in told and ours.state != theirs.state:
        found.add(_states(ours.state, theirs.state))
    return frozenset(found)


def _halves(ours: int, theirs: int) -> str:
    if theirs == ours & HALF:
        return "they have the right half of the trace-id only"
    if ours == theirs & HALF:
        return "we have the right half of the trace-id only"
    return "the trace-ids differ"


def _parents(ours: int | None, theirs: int | None) -> str:
    if theirs is None:
        return "only we name a parent"
    return "only they name a parent" if ours is None else "the parents differ"


def _states(ours: Members, theirs: Members) -> str:
    if not theirs:
        return "only we keep the tracestate"
    return "only they keep the tracestate" if not ours else "the tracestates differ"
