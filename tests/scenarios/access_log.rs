//! What the access log can tell of a request: the filter state.

use crate::scenarios::requests::{only_context, runs};
use crate::scenarios::support::{NEW, PARENT_ID, SAMPLED, TRACE_ID, UPPER};

#[test]
fn the_filter_state_tells_what_came_and_what_goes_on() {
    let state = |config: &str| {
        format!(r#"{{{config}, "direction": "inbound", "access_log": {{"filter_state": true}}}}"#)
    };
    let new = state(r#""parent_id": "new""#);
    let outcome = runs(&new, &[("traceparent", SAMPLED)], None);
    let sent = only_context("what goes on", &outcome.request.lines("traceparent"));
    let published: Vec<(&str, &str)> =
        outcome.published.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let span_id = sent.parent_id.to_string();
    let expected = [
        ("parent_id", PARENT_ID),
        ("sampled", "true"),
        ("span_id", &span_id),
        ("trace_context", "continued"),
        ("trace_id", TRACE_ID),
    ];
    assert_eq!(published, expected);
    let never = state(r#""start": "never""#);
    let outcome = runs(&never, &[("traceparent", UPPER)], None);
    let published: Vec<_> = outcome.published.into_iter().collect();
    assert_eq!(published, [("trace_context".to_owned(), "corrupt".to_owned())]);
    let outcome = runs(NEW, &[("traceparent", SAMPLED)], None);
    assert!(outcome.published.is_empty(), "off unless asked for");
}
