"""Spans as each backend gives them back, in one form, and as trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator

from spans import parse_spans

Object = dict[str, Any]


@dataclass(frozen=True)
class Span:
    """A span in the words of OpenTelemetry. A root has the parent-id ''."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    kind: str
    name: str
    error: bool
    attributes: dict[str, str]
    # Trace-id and span-id of each.
    links: tuple[tuple[str, str], ...] = ()

    def line(self) -> str:
        where = self.attributes.get("url.full") or self.attributes.get("url.path")
        error = ", error" if self.error else ""
        links = "".join(f", link to {trace_id} {span_id}" for trace_id, span_id in self.links)
        return f"{self.service} {self.kind}: {self.name}, {where}, {self.attributes.get('http.response.status_code')}{error}{links}"


def tree(spans: list[Span]) -> str:
    """A line for each span that a root leads to, below its parent."""
    return "\n".join(_branches(spans, "", ""))


def _branches(spans: list[Span], parent_id: str, indent: str) -> Iterator[str]:
    for span in spans:
        if span.parent_id == parent_id:
            yield indent + span.line()
            yield from _branches(spans, span.span_id, indent + "  ")


def of_jaeger(traces: list[Object]) -> list[Span]:
    """What `/api/traces` answers."""
    return [_of_jaeger(span, trace["processes"][span["processID"]]) for trace in traces for span in trace["spans"]]


def _of_jaeger(span: Object, process: Object) -> Span:
    tags = {tag["key"]: str(tag["value"]) for tag in span["tags"]}
    # Jaeger's page shows a link as a reference of this type, and a parent as one of the other.
    references = {kind: [one for one in span["references"] if one["refType"] == kind] for kind in ("CHILD_OF", "FOLLOWS_FROM")}
    parents = [one["spanID"] for one in references["CHILD_OF"]]
    return Span(
        span["traceID"],
        span["spanID"],
        " ".join(parents),
        process["serviceName"],
        tags["span.kind"],
        span["operationName"],
        tags.get("error") == "True" and tags.get("otel.status_code") == "ERROR",
        tags,
        tuple((one["traceID"], one["spanID"]) for one in references["FOLLOWS_FROM"]),
    )


def of_zipkin(traces: list[list[Object]]) -> list[Span]:
    """What `/api/v2/traces` answers. A tag `error` makes a span a failed one."""
    return [
        Span(
            span["traceId"],
            span["id"],
            span.get("parentId", ""),
            span["localEndpoint"]["serviceName"],
            span["kind"].lower(),
            span["name"],
            "error" in span["tags"] and span["tags"].get("otel.status_code") == "ERROR",
            span["tags"],
        )
        for trace in traces
        for span in trace
    ]


def of_rotel(log: str) -> list[Span]:
    """The spans in rotel's debug log."""
    return [
        Span(
            span.fields["Trace ID"],
            span.fields["ID"],
            span.fields.get("Parent ID", ""),
            span.service,
            span.fields["Kind"].removeprefix("SPAN_KIND_").lower(),
            span.fields["Name"],
            span.fields.get("Status code", "").endswith("ERROR"),
            span.fields,
            tuple((link["Trace ID"], link["ID"]) for link in span.links),
        )
        for span in parse_spans(log)
    ]
