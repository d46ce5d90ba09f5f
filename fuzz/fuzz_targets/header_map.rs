//! A header map in proxy-wasm's serialized form, which may be none: read as by a slow reader, then passed through as that of a
//! request and as that of a response, under a configuration that reads all it can.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tracewarden_fuzz::host::{Host, Known, lines};
use tracewarden_fuzz::setup::Setup;
use tracewarden_fuzz::{reading, request, response, work};
use tracewarden_proxy_wasm::header_map;

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let inject = r#""response":{"inject":["traceparent","server-timing"]}"#;
    Setup::of(&format!(r#"{{"parent_id":"new","exclude":[{{"path":"/healthz"}}],{inject}}}"#))
});

fuzz_target!(|map: &[u8]| {
    let parsed = work::bounded(map.len(), || header_map::parse(map.to_vec()));
    let parsed = parsed.map(|headers| lines(headers.iter()));
    assert_eq!(parsed, reading::header_map(map).map(lines));
    let Some(headers) = parsed else { return };
    let mut host = Host::new(Known::inbound());
    let mut stream = request::check(&SETUP, &headers, &mut host);
    response::check(&SETUP.config, &mut stream, &headers, &mut host);
});
