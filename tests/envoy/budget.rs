//! The budget of sampled traces in an Envoy with one worker and with many, over few connections and over many.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::reload::{SetWhenDropped, count};
use crate::support::Scratch;
use crate::support::bootstrap::{bootstrap, cluster, listener, merge, tracewarden};
use crate::support::client::{Client, request};
use crate::support::envoy::Envoy;

const SAMPLED: &str = "sampled record probability";

/// How much is sampled is compared with the time that the test has measured, however long that was.
#[test]
fn workers_and_connections_share_the_budget() {
    for (workers, connections, budget) in
        [(1, 1, 20.0), (1, 64, 20.0), (16, 1, 20.0), (16, 64, 20.0), (16, 64, 0.5)]
    {
        let envoy = start(workers, budget);
        let port = envoy.port("mesh");
        let over = AtomicBool::new(false);
        let (recorded, seconds) = std::thread::scope(|scope| {
            let _over = SetWhenDropped(&over);
            for _ in 0..connections {
                scope.spawn(|| send_until(port, &over));
            }
            // At the start there is one trace at once, and each worker may hold one.
            std::thread::sleep(Duration::from_secs(1));
            let (before, begin) = (count(&envoy, SAMPLED), Instant::now());
            std::thread::sleep(Duration::from_secs(if budget < 1.0 { 10 } else { 5 }));
            let recorded = count(&envoy, SAMPLED) - before;
            (recorded as f64, begin.elapsed().as_secs_f64())
        });
        let due = budget * seconds;
        let said = format!("{workers} workers, {connections} connections: {recorded} of {due}");
        assert!(recorded <= 1.1 * due + 1.0, "{said}");
        assert!(recorded >= 0.9 * due - 1.0, "{said}");
        let limited = count(&envoy, "sampled drop rate_limit");
        assert!(
            limited as f64 > 3.0 * recorded,
            "{said}, and {limited} over it: more came than the budget has"
        );
    }
}

fn start(workers: u32, budget: f64) -> Envoy {
    let config = json!({"direction": "inbound", "sampling": {"max_traces_per_second": budget}});
    // Envoy answers by itself: no upstream is slower than it.
    let routes = json!([{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]);
    let mut listener = listener("mesh", &[tracewarden(&config.to_string())], routes);
    merge(&mut listener, json!({"connection_balance_config": {"exact_balance": {}}}));
    let name = format!("budget-{workers}-{budget}");
    let bootstrap = bootstrap(&[listener], &[cluster("upstream", 9)]);
    Envoy::start_in(Scratch::new(&name), &bootstrap, &["--concurrency", &workers.to_string()])
}

fn send_until(port: u16, over: &AtomicBool) {
    let mut client = Client::connect(port);
    while !over.load(Ordering::Relaxed) {
        assert_eq!(client.send(&request("/", &[])).status(), 200);
    }
}
