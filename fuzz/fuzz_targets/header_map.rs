//! A header map in proxy-wasm's serialized form, which may be none: read as by a slow reader, then passed through as that of a
//! request and as that of a response, under a configuration that reads all it can.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tracewarden::words::Direction;
use tracewarden_fuzz::host::{Headers, Known, Wire};
use tracewarden_fuzz::setup::Setup;
use tracewarden_fuzz::{reading, request, response, work};
use tracewarden_proxy_wasm::header_map;

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let json = br#"{"parent_id":"new","exclude":[{"path":"/healthz"}],"response":{"inject":["traceparent","server-timing"]}}"#;
    Setup::load(json).expect("the configuration is valid")
});

fuzz_target!(|map: &[u8]| {
    let parsed = work::bounded(map.len(), || header_map::parse(map.to_vec()));
    let lines = parsed.map(|headers| {
        headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect::<Vec<_>>()
    });
    assert_eq!(lines, reading::header_map(map));
    let Some(headers) = lines.map(Headers) else { return };
    let mut known = Known::new(Direction::Inbound, true);
    let mut stream = request::check(&SETUP, &headers, &mut known, &mut Wire::default());
    known.response = headers;
    response::check(&SETUP.config, &mut stream, &mut known, &mut Wire::default());
});
