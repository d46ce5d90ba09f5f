//! Answers that the core is given though it asked nothing. In proxy-wasm the SDK's dispatcher keeps them from it.

use proxy_wasm_test_framework::HttpAnswer;

use crate::scenarios::export::{Bench, TWO};

#[test]
fn answers_that_nobody_asked_for_are_passed_over() {
    let mut bench = Bench::new(TWO);
    for token in [0, 1, u32::MAX] {
        bench.vm.answer_http(bench.root, token, HttpAnswer::new([(":status", "200")], b"x")).unwrap();
    }
    assert_eq!(bench.counted(), [""; 0]);
    bench.send_two();
    bench.answer(&[(":status", b"200")], b"");
    for token in [0, 1, 2, u32::MAX] {
        bench.vm.answer_http(bench.root, token, HttpAnswer::new([(":status", "200")], b"x")).unwrap();
        assert_eq!(bench.counted(), ["export_batches exported", "spans_exported 2", "spans_recorded 2"]);
    }
}
