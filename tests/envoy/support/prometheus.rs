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
        Self::start(name, &file("demo.yaml").replace("127.0.0.1:9901", &format!("127.0.0.1:{admin}")))
    }

    /// One with this configuration, and the rules next to it.
    pub(crate) fn start(name: &str, config: &str) -> Self {
        let (port, scratch) = (free_port(), Scratch::new(name));
        let rules = ["tracewarden.expected.yaml", "tracewarden.rules.yaml"].map(|name| (name, file(name)));
        for (name, text) in rules.into_iter().chain([("prometheus.yaml", config.to_owned())]) {
            let text = QUICK.iter().fold(text, |text, (slow, quick)| text.replace(slow, quick));
            std::fs::write(scratch.path(name), text).expect(name);
        }
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
        // It listens before it answers.
        wait_for("Prometheus to be ready", || (get(port, "/-/ready", &[]).status() == 200).then_some(()));
        prometheus
    }

    /// The series that an expression gives now, each with its labels and value.
    pub(crate) fn query(&self, expression: &str) -> Vec<Value> {
        let answer = self.ask(&format!("/api/v1/query?query={}", percent_encoded(expression)));
        answer.pointer("/data/result").and_then(Value::as_array).expect(expression).clone()
    }

    /// The series that an expression gives within the last quarter of a minute, as a graph asks for them.
    pub(crate) fn query_range(&self, expression: &str) -> Vec<Value> {
        let now = self.query("vector(time())");
        let end =
            now.first().and_then(|now| now.pointer("/value/0")).and_then(Value::as_f64).expect("the time");
        let range = format!("start={}&end={end}&step=1", end - 15.0);
        let answer = self.ask(&format!("/api/v1/query_range?query={}&{range}", percent_encoded(expression)));
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

/// A file of the directory of the rules.
fn file(name: &str) -> String {
    std::fs::read_to_string(in_repository("envoy/prometheus").join(name)).expect(name)
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
