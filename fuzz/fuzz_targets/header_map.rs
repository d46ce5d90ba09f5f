//! A serialized header map that may be none, as that of a request and as that of a response, under a configuration
//! that reads all it can.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tracewarden::metrics::Direction;
use tracewarden::pass::Stream;
use tracewarden::w3c::TraceParent;
use tracewarden_fuzz::host::{Headers, Known, Wire};
use tracewarden_fuzz::setup::Setup;
use tracewarden_fuzz::{request, response};

const CONTEXT: &[u8; 55] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let json = br#"{"parent_id":"new","exclude":[{"path":"/healthz"}],"response":{"inject":["traceparent","server-timing"]}}"#;
    Setup::load(json).expect("the configuration is valid")
});

fuzz_target!(|map: &[u8]| {
    let mut known = Known::new(Direction::Inbound, true);
    let mut wire = Wire::new(Headers::default(), Vec::new());
    let stream = request::check(&SETUP, map, &mut known, &mut wire);
    let sent = TraceParent::parse(CONTEXT).expect("it is valid");
    known.response = map.to_vec();
    let mut wire = Wire::new(Headers::default(), Vec::new());
    let mut stream = stream.unwrap_or(Stream::Traced(sent));
    response::check(&SETUP.config, &mut stream, &mut known, &mut wire);
});
