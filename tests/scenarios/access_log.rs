//! What the access log can tell of a request: the filter state.

use crate::scenarios::requests::{only_context, runs};
use crate::scenarios::support::{Line, NEW, PARENT_ID, SAMPLED, TRACE_ID, UPPER};

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

#[test]
fn a_word_publishes_the_verdict_alone() {
    // The word; what came in, under `trust` where it says so; the verdict, if it is published.
    let untrusted = r#""trust": {"default": "untrusted"}, "#;
    let rows: &[(&str, &str, &[Line<'_>], Option<&str>)] = &[
        ("every", "", &[("traceparent", SAMPLED)], Some("continued")),
        ("every", "", &[], Some("lost")),
        ("broken", "", &[("traceparent", SAMPLED)], None),
        ("broken", r#""role": "edge", "#, &[], None),
        ("broken", "", &[], Some("lost")),
        ("broken", "", &[("traceparent", UPPER)], Some("corrupt")),
        ("broken", untrusted, &[("traceparent", SAMPLED)], Some("untrusted")),
        (
            "broken",
            r#""direction": "outbound", "correlation": {}, "#,
            &[("traceparent", SAMPLED)],
            Some("unlinked"),
        ),
        ("every", r#""exclude": [{"path": "/cart"}], "#, &[], None),
        ("none", "", &[], None),
    ];
    for (word, fields, headers, expected) in rows {
        let direction = if fields.contains("direction") { "" } else { r#""direction": "inbound", "# };
        for mode in ["enforce", "observe"] {
            let config =
                format!(r#"{{{fields}{direction}"mode": "{mode}", "access_log": {{"verdict": "{word}"}}}}"#);
            let outcome = runs(&config, headers, Some(&[]));
            let published: Vec<_> =
                outcome.published.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let expected: Vec<_> = expected.iter().map(|verdict| ("trace_context", *verdict)).collect();
            assert_eq!(published, expected, "{config} {headers:?}");
        }
    }
}
