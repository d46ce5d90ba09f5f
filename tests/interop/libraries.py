"""The vendors' own libraries, each behind the same two questions: write this context, read these headers."""

from __future__ import annotations

import base64
import logging
import os
import re
from abc import ABC, abstractmethod

from contexts import IDS, Context, Headers

# ddtrace reads its settings when it is imported: every style, and nothing that would look for an agent.
os.environ["DD_TRACE_PROPAGATION_STYLE"] = "datadog,b3,b3multi,tracecontext"
os.environ["DD_INSTRUMENTATION_TELEMETRY_ENABLED"] = "false"
os.environ["DD_REMOTE_CONFIGURATION_ENABLED"] = "false"
# The libraries complain in the log about each of our malformed headers.
logging.disable(logging.CRITICAL)

from aws_xray_sdk.core.models.trace_header import TraceHeader  # noqa: E402
from ddtrace.propagation.http import HTTPPropagator  # noqa: E402
from ddtrace.trace import Context as DatadogContext  # noqa: E402
from jaeger_client.codecs import TextCodec  # noqa: E402
from jaeger_client.span_context import SpanContext as JaegerContext  # noqa: E402
from opencensus.trace.propagation.binary_format import BinaryFormatPropagator  # noqa: E402
from opencensus.trace.propagation.google_cloud_format import GoogleCloudFormatPropagator  # noqa: E402
from opencensus.trace.span_context import SpanContext as CensusContext  # noqa: E402
from opencensus.trace.trace_options import TraceOptions  # noqa: E402
from opentelemetry import trace as otel  # noqa: E402
from opentelemetry.context import Context as OtelContext  # noqa: E402
from opentelemetry.propagators.aws import AwsXRayPropagator  # noqa: E402
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat  # noqa: E402
from opentelemetry.propagators.cloud_trace_propagator import CloudTraceFormatPropagator  # noqa: E402
from opentelemetry.propagators.jaeger import JaegerPropagator  # noqa: E402
from opentelemetry.propagators.ot_trace import OTTracePropagator  # noqa: E402
from opentelemetry.propagators.textmap import Getter, TextMapPropagator  # noqa: E402
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: E402
from opentracing import SpanContextCorruptedException  # noqa: E402
from skywalking.trace.carrier import Carrier  # noqa: E402


class Library(ABC):
    """A judge."""

    name: str
    # What it can write, by format: an empty tuple where it only reads, or where we do.
    decisions: dict[str, tuple[str, ...]]
    # What it reports of a context in addition to the ids.
    told: dict[str, frozenset[str]]
    # Whether it looks at what it reads closely enough to judge malformed headers.
    validates = True

    @abstractmethod
    def inject(self, form: str, context: Context) -> Headers:
        """Writes the context."""

    def extract(self, form: str, headers: Headers) -> Context | None:
        """Reads the context, or finds none that is valid; to raise an error is to find none."""
        try:
            return self.read(form, headers)
        except (SpanContextCorruptedException, TypeError, ValueError):
            return None

    @abstractmethod
    def read(self, form: str, headers: Headers) -> Context | None:
        """Reads the context, with an error or `None` where the library refuses it."""


YES_NO = ("sampled", "unsampled")
SAMPLED = IDS | {"sampled"}


def joined(headers: Headers) -> dict[str, str]:
    """The headers as WSGI hands them over: names in one case, lines of the same name joined with commas."""
    carrier: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        carrier[name] = f"{carrier[name]},{value}" if name in carrier else value
    return carrier


class Lines(Getter[Headers]):
    """Finds header lines as a server's framework does, whatever the case of their names."""

    def get(self, carrier: Headers, key: str) -> list[str] | None:
        return [value for name, value in carrier if name.lower() == key.lower()] or None

    def keys(self, carrier: Headers) -> list[str]:
        return [name for name, _ in carrier]


