//! The work that a policy takes.

use crate::scenarios::hop::{Hop, OK};
use crate::scenarios::support::{SAMPLED, counters, started};

#[test]
fn a_pattern_takes_bounded_work_whatever_the_path() {
    // A backtracking engine takes 2^n steps for this one.
    let config = r#"{"direction": "inbound", "sampling": {"rules": [{"match": {"path_regex": "/(a+)+b"}, "probability": 0}]}}"#;
    let (mut vm, root) = started(config);
    for path in [format!("/{}", "a".repeat(2000)), format!("/{}", "a".repeat(60_000)), "/\u{e9}".to_owned()] {
        let stream = vm.stream(root).unwrap();
        vm.request(stream, [(":path", path.as_str())]).unwrap();
        assert!(vm.fuel_used() < 5_000_000, "{} bytes take {}", path.len(), vm.fuel_used());
    }
    assert!(counters(&vm).contains(&"sampled record probability 3".to_owned()));
}

#[test]
fn redaction_takes_bounded_work_whatever_the_path() {
    // A path of many short segments, of one long one, and of escapes within escapes.
    for path in ["/a".repeat(30_000), format!("/{}", "a".repeat(60_000)), "/%2525".repeat(10_000)] {
        let mut hop = Hop::new(r#""direction": "inbound", "span": {"redact": ["(a+)+b"]}"#);
        let stream = hop.request(&[("traceparent", SAMPLED), ("x-envoy-original-path", path.as_bytes())]);
        hop.vm.response(stream, OK.to_vec()).unwrap();
        hop.vm.log(stream).unwrap();
        assert!(hop.vm.fuel_used() < 5_000_000, "{} bytes take {}", path.len(), hop.vm.fuel_used());
    }
}
