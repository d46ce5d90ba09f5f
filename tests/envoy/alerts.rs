//! The alerts in a real Prometheus that scrapes the demo mesh.

use std::time::Duration;

use crate::mesh::Mesh;
use crate::support::client::get;
use crate::support::prometheus::Prometheus;
use crate::support::wait_for;

/// The alerts that a fault of an application or of its caller fires.
const LOSS_BY_CALLER: &str = "TracewardenTraceLossByCaller";
const LOSS_BY_APPLICATION: &str = "TracewardenTraceLossByApplication";
const CORRUPTION: &str = "TracewardenTraceCorruption";

#[test]
fn a_burst_of_loss_fires_an_alert_that_goes_when_it_ends() {
    let mesh = Mesh::new("alerts");
    mesh.up();
    let prometheus = Prometheus::scraping("alerts-prometheus", mesh.admin);
    // The edge gives every request a context; whoever calls checkout's own listener without one has lost it.
    let ask = |port: u16| {
        assert_eq!(get(port, "/checkout", &[]).status(), 200);
        std::thread::sleep(Duration::from_millis(20));
    };
    let completeness = r#"tracewarden:completeness:ratio5m{workload="checkout", direction="inbound"}"#;
    wait_for("a completeness of 1", || {
        (0..10).for_each(|_| ask(mesh.port));
        let series = prometheus.query(completeness);
        (series.first()?.pointer("/value/1")? == "1").then_some(())
    });
    assert_eq!(prometheus.firing(LOSS_BY_CALLER), [""; 0]);

    let summaries = wait_for("the alert to fire", || {
        (0..10).for_each(|_| ask(mesh.port + 1));
        Some(prometheus.firing(LOSS_BY_CALLER)).filter(|summaries| !summaries.is_empty())
    });
    let ends = "of the requests to checkout (inbound, enforce, listener checkout_inbound) come without a trace context";
    assert!(summaries.len() == 1 && summaries.iter().all(|said| said.ends_with(ends)), "{summaries:?}");

    wait_for("the alert to go", || {
        (0..10).for_each(|_| ask(mesh.port));
        prometheus.firing(LOSS_BY_CALLER).is_empty().then_some(())
    });
    for others in [LOSS_BY_APPLICATION, CORRUPTION, "TracewardenNotRunning", "TracewardenHostErrors"] {
        assert_eq!(prometheus.firing(others), [""; 0], "{others}");
    }
}

#[test]
fn the_alerts_name_the_applications_that_lose_and_corrupt_and_nobody_else() {
    let mesh = Mesh::new("guilty");
    mesh.up();
    let prometheus = Prometheus::scraping("guilty-prometheus", mesh.admin);
    let (lost, corrupt) = wait_for("both alerts to fire", || {
        for path in ["/checkout", "/lossy", "/mangler"] {
            assert_eq!(get(mesh.port, path, &[]).status(), 200, "{path}");
        }
        std::thread::sleep(Duration::from_millis(50));
        let (lost, corrupt) = (prometheus.firing(LOSS_BY_APPLICATION), prometheus.firing(CORRUPTION));
        (!lost.is_empty() && !corrupt.is_empty()).then_some((lost, corrupt))
    });
    let forgets = "lossy forgets the trace context in 100% of its requests (outbound, enforce, listener lossy_outbound)";
    assert_eq!(lost, [forgets]);
    let mangles =
        "100% of the trace contexts at mangler (outbound, enforce, listener mangler_outbound) are corrupt";
    assert_eq!(corrupt, [mangles]);
    for others in [LOSS_BY_CALLER, "TracewardenNotRunning", "TracewardenHostErrors", "TracewardenBypassed"] {
        assert_eq!(prometheus.firing(others), [""; 0], "{others}");
    }
}
