//! The budget of sampled traces in an Envoy with one worker and with many, over few connections and over many.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::reload::{SetWhenDropped, configure, count, discover, discovered, start_watching};
use crate::support::bootstrap::{bootstrap, cluster, listener, merge, tracewarden};
use crate::support::client::{Client, request};
use crate::support::envoy::Envoy;
use crate::support::upstream::Upstream;
use crate::support::{Scratch, wait_for};

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

/// Each push makes a new plugin, which goes on with what the others have taken.
#[test]
fn a_push_refills_nothing() {
    let plugin = |number: u32| {
        let config = json!({"direction": "inbound", "sampling": {"max_traces_per_second": 0.5},
            "metrics": {"listener": format!("push-{number}")}});
        tracewarden(&config.to_string())
    };
    let scratch = Scratch::new("budget-push");
    let upstream = Upstream::start();
    discover(&scratch, &plugin(0));
    configure(&scratch, discovered(&scratch));
    let begin = Instant::now();
    let envoy = start_watching(scratch, &[cluster("upstream", upstream.port)], "60");
    for number in 1..=10 {
        for _ in 0..20 {
            assert_eq!(Client::connect(envoy.port("mesh")).send(&request("/", &[])).status(), 200);
        }
        discover(envoy.scratch(), &plugin(number));
        let taken = "extension_config_discovery.*update_success";
        wait_for("the push", || (envoy.stats(taken).values().sum::<u64>() > u64::from(number)).then_some(()));
    }
    let of = |name: &str| -> u64 {
        let counters = envoy.counters();
        counters.iter().filter(|(known, _)| known.starts_with(name)).map(|(_, count)| *count).sum()
    };
    let all = |words: &str| (0..=10).map(|number| of(&format!("sampled push-{number} {words}"))).sum::<u64>();
    let (recorded, limited) = (all("record probability"), all("drop rate_limit"));
    assert_eq!(recorded + limited, 200, "{:?}", envoy.counters());
    // One at the start, and one that a worker may hold.
    let due = 0.5 * begin.elapsed().as_secs_f64() + 2.0;
    assert!(recorded >= 1 && recorded as f64 <= due, "{recorded} of {due}");
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
