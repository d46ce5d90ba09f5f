//! The demo mesh, from `up` to `down`, as `make envoy-up` runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::client::get;
use crate::support::{Scratch, envoy_binary, in_repository, module, python, wait_for};

/// What one request to each of the mesh's paths is counted as.
const STORY: &[(&str, u64)] = &[
    // No context is expected at the edge.
    ("requests context=started direction=inbound listener=edge mode=enforce role=edge", 3),
    // Every inbound listener is reached through another listener, which has already made the repairs.
    ("requests context=continued direction=inbound listener=checkout_inbound mode=enforce role=internal", 3),
    ("requests context=continued direction=inbound listener=lossy_inbound mode=enforce role=internal", 2),
    ("requests context=continued direction=inbound listener=mangler_inbound mode=enforce role=internal", 1),
    // The three applications as they call on: checkout, lossy, mangler.
    (
        "requests context=continued direction=outbound listener=checkout_outbound mode=enforce role=internal",
        1,
    ),
    ("requests context=lost direction=outbound listener=lossy_outbound mode=enforce role=internal", 1),
    ("requests context=corrupt direction=outbound listener=mangler_outbound mode=enforce role=internal", 1),
    ("corrupt direction=outbound header=traceparent listener=mangler_outbound reason=upper_case", 1),
    // What the pod received with the same request is what it sends on.
    ("repairs by=correlation direction=outbound listener=lossy_outbound", 1),
    ("repairs by=correlation direction=outbound listener=mangler_outbound", 1),
    // The inbound listeners write Zipkin's format next to W3C's, so they count which one they read.
    ("correlation result=remembered", 6),
    ("call_evidence context=lost evidence=request_id mode=enforce", 1),
    ("correlation result=repaired", 2),
    ("formats format=tracecontext", 6),
    ("sampled by=probability decision=record", 3),
    ("sampled by=parent decision=record", 9),
    // The applications say nothing of traces in their responses; the listeners before them do.
    ("responses context=absent", 6),
    ("responses context=match", 6),
    // Two at the edge, and one for each hop behind it.
    ("spans_recorded", 15),
];

/// The hops of a request to `lossy`, as `make envoy-traces` shows them, each below the one before it.
const TRACE: &[&str] = &[
    "  edge server: GET /lossy 200, ",
    "    edge client: GET http://test/lossy 200, ",
    "      lossy server: GET /lossy 200, ",
    "        lossy client: GET http://checkout/price 200, ",
    "          checkout server: GET /price 200, ",
];

#[test]
fn the_demo_mesh_counts_who_loses_and_who_corrupts_restarts_and_stops() {
    let mesh = Mesh::new("mesh");
    assert_eq!(mesh.run("status", &["--json"]).0, 3, "not running yet");
    mesh.up();
    mesh.tell_the_story();

    let (code, said) = mesh.run("up", &mesh.up_arguments());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("Restarting: stopped Envoy"), "{said}");
    assert_eq!(mesh.series_of_status(), BTreeMap::new(), "a new start counts from zero");
    mesh.tell_the_story();

    let other = Scratch::new("mesh-other");
    let (code, said) = mesh.run_in(&other, "up", &mesh.up_arguments());
    assert_ne!(code, 0, "{said}");
    let port = format!("port {}, which the edge listener needs, is in use", mesh.port);
    assert!(said.contains(&port) && said.contains("set ENVOY_PORT to "), "{said}");
    assert_eq!(mesh.run("status", &["--json"]).0, 0, "the mesh that has the ports is none the worse for it");

    let (code, said) = mesh.run::<&str>("down", &[]);
    assert_eq!(code, 0, "{said}");
    for port in mesh.ports() {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap_or_else(|e| panic!("{port} is not free: {e}"));
    }
    assert_eq!(mesh.run("status", &["--json"]).0, 3, "not running any more");
}