class OpenTelemetry(Library):
    name = "opentelemetry"
    propagators: dict[str, TextMapPropagator] = {
        "tracecontext": TraceContextTextMapPropagator(),
        "b3": B3SingleFormat(),
        "b3multi": B3MultiFormat(),
        "jaeger": JaegerPropagator(),
        "xray": AwsXRayPropagator(),
        "gcp": CloudTraceFormatPropagator(),
        "ottrace": OTTracePropagator(),
    }
    decisions = dict.fromkeys(propagators, YES_NO)
    told = dict.fromkeys(propagators, SAMPLED | {"random"}) | {
        "tracecontext": SAMPLED | {"random", "state"},
        "jaeger": SAMPLED | {"random", "debug"},
    }

    def inject(self, form: str, context: Context) -> Headers:
        assert context.span_id is not None
        span = otel.NonRecordingSpan(
            otel.SpanContext(
                context.trace_id,
                context.span_id,
                is_remote=True,
                trace_flags=otel.TraceFlags(int(bool(context.sampled)) | int(context.random) << 1),
                trace_state=otel.TraceState(list(context.state)),
            )
        )
        carrier: dict[str, str] = {}
        self.propagators[form].inject(carrier, otel.set_span_in_context(span, OtelContext()))
        return list(carrier.items())

    def read(self, form: str, headers: Headers) -> Context | None:
        found = self.propagators[form].extract(headers, OtelContext(), Lines())
        span = otel.get_current_span(found).get_span_context()
        if not span.is_valid:
            return None
        flags, state = span.trace_flags, tuple(span.trace_state.items())
        return Context(span.trace_id, span.span_id, bool(flags & 1), random=bool(flags & 2), state=state)


class Datadog(Library):
    name = "ddtrace"
    decisions = {
        "datadog": ("sampled", "unsampled", "deferred"),
        "b3": ("sampled", "unsampled", "deferred", "debug"),
        "b3multi": ("sampled", "unsampled", "deferred", "debug"),
        "tracecontext": YES_NO,
    }
    told = {
        "datadog": SAMPLED,
        "b3": SAMPLED | {"debug"},
        "b3multi": SAMPLED | {"debug"},
        "tracecontext": SAMPLED,
    }
    own = {
        "datadog": ("x-datadog-",),
        "b3": ("b3",),
        "b3multi": ("x-b3-",),
        "tracecontext": ("traceparent", "tracestate"),
    }

    def only(self, form: str, headers: dict[str, str]) -> dict[str, str]:
        """The headers of one style: it writes all of them at once, and reads the first that is there."""
        return {name: value for name, value in headers.items() if name.startswith(self.own[form])}

    def inject(self, form: str, context: Context) -> Headers:
        # Each sign has two priorities (rule DD-03); B3 has a word of its own for the highest.
        other = context.trace_id % 2 if form == "datadog" else 0
        priority = {True: 1 + other, False: -other, None: None}[context.sampled]
        if context.debug:
            priority = 2
        headers: dict[str, str] = {}
        source = DatadogContext(context.trace_id, context.span_id, sampling_priority=priority)
        HTTPPropagator.inject(source, headers)
        return list(self.only(form, headers).items())

    def read(self, form: str, headers: Headers) -> Context | None:
        found = HTTPPropagator.extract(self.only(form, joined(headers)))
        if not found.trace_id:
            return None
        priority = found.sampling_priority
        sampled = None if priority is None else priority > 0
        debug = form != "datadog" and priority is not None and priority > 1
        return Context(found.trace_id, found.span_id, sampled, debug=debug)


