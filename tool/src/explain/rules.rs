//! Which of the rules in `docs/rules.md` an invalid header breaks.

use tracewarden::formats::FormatError;
use tracewarden::metrics::{Corruption, Counter};
use tracewarden::w3c::{TraceParentError, TraceStateError};
use tracewarden::words::{Direction, Format};

/// The ids of the rules; none where a format leaves it to common sense.
pub(super) fn broken(corruption: Corruption) -> &'static [&'static str] {
    match corruption {
        Corruption::TraceParent(reason) => of_traceparent(reason),
        Corruption::TraceState(reason) => of_tracestate(reason),
        Corruption::RequestId => &[],
        Corruption::Format(format, reason) => of_format(format, reason),
    }
}

/// The header that is invalid, and the reason in one word, as the labels of the metric say them.
pub(super) fn labels(corruption: Corruption) -> [&'static str; 2] {
    let counter = Counter::Corrupt { direction: Direction::Unspecified, corruption };
    let labels = counter.labels();
    let of = |name: &str| labels.iter().find(|label| label.name == name).map_or("", |label| label.value);
    [of("header"), of("reason")]
}

/// The whole reason, with its rules.
pub(super) fn reason(corruption: Corruption) -> String {
    match broken(corruption) {
        [] => corruption.to_string(),
        rules => format!("{corruption} ({})", rules.join(", ")),
    }
}

const fn of_traceparent(reason: TraceParentError) -> &'static [&'static str] {
    match reason {
        TraceParentError::Empty => &["TP-02"],
        TraceParentError::Version => &["TP-10"],
        TraceParentError::VersionForbidden => &["TP-11"],
        TraceParentError::Short => &["TP-13", "TP-24"],
        TraceParentError::Delimiter | TraceParentError::TraceId => &["TP-22"],
        TraceParentError::UpperCase => &["TP-05"],
        TraceParentError::TraceIdZero => &["TP-20"],
        TraceParentError::ParentId => &["TP-23"],
        TraceParentError::ParentIdZero => &["TP-21"],
        TraceParentError::Flags => &["TP-24"],
        TraceParentError::Trailing => &["TP-12", "TP-14"],
        TraceParentError::Repeated => &["TP-06"],
    }
}

const fn of_tracestate(reason: TraceStateError) -> &'static [&'static str] {
    match reason {
        TraceStateError::NoEquals => &["TS-25"],
        TraceStateError::Key => &["TS-20"],
        TraceStateError::KeyLong => &["TS-23"],
        TraceStateError::Value => &["TS-22"],
        TraceStateError::ValueEmpty | TraceStateError::ValueLong => &["TS-24"],
        TraceStateError::Members => &["TS-07"],
    }
}

fn of_format(format: Format, reason: FormatError) -> &'static [&'static str] {
    use FormatError::{Repeated, Sampled, Shape, SpanId, TraceId};
    match (format, reason) {
        (Format::B3, Shape | Sampled) => &["B3-02"],
        (Format::B3, TraceId) => &["B3-02", "B3-08"],
        (Format::B3, SpanId) => &["B3-02", "B3-05"],
        (Format::B3Multi, Shape) => &["B3-01"],
        (Format::B3Multi, TraceId) => &["B3-01", "B3-08"],
        (Format::B3Multi, SpanId) => &["B3-01", "B3-05"],
        (Format::B3Multi, Sampled) => &["B3-06"],
        (Format::Jaeger, Shape) => &["JA-01"],
        (Format::Jaeger, TraceId | SpanId) => &["JA-02"],
        (Format::Jaeger, Sampled) => &["JA-04"],
        (Format::XRay, Shape) => &["XR-01"],
        (Format::XRay, TraceId) => &["XR-02"],
        (Format::Gcp, TraceId) => &["GC-01", "GC-02"],
        (Format::Gcp, Shape | SpanId | Sampled) => &["GC-01"],
        (Format::Datadog, TraceId | SpanId) => &["DD-01"],
        (Format::Datadog, Sampled) => &["DD-03"],
        (Format::OtTrace, Shape) => &["OTT-01"],
        (Format::OtTrace, TraceId | SpanId | Sampled) => &["OTT-02"],
        (Format::GrpcTraceBin, Shape) => &["GB-01", "GB-02"],
        (Format::GrpcTraceBin, TraceId | SpanId) => &["GB-03"],
        (Format::GrpcTraceBin, Repeated) => &["GB-01"],
        (Format::Sw8, Shape | TraceId | Sampled) => &["SW-01"],
        (Format::Sw8, SpanId) => &["SW-02"],
        _ => &[],
    }
}