#[test]
fn the_tree_of_a_trace_has_the_ids_of_its_spans_and_not_those_of_a_link() {
    let mesh = Mesh::new("linked");
    mesh.up();
    assert_eq!(get(mesh.port, "/checkout", &[("traceparent", crate::support::SAMPLED)]).status(), 200);
    let said = wait_for("all spans", || {
        let (_, said) = mesh.run::<&str>("traces", &[]);
        (said.matches(" ms\n").count() == 5).then_some(said)
    });
    assert!(said.contains(", 5 spans\n  edge server: GET /checkout 200, "), "{said}");
}

/// A mesh on free ports; it is stopped when the test is over.
pub(crate) struct Mesh {
    pub(crate) port: u16,
    pub(crate) admin: u16,
    run: Scratch,
}

impl Mesh {
    pub(crate) fn new(name: &str) -> Self {
        let (port, admin) = wait_for("fourteen free ports in a row", free_ports);
        Self { port, admin, run: Scratch::new(name) }
    }

    fn ports(&self) -> impl Iterator<Item = u16> {
        (self.port..self.port + 13).chain([self.admin])
    }

    fn up_arguments(&self) -> Vec<String> {
        let path = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        [("--port", self.port.to_string()), ("--admin-port", self.admin.to_string())]
            .into_iter()
            .chain([("--envoy", path(envoy_binary())), ("--module", path(module()))])
            .flat_map(|(option, value)| [option.to_owned(), value])
            .collect()
    }

    pub(crate) fn up(&self) {
        let (code, said) = self.run("up", &self.up_arguments());
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("ready after"), "{said}");
    }

    /// The lines of the log of broken calls.
    fn broken_calls(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.run.path("mesh").join("broken.log")).unwrap_or_default();
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Makes one request to each path, and checks what both of the mesh's pages show of them.
    fn tell_the_story(&self) {
        for path in ["/checkout", "/lossy", "/mangler"] {
            let answer = get(self.port, path, &[]);
            assert_eq!(answer.status(), 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        }
        let story: Series = STORY.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        assert_eq!(self.series_of_prometheus(), story);
        assert_eq!(self.series_of_status(), story);
        let said = wait_for("three whole traces", || {
            let (_, said) = self.run::<&str>("traces", &[]);
            (said.matches(", 5 spans").count() == 3).then_some(said)
        });
        let mut lines = said.lines().skip_while(|line| !line.contains("edge server: GET /lossy"));
        for begin in TRACE {
            let line = lines.next().unwrap_or_default();
            assert!(line.starts_with(begin), "{line:?} does not begin with {begin:?}: {said}");
        }
    }

    fn series_of_prometheus(&self) -> Series {
        let page = get(self.admin, "/stats/prometheus?filter=tracewarden_", &[]).body;
        let page = String::from_utf8(page).expect("text");
        summed(page.lines().filter(|line| line.starts_with("tracewarden_")).filter_map(series))
    }

    fn series_of_status(&self) -> Series {
        let (code, said) = self.run("status", &["--json"]);
        assert_eq!(code, 0, "{said}");
        let report: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(report.pointer("/port"), Some(&self.port.into()), "{said}");
        let all = report.pointer("/series").and_then(Value::as_array).expect("series");
        summed(all.iter().filter_map(series_of_json))
    }

    fn run<A: AsRef<OsStr>>(&self, verb: &str, arguments: &[A]) -> (i32, String) {
        self.run_in(&self.run, verb, arguments)
    }

    /// Runs the command; returns its exit status and everything that it said.
    fn run_in(&self, run: &Scratch, verb: &str, arguments: &[impl AsRef<OsStr>]) -> (i32, String) {
        let mut command = Command::new(python());
        command.arg(in_repository("envoy/mesh.py")).arg(verb).arg("--run-dir").arg(run.path("mesh"));
        let Output { status, stdout, stderr } = command.args(arguments).output().expect("python3 runs");
        (status.code().unwrap_or(-1), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        let (code, said) = self.run::<&str>("down", &[]);
        if code != 0 {
            eprintln!("the mesh may still run: {said}");
        }
    }
}

/// Series above zero, by their metric and their labels in the order of the alphabet.
type Series = BTreeMap<String, u64>;

fn summed(all: impl Iterator<Item = (String, u64)>) -> Series {
    let mut series = Series::new();
    for (name, count) in all {
        *series.entry(name).or_default() += count;
    }
    series
}

/// Reads a line of Prometheus's text format; the labels' values here have neither spaces nor quotes.
fn series(line: &str) -> Option<(String, u64)> {
    let (name, rest) = line.split_once('{')?;
    let (labels, count) = rest.split_once("} ")?;
    let labels = labels.split(',').map(|label| label.replace('"', "")).collect();
    named(name, labels, count.parse().ok()?)
}

fn series_of_json(series: &Value) -> Option<(String, u64)> {
    let labels = series.get("labels")?.as_object()?;
    let labels = labels.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or("?")));
    named(series.get("name")?.as_str()?, labels.collect(), series.get("value")?.as_f64()? as u64)
}

