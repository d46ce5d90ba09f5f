//! A `traceparent` value against the rules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracewarden::w3c::TraceParent;
use tracewarden_fuzz::reading;

fuzz_target!(|value: &[u8]| {
    let parsed = TraceParent::parse(value);
    let written = parsed.map(TraceParent::to_bytes).ok();
    let expected = reading::traceparent(value);
    assert_eq!(written.as_ref().map(<[u8; 55]>::as_slice), expected.as_deref(), "{parsed:?}");
    if let (Ok(parsed), Some(written)) = (parsed, written) {
        assert_eq!(TraceParent::parse(&written), Ok(parsed), "what is written reads the same");
        assert_eq!(parsed.to_string().as_bytes(), written, "Display writes the same");
        if value.len() == written.len() && value.starts_with(b"00") {
            assert_eq!(value[..53], written[..53], "only reserved flags change");
        }
    }
});
