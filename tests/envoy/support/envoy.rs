//! A running Envoy, its log and its stats.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

use super::bootstrap::{bootstrap, cluster, listener};
use super::client::{Client, get, request};
use super::upstream::Upstream;
use super::{Scratch, envoy_binary, wait_for};

/// Counters above zero, by their metric and the values of their labels: `requests inbound internal enforce lost`.
pub(crate) type Counters = BTreeMap<String, u64>;

/// An Envoy with two workers, unless a test says otherwise; it is killed when the test is over.
pub(crate) struct Envoy {
    child: Child,
    admin: u16,
    ports: BTreeMap<String, u16>,
    told: Counters,
    scratch: Scratch,
}

impl Envoy {
    /// Starts it with one listener, `mesh`: these filters, these routes, and the upstream as the cluster `upstream`.
    pub(crate) fn before(upstream: &Upstream, name: &str, filters: &[Value], routes: Value) -> Self {
        let listener = listener("mesh", filters, routes);
        Self::start(name, &bootstrap(&[listener], &[cluster("upstream", upstream.port)]))
    }

    /// Starts it, and waits until its listeners listen.
    pub(crate) fn start(name: &str, bootstrap: &Value) -> Self {
        Self::start_in(Scratch::new(name), bootstrap, &[])
    }

    /// The same with a configuration in YAML.
    pub(crate) fn start_yaml(name: &str, bootstrap: &str) -> Self {
        Self::start_yaml_as(Scratch::new(name), bootstrap, &[])
    }

    /// The same in a directory that has files for it, as a process with these variables.
    pub(crate) fn start_yaml_as(scratch: Scratch, bootstrap: &str, environment: &[(&str, &str)]) -> Self {
        Self::run(scratch, bootstrap, &[], environment)
    }

    /// The same as a process with these variables.
    pub(crate) fn start_as(scratch: Scratch, bootstrap: &Value, environment: &[(&str, &str)]) -> Self {
        Self::run(scratch, &bootstrap.to_string(), &[], environment)
    }

    /// The same in a directory that has files for it, with more arguments.
    pub(crate) fn start_in(scratch: Scratch, bootstrap: &Value, arguments: &[&str]) -> Self {
        Self::run(scratch, &bootstrap.to_string(), arguments, &[])
    }

    fn run(scratch: Scratch, bootstrap: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let child = launch(&scratch, bootstrap, arguments, environment);
        let mut envoy = Self { child, admin: 0, ports: BTreeMap::new(), told: Counters::new(), scratch };
        let admin = envoy.scratch.path("admin");
        envoy.admin = wait_for("Envoy's admin port", || {
            envoy.assert_runs();
            port_of(&std::fs::read_to_string(&admin).ok()?)
        });
        wait_for("Envoy to be ready", || {
            envoy.assert_runs();
            answers(envoy.admin, "/ready").then_some(())
        });
        envoy.ports = envoy.listeners();
        envoy
    }

    /// Asks for the ports again, once there is a listener of that name.
    pub(crate) fn find_port(&mut self, listener: &str) -> u16 {
        self.ports =
            wait_for("the listener", || Some(self.listeners()).filter(|all| all.contains_key(listener)));
        self.port(listener)
    }

    /// The port of the listener of that name.
    pub(crate) fn port(&self, listener: &str) -> u16 {
        *self.ports.get(listener).unwrap_or_else(|| panic!("no listener {listener}: {:?}", self.ports))
    }

    /// What Tracewarden counted; not which build it is.
    pub(crate) fn counters(&self) -> Counters {
        let stats = self.stats("wasmcustom");
        let about_itself = ["tracewarden_build_info", "tracewarden_enabled"];
        let is_count = |name: &str| {
            name.contains("tracewarden_") && !about_itself.iter().any(|gauge| name.ends_with(gauge))
        };
        let ours = stats.iter().filter(|(name, count)| is_count(name) && **count > 0);
        ours.map(|(name, count)| (short(name), *count)).collect()
    }

    /// What it counted since the last call.
    pub(crate) fn news(&mut self) -> Counters {
        let now = self.counters();
        let before = std::mem::replace(&mut self.told, now.clone());
        let step = |(name, count): (String, u64)| {
            let count = count - before.get(&name).copied().unwrap_or(0);
            (count > 0).then_some((name, count))
        };
        now.into_iter().filter_map(step).collect()
    }