fn named(name: &str, labels: BTreeSet<String>, count: u64) -> Option<(String, u64)> {
    let metric = name.trim_start_matches("tracewarden_").trim_end_matches("_total").to_owned();
    // When spans are sent, and in how many batches, is a matter of time.
    let of_time = metric.starts_with("export_") || metric == "spans_exported";
    let of_itself = ["build_info", "enabled"].contains(&metric.as_str());
    // The story says whose loss it is. It does not say which listener decided or answered.
    let is_told = |label: &String| {
        !label.starts_with("listener=") || ["requests", "corrupt", "repairs"].contains(&metric.as_str())
    };
    let labels: Vec<String> = labels.into_iter().filter(is_told).collect();
    let words: Vec<String> = [metric].into_iter().chain(labels).filter(|word| !word.is_empty()).collect();
    (count > 0 && !of_time && !of_itself).then(|| (words.join(" "), count))
}

/// Thirteen free ports in a row and one more, below those that the system hands out by itself.
fn free_ports() -> Option<(u16, u16)> {
    let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?.local_addr().ok()?.port();
    let first = 20_000 + any % 10_000;
    let free = |port| {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()
            && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
    };
    (first..first + 14).all(free).then_some((first, first + 13))
}

#[test]
fn the_log_of_broken_calls_has_those_and_no_others() {
    let mesh = Mesh::new("broken-calls");
    mesh.up();
    for path in ["/checkout", "/lossy", "/mangler", "/checkout"] {
        assert_eq!(get(mesh.port, path, &[]).status(), 200, "{path}");
    }
    assert_eq!(get(mesh.port, "/checkout", &[("traceparent", crate::support::SAMPLED)]).status(), 200);
    let mut lines = wait_for("three lines", || Some(mesh.broken_calls()).filter(|lines| lines.len() >= 3));
    // A healthy call that was logged late would be a fourth one.
    assert_eq!(get(mesh.port, "/checkout", &[]).status(), 200);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(mesh.broken_calls().len(), 3, "{:?}", mesh.broken_calls());
    lines.sort_by_key(|line| line["trace_context"].to_string());
    let told = |line: &Value| {
        let text = |field: &str| line[field].as_str().unwrap_or("-").to_owned();
        [
            text("trace_context"),
            text("method"),
            text("authority"),
            text("path"),
            text("cluster"),
            text("route"),
            text("address"),
        ]
    };
    let expected = [
        ["corrupt", "GET", "checkout", "/price", "checkout", "to_checkout", "127.0.0.1"],
        ["lost", "GET", "checkout", "/price", "checkout", "to_checkout", "127.0.0.1"],
        ["untrusted", "GET", "test", "/checkout", "checkout", "edge_checkout", "127.0.0.1"],
    ];
    assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), expected);
}
