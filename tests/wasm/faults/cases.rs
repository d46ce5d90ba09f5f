//! What passes while the host fails.

use crate::scenarios::support::{Line, OTHER, SAMPLED, UNSAMPLED, UPPER};

/// A configuration, and a request and its response under it.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// The fields of the configuration.
    pub(super) config: &'static str,
    pub(super) request: &'static [Line<'static>],
    pub(super) response: &'static [Line<'static>],
}

const TIMING: &[u8] = b"db;dur=5, trace;desc=00-11111111111111111111111111111111-2222222222222222-01";

const INBOUND: &str = r#""direction": "inbound""#;
pub(super) const NEW: &str = r#""direction": "inbound", "parent_id": "new""#;
const EDGE: &str = r#""direction": "inbound", "role": "edge""#;
const NEVER: &str = r#""direction": "inbound", "start": "never""#;
const OBSERVE: &str = r#""direction": "inbound", "mode": "observe""#;
const UNLIKELY: &str = r#""direction": "inbound", "sampling": {"probability": 0}"#;
const IGNORE: &str = r#""direction": "inbound", "sampling": {"parent": "ignore"}"#;
const STATE: &str = r#""direction": "inbound", "parent_id": "new", "access_log": {"filter_state": true}"#;
const EXCLUDE: &str = r#""direction": "inbound", "exclude": [{"path_prefix": "/ca"}]"#;
const EXCLUDE_OTHERS: &str = r#""direction": "inbound", "exclude": [{"method": "GET"}]"#;
const AUTO: &str = r#""direction": "auto", "parent_id": "new""#;
const BLIND: &str = r#""direction": "inbound", "response": {"validate": false}"#;
const REMEMBER: &str = r#""direction": "inbound", "correlation": {}"#;
const RECALL: &str = r#""direction": "outbound", "correlation": {}"#;
const REQUEST_ID: &[u8] = b"bae65882-2bcd-43db-89d1-7fbd1d746a13";
const EVERY_FORM: &str =
    r#""direction": "inbound", "response": {"inject": ["traceparent", "traceresponse", "server-timing"]}"#;

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case { name: "started", config: EDGE, request: &[], response: &[] },
    Case { name: "started, with a tracestate of nothing", config: EDGE,
        request: &[("tracestate", b"a=1")], response: &[] },
    Case { name: "started without a threshold", config: UNLIKELY, request: &[("tracestate", b"a=1")], response: &[] },
    Case { name: "forwarded", config: INBOUND,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a=1")], response: &[("traceparent", OTHER)] },
    Case { name: "new parent", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a=1")], response: &[("traceparent", UPPER)] },
    Case { name: "tracestate rewritten", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a=1"), ("tracestate", b"b=2,ot=th:8;x:1")], response: &[] },
    Case { name: "tracestate empty", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", b"")], response: &[] },
    Case { name: "tracestate bad", config: INBOUND,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a")], response: &[] },
    Case { name: "new parent, tracestate bad", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a")], response: &[] },
    Case { name: "flag set", config: IGNORE,
        request: &[("traceparent", UNSAMPLED), ("tracestate", b"a=1")], response: &[] },
    Case { name: "corrupt", config: INBOUND,
        request: &[("traceparent", UPPER), ("tracestate", b"a=1")], response: &[] },
    Case { name: "repeated", config: UNLIKELY,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a=1"), ("traceparent", SAMPLED)], response: &[] },
    Case { name: "corrupt, no start", config: NEVER,
        request: &[("traceparent", UPPER), ("tracestate", b"a=1")], response: &[("traceparent", OTHER)] },
    Case { name: "observed, corrupt", config: OBSERVE,
        request: &[("traceparent", UPPER), ("tracestate", b"a=1")], response: &[] },
    Case { name: "observed, valid", config: OBSERVE,
        request: &[("traceparent", SAMPLED)], response: &[("traceparent", OTHER)] },
    Case { name: "filter state", config: STATE, request: &[("traceparent", SAMPLED)], response: &[] },
    Case { name: "filter state, started", config: STATE, request: &[], response: &[] },
    Case { name: "excluded", config: EXCLUDE,
        request: &[("traceparent", UPPER), ("tracestate", b"a=1")], response: &[] },
    Case { name: "not excluded", config: EXCLUDE_OTHERS, request: &[("traceparent", UPPER)], response: &[] },
    Case { name: "direction auto", config: AUTO, request: &[("traceparent", SAMPLED)], response: &[] },
    Case { name: "remembered", config: REMEMBER,
        request: &[("traceparent", SAMPLED), ("x-request-id", REQUEST_ID)], response: &[] },
    Case { name: "unlinked", config: RECALL, request: &[("traceparent", SAMPLED)], response: &[] },
    Case { name: "not remembered", config: RECALL, request: &[("x-request-id", REQUEST_ID)], response: &[] },
    Case { name: "blind", config: BLIND, request: &[("traceparent", SAMPLED)], response: &[] },
    Case { name: "every form", config: EVERY_FORM, request: &[("traceparent", SAMPLED)], response: &[] },
    Case { name: "every form, answered", config: EVERY_FORM, request: &[("traceparent", SAMPLED)],
        response: &[("traceparent", OTHER), ("traceresponse", UPPER), ("server-timing", TIMING)] },
];

impl Case {
    /// The whole configuration.
    pub(super) fn json(&self) -> String {
        format!("{{{}}}", self.config)
    }

    /// Whether the direction is asked of the host.
    pub(super) fn asks_direction(&self) -> bool {
        self.config.contains("auto")
    }
}
