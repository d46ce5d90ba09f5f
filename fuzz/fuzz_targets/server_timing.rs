//! Lines of `Server-Timing` on a response, one to a line of input, under a configuration that reads nothing else.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tracewarden::filter::StreamContext;
use tracewarden::w3c::TraceParent;
use tracewarden_fuzz::host::{Host, Known, lines};
use tracewarden_fuzz::response;
use tracewarden_fuzz::setup::Setup;

const CONTEXT: &[u8; 55] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static SETUP: LazyLock<Setup> = LazyLock::new(|| Setup::of(r#"{"response":{"inject":["server-timing"]}}"#));

fuzz_target!(|data: &[u8]| {
    let headers = lines(data.split(|byte| *byte == b'\n').map(|line| (&b"server-timing"[..], line)));
    let sent = TraceParent::parse(CONTEXT).expect("it is valid");
    let mut host = Host::new(Known::inbound());
    response::check(&SETUP.config, &mut StreamContext::Traced(sent), &headers, &mut host);
});
