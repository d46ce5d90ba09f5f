//! The work that a policy takes.

use crate::scenarios::support::{counters, started};

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
