//! Lines of `Server-Timing` on a response, one to a line of input, under a configuration that reads nothing else.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tracewarden::filter::StreamContext;
use tracewarden::w3c::TraceParent;
use tracewarden::words::Direction;
use tracewarden_fuzz::host::{Headers, Known, Wire};
use tracewarden_fuzz::response;
use tracewarden_fuzz::setup::Setup;

const CONTEXT: &[u8; 55] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let json = br#"{"response":{"inject":["server-timing"]}}"#;
    Setup::load(json).expect("the configuration is valid")
});

fuzz_target!(|data: &[u8]| {
    let lines = data.split(|octet| *octet == b'\n');
    let headers = Headers(lines.map(|line| (b"server-timing".to_vec(), line.to_vec())).collect());
    let sent = TraceParent::parse(CONTEXT).expect("it is valid");
    let mut known = Known::new(Direction::Inbound, true);
    known.response = headers.clone();
    let mut wire = Wire::new(headers, Vec::new());
    response::check(&SETUP.config, &mut StreamContext::Traced(sent), &mut known, &mut wire);
});
