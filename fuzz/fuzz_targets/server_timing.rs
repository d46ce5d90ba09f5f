//! Lines of `Server-Timing` on a response, one to a line of input, under a configuration that reads nothing else.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tracewarden::filter::{Sender, StreamContext};
use tracewarden::w3c::TraceParent;
use tracewarden_fuzz::host::{Host, Known, lines};
use tracewarden_fuzz::response;
use tracewarden_fuzz::setup::Setup;

const CONTEXT: &[u8; 55] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A hop that keeps what the upstream says, one that removes it, and one that removes it and says nothing.
static SETUPS: LazyLock<[Setup; 3]> = LazyLock::new(|| {
    [
        r#"{"response":{"inject":["server-timing","server-timing-trace"]}}"#,
        r#"{"role":"edge","response":{"inject":["server-timing"]}}"#,
        r#"{"role":"edge","response":{"inject":[]}}"#,
    ]
    .map(Setup::of)
});

fuzz_target!(|data: &[u8]| {
    let headers = lines(data.split(|byte| *byte == b'\n').map(|line| (&b"server-timing"[..], line)));
    let sent = TraceParent::parse(CONTEXT).expect("it is valid");
    for setup in &*SETUPS {
        let mut host = Host::new(Known::inbound());
        let mut stream = StreamContext::Traced(sent, Sender::default());
        response::check(&setup.config, &mut stream, &headers, &mut host);
    }
});