    /// Envoy's stats whose names match.
    pub(crate) fn stats(&self, filter: &str) -> BTreeMap<String, u64> {
        let page = self.admin_page(&format!("/stats?filter={filter}"));
        let number = |line: &str| {
            let (name, value) = line.rsplit_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        page.lines().filter_map(number).collect()
    }

    pub(crate) fn admin_page(&self, path: &str) -> String {
        let answer = get(self.admin, path, &[]);
        assert_eq!(answer.status(), 200, "{path}");
        String::from_utf8(answer.body).expect("text")
    }

    /// Has Envoy log from this level on what one of its components does.
    pub(crate) fn set_log_level(&self, component: &str, level: &str) {
        let post =
            format!("POST /logging?{component}={level} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(Client::connect(self.admin).send(post.as_bytes()).status(), 200, "{component}");
    }

    pub(crate) fn log(&self) -> String {
        log_of(&self.scratch)
    }

    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    fn listeners(&self) -> BTreeMap<String, u16> {
        let page = self.admin_page("/listeners");
        let listener = |line: &str| {
            let (name, address) = line.split_once("::")?;
            Some((name.to_owned(), port_of(address)?))
        };
        page.lines().filter_map(listener).collect()
    }

    fn assert_runs(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("Envoy ended with {status}");
        }
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("Envoy's log:\n{}", log_of(&self.scratch));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs an Envoy that is to refuse its configuration; returns how it ended and what it logged.
pub(crate) fn run_to_the_end(name: &str, bootstrap: &Value) -> (ExitStatus, String) {
    struct Running(Child);
    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let scratch = Scratch::new(name);
    let mut running = Running(launch(&scratch, &bootstrap.to_string(), &[], &[]));
    let status = wait_for("Envoy to end", || running.0.try_wait().expect("a status"));
    (status, log_of(&scratch))
}

/// A table of counters.
pub(crate) fn table(rows: &[(&str, u64)]) -> Counters {
    rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// What one request with a valid, sampled context counts, if no upstream answers with its trace.
pub(crate) fn continued() -> Counters {
    table(&[
        ("requests inbound internal enforce continued", 1),
        ("sampled record parent", 1),
        ("responses absent", 1),
    ])
}

/// JSON is also YAML.
fn launch(scratch: &Scratch, bootstrap: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
    let config = scratch.path("envoy.yaml");
    std::fs::write(&config, bootstrap).expect("the configuration is written");
    let log = File::create(scratch.path("envoy.log")).expect("a log file");
    Command::new(envoy_binary())
        .arg("-c")
        .arg(config)
        .arg("--admin-address-path")
        .arg(scratch.path("admin"))
        .args(["--disable-hot-restart", "--log-level", "warning"])
        .args(["--component-log-level", "wasm:info"])
        .args(arguments)
        .args(if arguments.contains(&"--concurrency") { [].as_slice() } else { &["--concurrency", "2"] })
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("Envoy starts")
}

fn log_of(scratch: &Scratch) -> String {
    let log = std::fs::read(scratch.path("envoy.log")).unwrap_or_default();
    String::from_utf8_lossy(&log).into_owned()
}

/// Whether the admin endpoint answers 200; an Envoy that is about to end may not answer at all.
fn answers(port: u16, path: &str) -> bool {
    let answer = Client::try_connect(port).and_then(|mut client| client.try_send(&request(path, &[])));
    matches!(answer, Ok(Some(message)) if message.status() == 200)
}

fn port_of(address: &str) -> Option<u16> {
    address.trim().rsplit_once(':')?.1.parse().ok()
}

/// Words a stat as its metric and the values of its labels.
fn short(stat: &str) -> String {
    let mut parts: Vec<&str> = stat.split(";.;").collect();
    let metric = parts.pop().unwrap_or_default().trim_start_matches('.');
    let metric = metric.trim_start_matches("wasmcustom.").trim_start_matches("tracewarden_");
    let values = parts.into_iter().map(|label| label.split_once("=.=").expect("label=.=value").1);
    let words: Vec<&str> = std::iter::once(metric.trim_end_matches("_total")).chain(values).collect();
    words.join(" ")
}