class AwsXRay(Library):
    """It takes the ids as text without a look at them, so its word on malformed ones is worth nothing."""

    name = "aws-xray-sdk"
    decisions = {"xray": ("sampled", "unsampled", "deferred")}
    told = {"xray": SAMPLED}
    validates = False
    root = re.compile("1-([0-9a-f]{8})-([0-9a-f]{24})")

    def inject(self, form: str, context: Context) -> Headers:
        digits = f"{context.trace_id:032x}"
        sampled = {True: 1, False: 0, None: "?"}[context.sampled]
        header = TraceHeader(f"1-{digits[:8]}-{digits[8:]}", f"{context.span_id:016x}", sampled)
        return [("X-Amzn-Trace-Id", header.to_header_str())]

    def read(self, form: str, headers: Headers) -> Context | None:
        header = TraceHeader.from_header_str(joined(headers)["x-amzn-trace-id"])
        root = self.root.fullmatch(header.root or "")
        if root is None:
            return None
        sampled = {1: True, 0: False}.get(header.sampled)
        parent = int(header.parent, 16) if header.parent else None
        return Context(int(root[1] + root[2], 16), parent, sampled)


class Jaeger(Library):
    name = "jaeger-client"
    decisions = {"jaeger": ("sampled", "unsampled", "debug")}
    told = {"jaeger": SAMPLED | {"debug"}}
    codec = TextCodec(url_encoding=True)

    def inject(self, form: str, context: Context) -> Headers:
        flags = int(bool(context.sampled)) | int(context.debug) << 1
        carrier: dict[str, str] = {}
        source = JaegerContext(context.trace_id, context.span_id or 0, None, flags)
        self.codec.inject(source, carrier)
        return list(carrier.items())

    def read(self, form: str, headers: Headers) -> Context | None:
        found = self.codec.extract(joined(headers))
        if found is None or found.trace_id is None:
            return None
        return Context(found.trace_id, found.span_id, bool(found.flags & 1), debug=bool(found.flags & 2))


class OpenCensus(Library):
    name = "opencensus"
    decisions = {"gcp": YES_NO, "grpc_trace_bin": YES_NO}
    told = {"gcp": SAMPLED, "grpc_trace_bin": SAMPLED}

    def inject(self, form: str, context: Context) -> Headers:
        options = TraceOptions(str(int(bool(context.sampled))))
        source = CensusContext(f"{context.trace_id:032x}", f"{context.span_id:016x}", options)
        if form == "gcp":
            return list(GoogleCloudFormatPropagator().to_headers(source).items())
        bytes = BinaryFormatPropagator().to_header(source)
        return [("grpc-trace-bin", base64.b64encode(bytes).decode().rstrip("="))]

    def read(self, form: str, headers: Headers) -> Context | None:
        if form == "gcp":
            found = GoogleCloudFormatPropagator().from_header(joined(headers)["x-cloud-trace-context"])
        else:
            value = joined(headers)["grpc-trace-bin"].strip()
            # The decoding is gRPC's part of it.
            bytes = base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
            found = BinaryFormatPropagator().from_header(bytes)
        if not found.from_header:
            return None
        parent = int(found.span_id, 16) if found.span_id else None
        return Context(int(found.trace_id, 16), parent, bool(found.trace_options.get_enabled()))


class SkyWalking(Library):
    """Its agent always says sampled, and does not read what others say."""

    name = "apache-skywalking"
    decisions = {"sw8": ("sampled",)}
    told = {"sw8": IDS}

    def inject(self, form: str, context: Context) -> Headers:
        trace = f"{context.trace_id:032x}"
        return [("sw8", Carrier(trace, "segment", "3", "cart", "cart-1", "/cart", "db:5432").val)]

    def read(self, form: str, headers: Headers) -> Context | None:
        carrier = Carrier()
        carrier.val = joined(headers)["sw8"]
        if not carrier.is_valid or re.fullmatch("[0-9a-f]{32}", carrier.trace_id) is None:
            return None
        return Context(int(carrier.trace_id, 16), None, None)


LIBRARIES: tuple[Library, ...] = (
    OpenTelemetry(),
    Datadog(),
    AwsXRay(),
    Jaeger(),
    OpenCensus(),
    SkyWalking(),
)
