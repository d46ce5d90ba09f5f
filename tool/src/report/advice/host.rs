//! Calls that Envoy answers with an error.

use super::{Advice, Kind, Rank, Section, Unit};
use tracewarden::words::HostCall;

/// What a refused call costs.
pub(super) fn error(call: HostCall) -> Advice {
    Advice {
        kind: Kind::HostErrors,
        rank: Rank::Beside,
        unit: Unit::Calls,
        what: format!("Envoy refuses {} to the filter, which needs it to {}", call.label(), purpose(call)),
        cause: "A capability_restriction_config that leaves the call out; an Envoy that is too old; memory that is used up."
            .to_owned(),
        mend: format!("Allow {}; Envoy's log has the first error of the call.", capabilities(call)),
        section: Section::HostErrors,
    }
}

const fn purpose(call: HostCall) -> &'static str {
    match call {
        HostCall::GetBuffer => "read its configuration and a collector's answers",
        HostCall::GetHeaders | HostCall::GetHeader => "read headers",
        HostCall::ReplaceHeader | HostCall::AddHeader => "write headers",
        HostCall::RemoveHeader => "remove headers",
        HostCall::GetProperty => "learn the direction, the peer and what spans tell",
        HostCall::SetProperty => "tell the access log the ids",
        HostCall::GetSharedData | HostCall::SetSharedData => "remember what the pod received (correlation)",
        HostCall::GetTime => "know the time",
        HostCall::Environment => "read its environment variables",
        HostCall::DefineMetric | HostCall::IncrementMetric | HostCall::RecordMetric => {
            "count: the numbers here are too low"
        }
        HostCall::RandomGet => "make ids",
        HostCall::SetTickPeriod => "send spans in time",
        HostCall::HttpCall | HostCall::SetEffectiveContext => "send spans",
    }
}

/// What envoy/restricted.yaml calls it.
fn capabilities(call: HostCall) -> String {
    match call {
        HostCall::Environment => "environ_get and environ_sizes_get".to_owned(),
        HostCall::RandomGet => "random_get".to_owned(),
        other => format!("proxy_{}", other.label()),
    }
}
