//! OpenTelemetry's SDKs for Rust before and after they knew flags of W3C Trace Context Level 2: which of the traces that
//! start here they continue.
#![expect(clippy::expect_used, reason = "a test may fail")]

use std::collections::HashMap;

use proxy_wasm_test_framework::{Host, Module, Vm};

/// The headers of a request without a context, as the built module sends it on.
fn started(random_flag: bool) -> HashMap<String, String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = std::env::var_os("TRACEWARDEN_WASM")
        .map_or_else(|| root.join("../../target/tracewarden.wasm"), Into::into);
    let module = Module::load(path).expect("the module; `make build` makes it");
    let mut vm = Vm::with(&module, Host::new()).expect("it starts");
    let config = format!(r#"{{"direction": "inbound", "sampling": {{"random_flag": {random_flag}}}}}"#);
    let plugin = vm.root(config.as_bytes()).expect("no trap").expect("it is valid");
    let stream = vm.stream(plugin).expect("no trap");
    vm.request(stream, [(":path", "/")]).expect("no trap");
    let headers = vm.request_headers(stream).iter();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers.map(|(name, value)| (text(name), text(value))).collect()
}

/// Whether an SDK continues the trace of these headers.
macro_rules! continues {
    ($api:ident, $sdk:ident, $headers:expr) => {{
        use $api::propagation::TextMapPropagator;
        use $api::trace::TraceContextExt;
        let propagator = $sdk::propagation::TraceContextPropagator::new();
        let context = propagator.extract_with_context(&$api::Context::new(), $headers);
        context.span().span_context().is_valid()
    }};
}

#[test]
fn the_random_flag_is_what_an_older_sdk_refuses() {
    // The flag, and whether each SDK continues the trace.
    for (random_flag, before, after) in [(true, false, true), (false, true, true)] {
        let headers = started(random_flag);
        assert_eq!(
            continues!(opentelemetry_0_31, opentelemetry_sdk_0_31, &headers),
            before,
            "B8, 0.31: {headers:?}"
        );
        assert_eq!(
            continues!(opentelemetry_0_32, opentelemetry_sdk_0_32, &headers),
            after,
            "B8, 0.32: {headers:?}"
        );
    }
}
