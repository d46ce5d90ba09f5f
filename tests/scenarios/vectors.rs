//! The W3C vectors, each through the core and through the built module.

use tracewarden::w3c::TraceParent;

use crate::scenarios::support::{PARENT_ID, Scenario, TRACE_ID};
use crate::scenarios::vector_data::{Vector, vectors};

#[test]
fn every_w3c_vector_leaves_as_the_rules_say() {
    for vector in vectors() {
        let request = vector.request();
        let config = r#"{"direction": "inbound", "parent_id": "new"}"#;
        let scenario = Scenario::new(config, &request, None);
        let outcome = scenario.run();
        let name = vector.name();
        check(&name, &vector, &outcome.request.lines("traceparent"));
        assert_eq!(outcome.request.lines("tracestate"), vector.sent_tracestate(), "{name}");
        let verdict = format!("requests inbound internal enforce {}", vector.verdict());
        assert!(outcome.counters.contains(&verdict), "{name}: {:?}", outcome.counters);
    }
}

#[test]
fn forwarding_passes_every_valid_vector_on_byte_for_byte() {
    for vector in vectors().iter().filter(|vector| vector.continues_with().is_some()) {
        let request = vector.request();
        let scenario = Scenario::new(r#"{"direction": "inbound"}"#, &request, None);
        let outcome = scenario.run();
        let name = vector.name();
        let came = |header: &str| -> Vec<&[u8]> {
            request.iter().filter(|(name, _)| *name == header).map(|(_, value)| *value).collect()
        };
        assert_eq!(outcome.request.lines("traceparent"), came("traceparent"), "{name}");
        let spoilt = outcome.counters.iter().any(|counter| counter.starts_with("corrupt inbound tracestate"));
        let kept = if spoilt { vec![] } else { came("tracestate") };
        assert_eq!(outcome.request.lines("tracestate"), kept, "{name}");
        assert_eq!(spoilt, vector.out_tracestate.is_none() && !is_blank(&came("tracestate")), "{name}");
    }
}

fn is_blank(lines: &[&[u8]]) -> bool {
    lines.iter().all(|line| line.iter().all(|byte| b" \t,".contains(byte)))
}

fn check(name: &str, vector: &Vector, lines: &[&[u8]]) {
    let [line] = lines else { panic!("{name}: {} lines", lines.len()) };
    let context = TraceParent::parse(line).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(context.to_bytes().as_slice(), *line, "{name}");
    assert_ne!(context.parent_id.to_string(), PARENT_ID, "{name}");
    match vector.continues_with() {
        Some(flags) => {
            assert_eq!(context.trace_id.to_string(), TRACE_ID, "{name}");
            assert!(line.ends_with(flags.as_bytes()), "{name}: {context}");
        }
        None => {
            assert_ne!(context.trace_id.to_string(), TRACE_ID, "{name}");
            assert!(line.ends_with(b"-03"), "{name}: {context}");
        }
    }
}
