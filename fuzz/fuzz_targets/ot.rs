//! OpenTelemetry's member of a `tracestate`: its value, and on a second line of input the digits of a threshold to put
//! into it.
#![no_main]

use bstr::ByteSlice;
use libfuzzer_sys::fuzz_target;
use tracewarden::sampling::OtState;
use tracewarden_fuzz::reading::{self, least_kept};

fuzz_target!(|data: &[u8]| {
    let (text, digits) = data.split_once_str("\n").unwrap_or((data, b""));
    let parsed = OtState::parse(text);
    let expected = reading::ot(text);
    assert_eq!(parsed.is_some(), expected.is_some());
    let (Some(state), Some(pairs)) = (parsed, expected) else { return };
    assert_eq!(state.threshold().map(least_kept), reading::threshold(&pairs));
    assert_eq!(state.randomness(), reading::randomness(&pairs));
    let th = [b"th:", digits].concat();
    let wanted = [None, state.threshold(), OtState::parse(&th).and_then(|state| state.threshold())];
    for threshold in wanted {
        let mut written = b"before".to_vec();
        state.write_with(threshold, &mut written);
        let written = written.strip_prefix(b"before").expect("it only appends");
        let mut pairs = pairs.clone();
        pairs.retain(|(key, _)| key != b"th");
        let others = reading::print(&pairs, b':', b';');
        pairs.splice(0..0, threshold.map(|threshold| reading::th(least_kept(threshold))));
        let whole = reading::print(&pairs, b':', b';');
        assert_eq!(written, if whole.len() > 256 { others } else { whole });
        let again = OtState::parse(written);
        assert_eq!(again.is_none(), written.is_empty(), "what is written can be read");
        if let (Some(again), true) = (again, text.len() <= 200) {
            assert!(again.reports(threshold));
            assert_eq!(again.randomness(), state.randomness(), "the randomness stays");
        }
    }
});
