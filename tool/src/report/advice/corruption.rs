//! Broken headers: what each reason is usually the sign of.

use tracewarden::formats::FormatError;
use tracewarden::metrics::Corruption;
use tracewarden::w3c::{TraceParentError, TraceStateError};
use tracewarden::words::Direction;

use super::{Advice, Kind, Rank, Received, Section, Unit};

/// A usual cause, and its mend.
type Reason = (&'static str, &'static str);

const BY_HAND: Reason = (
    "A header that is put together by hand, or cut off on its way.",
    "Let a library write the header; look for a proxy that cuts headers.",
);
const OTHER_FORMAT: Reason = (
    "Another format in the same header.",
    "Let the sender write W3C's format; if it cannot, read the other one from its own header (propagation.extract).",
);
const OTHER_ID: Reason = (
    "An id of another kind in its place, such as a UUID with hyphens or a decimal number.",
    "Let the sender write hexadecimal digits: 32 for the trace-id, 16 for the parent-id.",
);
const SWITCHED_OFF: Reason = (
    "An SDK that is switched off, and writes its empty context.",
    "Switch it on, or its propagators off as well.",
);
const TWICE: Reason = (
    "Two instrumentations in one process, or a proxy that appends instead of replacing.",
    "Switch one of the instrumentations off; let the proxy replace the header.",
);

/// What a reason says.
pub(super) fn advice(direction: Direction, received: Received, corruption: Corruption) -> Advice {
    let (cause, mend) = reason(corruption);
    let rank = match corruption {
        Corruption::TraceParent(_) | Corruption::Format(..) => Rank::Broken,
        Corruption::TraceState(_) | Corruption::RequestId => Rank::Beside,
    };
    Advice { rank, ..text(direction, received, &format!("a broken {corruption}"), cause, mend) }
}

/// Corruption whose reason was not told.
pub(crate) fn unexplained(direction: Direction, received: Received) -> Advice {
    text(
        direction,
        received,
        "a broken trace context",
        "The reasons are in tracewarden_corrupt_total, which this answer does not have.",
        "Read that metric as well.",
    )
}

fn text(direction: Direction, received: Received, header: &str, cause: &str, mend: &str) -> Advice {
    let sender = match (direction, received) {
        (Direction::Inbound, _) => "its callers send",
        (Direction::Outbound, Received::Nothing) => {
            "its own application, or at a gateway who calls through it, sends"
        }
        (Direction::Outbound, Received::Contexts | Received::Requests) => "its own application sends",
        (Direction::Unspecified, _) => "requests bring",
    };
    Advice {
        kind: Kind::Corrupt,
        rank: Rank::Broken,
        unit: Unit::Requests,
        what: format!("{sender} {header}"),
        cause: cause.to_owned(),
        mend: mend.to_owned(),
        section: Section::TraceCorruption,
    }
}

const fn reason(corruption: Corruption) -> Reason {
    match corruption {
        Corruption::TraceParent(reason) => of_traceparent(reason),
        Corruption::TraceState(reason) => of_tracestate(reason),
        Corruption::RequestId => (
            "Whoever sets x-request-id writes no UUID, so no trace-id can be made of it (trace_id_source).",
            "Let it write a UUID, or go without trace_id_source.",
        ),
        Corruption::Format(_, reason) => of_format(reason),
    }
}

const fn of_traceparent(reason: TraceParentError) -> Reason {
    match reason {
        TraceParentError::Empty => (
            "A client that sets the header though it has no context.",
            "Let it leave the header out where no span is active.",
        ),
        TraceParentError::Version | TraceParentError::VersionForbidden => OTHER_FORMAT,
        TraceParentError::Short
        | TraceParentError::Delimiter
        | TraceParentError::Flags
        | TraceParentError::Trailing => BY_HAND,
        TraceParentError::UpperCase => (
            "A client that writes hexadecimal digits in upper case.",
            "Let it write them in lower case; W3C Trace Context knows no others.",
        ),
        TraceParentError::TraceId | TraceParentError::ParentId => OTHER_ID,
        TraceParentError::TraceIdZero | TraceParentError::ParentIdZero => SWITCHED_OFF,
        TraceParentError::Repeated => TWICE,
    }
}

/// `traceparent` is kept, whatever is wrong with the list.
const fn of_tracestate(reason: TraceStateError) -> Reason {
    match reason {
        TraceStateError::NoEquals => (
            "A vendor's member that is not KEY=VALUE, or has a comma in its value.",
            "Update that vendor's library. traceparent is kept, the whole list is not.",
        ),
        TraceStateError::Key | TraceStateError::KeyLong => (
            "A vendor's key in upper case, with other characters than keys may have, or of more than 256.",
            "Update or configure that vendor's library. traceparent is kept, the whole list is not.",
        ),
        TraceStateError::Value | TraceStateError::ValueEmpty | TraceStateError::ValueLong => (
            "A vendor's value that is empty, longer than 256 characters, or has others than printable ASCII without , and =.",
            "Update or configure that vendor's library. traceparent is kept, the whole list is not.",
        ),
        TraceStateError::Members => (
            "Hops that each add a member, and none that removes one: there may be 32.",
            "Let each library replace its own member. traceparent is kept, the whole list is not.",
        ),
    }
}

const fn of_format(reason: FormatError) -> Reason {
    match reason {
        FormatError::Shape => BY_HAND,
        FormatError::TraceId | FormatError::SpanId => (
            "An SDK that is switched off, or ids of another kind: they are missing, zero, or no number of that format.",
            "Mend the sender's propagator, or take the format out of propagation.extract where nobody should speak it.",
        ),
        FormatError::Sampled => {
            ("A sampling decision that the format does not know.", "Mend the sender's propagator.")
        }
        FormatError::Repeated => TWICE,
    }
}
