"""Requests for the module, and what it and a library make of each, in every direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from contexts import Context, Headers, Members, draw, draw_members, features
from libraries import Library
from malformed import mangle, scramble
from spellings import spell

# How many contexts a check has; of the malformed ones, how often each way to break one is tried.
CONTEXTS = 1000
ROUNDS = 8
RANDOM_EDITS = 1000


@dataclass
class Seen:
    """What became of a request in the module."""

    headers: Headers
    counters: dict[str, int]
    state: dict[str, str]

    def line(self, name: str) -> str | None:
        """The only line of a header."""
        lines = [value for own, value in self.headers if own == name]
        assert len(lines) <= 1, f"{len(lines)} lines of {name}"
        return lines[0] if lines else None

    def is_continued(self) -> bool:
        return self.state["trace_context"] == "continued"

    def reason(self) -> str | None:
        """Why the module refused a header."""
        labels = [dict(label.split("=.=") for label in name.split(";.;")[:-1]) for name in self.counters]
        return next((label["reason"] for label in labels if "reason" in label), None)

    def read(self) -> Context | None:
        """The context that came in, by what the module sent on and what it published."""
        if not self.is_continued():
            return None
        traceparent = self.line("traceparent")
        assert traceparent is not None and len(traceparent) == 55, f"traceparent: {traceparent}"
        _, trace_id, span_id, flags = traceparent.split("-")
        assert (trace_id, span_id) == (self.state["trace_id"], self.state["span_id"]), "published other ids"
        deferred = any("by=.=probability" in name for name in self.counters)
        parent = self.state.get("parent_id")
        return Context(
            int(trace_id, 16),
            int(parent, 16) if parent else None,
            None if deferred else bool(int(flags, 16) & 1),
            debug=(self.line("b3") or "").split("-")[2:3] == ["d"],
            random=bool(int(flags, 16) & 2),
            state=_members(self.line("tracestate")),
        )

    def read_forwarded(self) -> Context | None:
        """The same, where the parent-id that came in has to go on."""
        context = self.read()
        if context is not None and context.span_id is not None:
            assert int(self.state["span_id"], 16) == context.span_id, "another parent-id goes on"
        return context


Side = Callable[[Seen], Context | None]


@dataclass
class Case:
    """A request for the module, and what either side makes of it afterwards."""

    features: frozenset[str]
    config: dict[str, object]
    headers: Headers
    ours: Side
    theirs: Side


Cases = Callable[[Library, str, Random], Iterator[Case]]


def they_write(library: Library, form: str, rng: Random) -> Iterator[Case]:
    """What a library writes we have to read."""
    for context in _contexts(library, form, rng, library.decisions[form]):
        headers = library.inject(form, context)
        # The segment and span that sw8 names are no parent-id.
        truth = replace(context, span_id=None) if form == "sw8" else context
        yield _read(form, headers, features(context), truth)


def every_spelling(library: Library, form: str, rng: Random) -> Iterator[Case]:
    """What a library reads in a valid header we have to read as well."""
    for _ in range(CONTEXTS):
        spelling = spell(form, rng)
        yield _read(form, spelling.headers, spelling.features, library.extract(form, spelling.headers))


def malformed(library: Library, form: str, rng: Random) -> Iterator[Case]:
    """What a library refuses we have to refuse as well."""
    edited = [scramble(form, rng) for _ in range(RANDOM_EDITS)]
    for spelling in [*mangle(form, rng, ROUNDS), *edited]:
        yield _read(form, spelling.headers, spelling.features, library.extract(form, spelling.headers))


def we_write(library: Library, form: str, rng: Random) -> Iterator[Case]:
    """What we write a library has to read."""
    own = form == "tracecontext"
    for context in _contexts(library, form, rng, ("sampled", "unsampled")):
        flags = int(bool(context.sampled)) | int(context.random) << 1
        headers = [("traceparent", f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}")]
        if context.state:
            headers.append(("tracestate", ",".join(f"{key}={value}" for key, value in context.state)))
        setting = _config("tracecontext", [form], "new" if own else "auto")
        yield Case(
            features(context),
            setting,
            headers,
            _sent(context, is_new=own),
            lambda seen: library.extract(form, seen.headers),
        )


def there_and_back(library: Library, form: str, rng: Random) -> Iterator[Case]:
    """What a library reads in its own headers it has to read in ours, once they have been through the module."""
    for context in _contexts(library, form, rng, library.decisions[form]):
        headers = library.inject(form, context)

        def after(seen: Seen, headers: Headers = headers) -> Context | None:
            came = dict(headers).get("x-datadog-sampling-priority")
            if not seen.is_continued():
                return None
            assert came in (None, seen.line("x-datadog-sampling-priority")), "another priority goes on"
            return library.extract(form, seen.headers)

        before = _told(library.extract(form, headers))
        yield Case(features(context), _config(form, [form]), headers, after, before)


def _contexts(library: Library, form: str, rng: Random, decisions: tuple[str, ...]) -> Iterator[Context]:
    for _ in range(CONTEXTS):
        context = draw(rng, decisions)
        if "state" in library.told[form]:
            context = replace(context, random=rng.random() < 0.5, state=draw_members(rng))
        yield context


def _read(form: str, headers: Headers, found: frozenset[str], theirs: Context | None) -> Case:
    """Makes the module tell what it reads: B3 has a word for debug, and a new parent-id makes it write all."""
    own = form == "tracecontext"
    setting = _config(form, ["tracecontext", "b3"], "new" if own else "auto")
    return Case(found, setting, headers, Seen.read if own else Seen.read_forwarded, _told(theirs))


def _config(extract: str, inject: list[str], parent_id: str = "auto") -> dict[str, object]:
    return {
        "direction": "inbound",
        "parent_id": parent_id,
        "propagation": {"extract": [extract], "inject": inject},
        "access_log": {"filter_state": True},
    }


def _told(context: Context | None) -> Side:
    return lambda _: context


def _sent(context: Context, is_new: bool) -> Side:
    """The context, with the parent-id that the module says it sent."""

    def sent(seen: Seen) -> Context:
        span_id = int(seen.state["span_id"], 16)
        assert (span_id != context.span_id) == is_new, "the parent-id is not the one that has to go"
        return replace(context, span_id=span_id)

    return sent


def _members(tracestate: str | None) -> Members:
    pairs = (member.partition("=") for member in (tracestate or "").split(",") if member)
    return tuple((key, value) for key, _, value in pairs)
