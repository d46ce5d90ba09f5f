//! The alerts in a real Prometheus that scrapes the demo mesh, with minutes made seconds.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::mesh::Mesh;
use crate::support::client::{Client, get};
use crate::support::{Scratch, free_port, in_repository, prometheus_binary, wait_for};

const ALERT: &str = "TracewardenTraceLossByCaller";

/// A Prometheus; it is killed when the test is over.
struct Prometheus {
    child: Child,
    port: u16,
    _scratch: Scratch,
}

impl Prometheus {
    fn scraping(admin: u16) -> Self {
        let (port, scratch) = (free_port(), Scratch::new("prometheus"));
        let rules =
            std::fs::read_to_string(in_repository("envoy/prometheus/tracewarden.rules.yaml")).expect("rules");
        let quick = [("[5m]", "[10s]"), ("[15m]", "[20s]"), ("for: 10m", "for: 2s"), ("for: 15m", "for: 2s")];
        let rules = quick.into_iter().fold(rules, |rules, (slow, quick)| rules.replace(slow, quick));
        std::fs::write(scratch.path("rules.yaml"), rules.replace("for: 5m", "for: 2s")).expect("rules");
        let config = format!(
            r#"{{"global": {{"scrape_interval": "1s", "evaluation_interval": "1s"}}, "rule_files": ["rules.yaml"],
            "scrape_configs": [{{"job_name": "envoy", "metrics_path": "/stats/prometheus", "static_configs": [
            {{"targets": ["127.0.0.1:{admin}"], "labels": {{"namespace": "demo", "workload": "mesh"}}}}]}}]}}"#
        );
        std::fs::write(scratch.path("prometheus.yaml"), config).expect("a configuration");
        let child = Command::new(prometheus_binary())
            .arg(format!("--config.file={}", scratch.path("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", scratch.path("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--log.level=error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("Prometheus starts");
        let prometheus = Self { child, port, _scratch: scratch };
        wait_for("Prometheus to listen", || Client::try_connect(port).ok());
        prometheus
    }

    fn ask(&self, path: &str) -> Value {
        let answer = get(self.port, path, &[]);
        assert_eq!(answer.status(), 200, "{path}");
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// The summary of an alert that fires.
    fn firing(&self, name: &str) -> Option<String> {
        let answer = self.ask("/api/v1/alerts");
        let alerts = answer.pointer("/data/alerts").and_then(Value::as_array).expect("alerts");
        let alert = alerts.iter().find(|alert| {
            alert.pointer("/labels/alertname") == Some(&name.into())
                && alert.pointer("/state") == Some(&"firing".into())
        })?;
        Some(alert.pointer("/annotations/summary")?.as_str()?.to_owned())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_burst_of_loss_fires_an_alert_that_goes_when_it_ends() {
    let mesh = Mesh::new("alerts");
    mesh.up();
    let prometheus = Prometheus::scraping(mesh.admin);
    // The edge gives every request a context; whoever calls checkout's own listener without one has lost it.
    let ask = |port: u16| {
        assert_eq!(get(port, "/checkout", &[]).status(), 200);
        std::thread::sleep(Duration::from_millis(20));
    };
    let healthy = wait_for("a completeness of 1", || {
        (0..10).for_each(|_| ask(mesh.port));
        let answer = prometheus.ask("/api/v1/query?query=tracewarden:completeness:ratio5m");
        let value = answer.pointer("/data/result/0/value/1")?.as_str()?.to_owned();
        (value == "1").then_some(value)
    });
    assert_eq!((healthy.as_str(), prometheus.firing(ALERT)), ("1", None));

    let summary = wait_for("the alert to fire", || {
        (0..10).for_each(|_| ask(mesh.port + 1));
        prometheus.firing(ALERT)
    });
    assert!(
        summary.contains("of the requests to mesh (inbound, enforce) come without a trace context"),
        "{summary}"
    );

    wait_for("the alert to go", || {
        (0..10).for_each(|_| ask(mesh.port));
        prometheus.firing(ALERT).is_none().then_some(())
    });
    assert_eq!(prometheus.firing("TracewardenNotRunning"), None);
    assert_eq!(prometheus.firing("TracewardenHostErrors"), None);
}
