//! Correlation between the two sides of a pod, each with VMs of its own, as two plugins of Istio's may have.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use serde_json::{Value, json};

use crate::support::bootstrap::{all_to, bootstrap, cluster, listener, merge, tracewarden_in, typed};
use crate::support::client::Client;
use crate::support::envoy::Envoy;
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, wait_for};

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
    assert_eq!(counted("call_evidence enforce lost request_id"), PODS_REQUESTS as u64);
    assert_eq!(counted("call_evidence enforce unlinked none"), 1, "nothing is being served");
}

#[test]
fn a_call_is_suspected_while_any_worker_serves_a_traced_request() {
    let upstream = Upstream::start();
    let listeners =
        ["inbound", "outbound"].map(|side_of| listener(side_of, &[side(side_of)], all_to("upstream")));
    let mut envoy = Envoy::start("in-flight", &bootstrap(&listeners, &[cluster("upstream", upstream.port)]));
    let in_flight = |envoy: &Envoy| envoy.stats("traced_requests_in_flight").into_values().sum::<u64>();
    // Its body is still to come.
    let mut serving = TcpStream::connect((Ipv4Addr::LOCALHOST, envoy.port("inbound"))).expect("a connection");
    serving.set_read_timeout(Some(PATIENCE)).expect("a time");
    let head = "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\
                traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
    serving.write_all(head.as_bytes()).expect("a request");
    wait_for("the request to be in flight", || (in_flight(&envoy) == 1).then_some(()));
    envoy.news();
    // Connections take turns between the two workers.
    let mut outbound = [0; 2].map(|_| Client::connect(envoy.port("outbound")));
    for client in &mut outbound {
        assert_eq!(client.get("/", &[]).status(), 200);
    }
    assert_eq!(envoy.news().get("call_evidence enforce lost in_flight"), Some(&2));
    serving.write_all(b"x").expect("the body");
    assert!(serving.read(&mut [0; 16]).expect("an answer") > 0);
    wait_for("the request to end", || (in_flight(&envoy) == 0).then_some(()));
    for client in &mut outbound {
        assert_eq!(client.get("/", &[]).status(), 200);
    }
    assert_eq!(envoy.news().get("call_evidence enforce lost none"), Some(&2));
}
