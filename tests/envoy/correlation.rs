//! Correlation between the two sides of a pod, each with VMs of its own, as two plugins of Istio's may have.

use serde_json::{Value, json};

use crate::support::bootstrap::{all_to, bootstrap, cluster, listener, merge, tracewarden_in, typed};
use crate::support::client::Client;
use crate::support::envoy::Envoy;
use crate::support::upstream::Upstream;

const PODS_REQUESTS: usize = 200;

/// A plugin with no `vm_id`, in VMs that it does not share: their configurations differ.
fn side(direction: &str) -> Value {
    let configuration = format!(r#"{{"direction": "{direction}", "start": "never", "correlation": {{}}}}"#);
    let mut plugin = tracewarden_in("", &configuration);
    let own = typed("google.protobuf.StringValue", json!({"value": direction}));
    let vm = plugin.pointer_mut("/typed_config/config/vm_config").expect("a plugin has a VM");
    merge(vm, json!({"configuration": own}));
    plugin
}

#[test]
fn a_call_of_any_worker_rejoins_what_any_worker_received() {
    let upstream = Upstream::start();
    let listeners =
        ["inbound", "outbound"].map(|side_of| listener(side_of, &[side(side_of)], all_to("upstream")));
    let clusters = [cluster("upstream", upstream.port)];
    let envoy = Envoy::start("correlation", &bootstrap(&listeners, &clusters));
    // Connections take turns between the two workers.
    let mut inbound = [0; 4].map(|_| Client::connect(envoy.port("inbound")));
    let mut outbound = [0; 4].map(|_| Client::connect(envoy.port("outbound")));
    for n in 1..=PODS_REQUESTS {
        let traceparent = format!("00-{n:032x}-{n:016x}-01");
        let request_id = format!("bae65882-2bcd-43db-89d1-{n:012x}");
        let headers = [("traceparent", traceparent.as_bytes()), ("x-request-id", request_id.as_bytes())];
        assert_eq!(inbound[n % 4].get("/", &headers).status(), 200);
        assert_eq!(upstream.take_one().all("traceparent"), [traceparent.as_bytes()]);
        // The next connection's worker, as often as not the other one.
        assert_eq!(outbound[(n / 4 + n) % 4].get("/", &headers[1..]).status(), 200);
        assert_eq!(upstream.take_one().all("traceparent"), [traceparent.as_bytes()], "request {n}");
    }
    let other = b"00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01";
    assert_eq!(outbound[0].get("/", &[("traceparent", other)]).status(), 200);
    let counters = envoy.counters();
    let counted = |name: &str| counters.get(name).copied().unwrap_or(0);
    assert_eq!(counted("requests inbound internal enforce continued"), PODS_REQUESTS as u64);
    assert_eq!(counted("requests outbound internal enforce lost"), PODS_REQUESTS as u64);
    assert_eq!(counted("repairs outbound correlation"), PODS_REQUESTS as u64);
    assert_eq!(counted("requests outbound internal enforce unlinked"), 1);
}
