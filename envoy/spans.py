"""The spans in the log of the demo mesh's collector, as the trees that `make envoy-traces` shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator


@dataclass
class Span:
    """A span as the collector prints it."""

    service: str
    fields: dict[str, str]
    # The fields of each.
    links: list[dict[str, str]]

    def number(self, field: str) -> int:
        return int(self.fields.get(field, "0"))

    def line(self) -> str:
        fields = self.fields
        kind = fields.get("Kind", "").removeprefix("SPAN_KIND_").lower()
        what = fields.get("url.full") or fields.get("url.path", "")
        milliseconds = (self.number("End time") - self.number("Start time")) / 1e6
        status = fields.get("http.response.status_code", "-")
        return f"{self.service} {kind}: {fields.get('Name', '')} {what} {status}, {milliseconds:.1f} ms"


def parse_spans(log: str) -> list[Span]:
    """The spans in a collector's log: lines of `name: value`, attributes as `-> name: Type(value)`."""
    spans: list[Span] = []
    service = "?"
    for line in log.splitlines():
        name, _, value = (part.strip() for part in line.strip().removeprefix("-> ").partition(":"))
        # `200` of `Int(200)`.
        value = re.sub(r"^[A-Z]\w*\((.*)\)$", r"\1", value)
        if line.startswith("ResourceSpans #"):
            fields: dict[str, str] = {}
        elif name == "service.name":
            service = value
        elif line.startswith("Span #"):
            fields = {}
            spans.append(Span(service, fields, []))
        elif line.startswith("SpanLink #"):
            # A link's ids have the names of the span's own.
            fields = {}
            spans[-1].links.append(fields)
        elif spans and name:
            fields[name] = value
    return spans


def trees(spans: list[Span]) -> str:
    """The spans of each trace, each below its parent, in the order of their start."""
    by_trace: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.number("Start time")):
        by_trace.setdefault(span.fields.get("Trace ID", "?"), []).append(span)
    lines = []
    for trace_id, members in by_trace.items():
        ids = {span.fields.get("ID") for span in members}
        roots = [span for span in members if span.fields.get("Parent ID") not in ids]
        lines += [f"trace {trace_id}, {len(members)} spans", *_branches(roots, members, "  "), ""]
    return "\n".join(lines)


def _branches(spans: list[Span], members: list[Span], indent: str) -> Iterator[str]:
    for span in spans:
        yield indent + span.line()
        children = [child for child in members if child.fields.get("Parent ID") == span.fields.get("ID")]
        yield from _branches(children, members, indent + "  ")
