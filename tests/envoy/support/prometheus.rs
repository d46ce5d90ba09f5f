//! A real Prometheus that scrapes the demo mesh as `envoy/prometheus/demo.yaml` says, with minutes made seconds.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::client::{Client, get};
use super::{Scratch, free_port, in_repository, prometheus_binary, wait_for};

/// A Prometheus; it is killed when the test is over.
pub(crate) struct Prometheus {
    child: Child,
    port: u16,
    _scratch: Scratch,
}

/// What the rules and the configuration say, and what is quick enough for a test.
const QUICK: &[(&str, &str)] = &[
    ("[5m]", "[10s]"),
    ("[15m]", "[20s]"),
    ("[15m:15s]", "[10s:1s]"),
    ("[1h]", "[1m]"),
    ("[1h:1m]", "[1m:1s]"),
    ("for: 30m", "for: 5s"),
    ("for: 5m", "for: 2s"),
    ("for: 10m", "for: 2s"),
    ("for: 15m", "for: 2s"),
    ("_interval: 5s", "_interval: 1s"),
];

impl Prometheus {
    /// One that scrapes the Envoy with this admin port.
    pub(crate) fn scraping(name: &str, admin: u16) -> Self {
        let (port, scratch) = (free_port(), Scratch::new(name));
        for file in ["demo.yaml", "tracewarden.expected.yaml", "tracewarden.rules.yaml"] {
            let text = std::fs::read_to_string(in_repository("envoy/prometheus").join(file)).expect(file);
            let text = text.replace("127.0.0.1:9901", &format!("127.0.0.1:{admin}"));
            let text = QUICK.iter().fold(text, |text, (slow, quick)| text.replace(slow, quick));
            std::fs::write(scratch.path(file), text).expect(file);
        }
        let child = Command::new(prometheus_binary())
            .arg(format!("--config.file={}", scratch.path("demo.yaml").display()))
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

    /// The series that an expression gives now, each with its labels and value.
    pub(crate) fn query(&self, expression: &str) -> Vec<Value> {
        let answer = self.ask(&format!("/api/v1/query?query={}", percent_encoded(expression)));
        answer.pointer("/data/result").and_then(Value::as_array).expect(expression).clone()
    }

    /// The summaries of the alerts of that name that fire.
    pub(crate) fn firing(&self, name: &str) -> Vec<String> {
        let answer = self.ask("/api/v1/alerts");
        let alerts = answer.pointer("/data/alerts").and_then(Value::as_array).expect("alerts");
        let is_meant = |alert: &&Value| {
            alert.pointer("/labels/alertname") == Some(&name.into())
                && alert.pointer("/state") == Some(&"firing".into())
        };
        let summary = |alert: &Value| Some(alert.pointer("/annotations/summary")?.as_str()?.to_owned());
        alerts.iter().filter(is_meant).filter_map(summary).collect()
    }

    fn ask(&self, path: &str) -> Value {
        let answer = get(self.port, path, &[]);
        assert_eq!(answer.status(), 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).expect("JSON")
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
