//! The demo mesh's real Envoy, and a real Prometheus that scrapes it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::demo::{PORTS, envoy, free_port, free_ports, repository};
use crate::support::{Said, report, report_with};

/// Nothing here takes longer than this, unless it has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// What three requests to `mangler` and two to `lossy` are told as: who, what, how many, of how many.
const STORY: &[(&str, &str, u64, u64)] =
    &[("mangler", "corrupt", 3, 3), ("lossy", "lost_by_application", 2, 2)];

#[test]
fn the_demo_mesh_is_told_by_its_envoy_and_by_its_prometheus() {
    let mesh = Mesh::up();
    for path in ["/checkout", "/lossy", "/mangler", "/lossy", "/mangler", "/mangler"] {
        get(mesh.port, path);
    }

    let said = report(&[&mesh.admin(), "--json"]);
    assert_eq!(told(&said), story(None), "{said:?}");
    assert_eq!(said.value()["findings"][0]["labels"]["reason"], "upper_case");
    let saved = get(mesh.admin, "/stats?format=json");
    assert_eq!(told(&report_with(&["-", "--json"], &saved, &[])), story(None));
    each_format_agrees(mesh.admin);

    let prometheus = Prometheus::scraping(mesh.admin);
    let url = format!("http://127.0.0.1:{}", prometheus.port);
    let said = wait_for("Prometheus to have scraped the mesh", || {
        let said = report(&[&url, "--json"]);
        (said.code == Some(1)).then_some(said)
    });
    assert_eq!(told(&said), story(Some("demo")), "{said:?}");
    let narrowed = report(&[&url, "--json", "--match", "workload=\"lossy\""]);
    assert_eq!(told(&narrowed), story(Some("demo")).split_off(1));
    let unnamed = report(&[&url, "--json", "--by", "team"]);
    let who = json!({"job": "envoy", "instance": format!("127.0.0.1:{}", mesh.admin), "listener": "mangler_outbound"});
    assert_eq!(unnamed.value()["findings"][0]["who"], who, "{unnamed:?}");
    let saved = get(prometheus.port, "/api/v1/query?query=%7B__name__=~%22tracewarden_.%2B%22%7D");
    assert_eq!(told(&report_with(&["-", "--json"], &saved, &[])), story(Some("demo")));
    let saved = get(prometheus.port, "/federate?match[]=%7B__name__=~%22tracewarden_.%2B%22%7D");
    assert_eq!(told(&report_with(&["-", "--json"], &saved, &[])), story(Some("demo")));
    let watched = report(&[&url, "--watch", "1", "--count", "2"]);
    assert!(watched.code == Some(1) && watched.out.contains("before 3"), "{watched:?}");
    report(&[&url, "--match", "=="]).assert_refused(&["/api/v1/query answered 400", "parse error"]);

    // What is older than the window is no longer told; what comes then, is.
    let quiet = wait_for("the loss to be past", || {
        let said = report(&[&url, "--window", "4s"]);
        (said.code == Some(0)).then_some(said)
    });
    assert!(quiet.out.contains("the last 4s"), "{quiet:?}");
    let said = wait_for("a new loss to be told", || {
        get(mesh.port, "/lossy");
        let said = report(&[&url, "--window", "4s", "--json"]);
        (said.code == Some(1)).then_some(said)
    });
    let findings = told(&said);
    assert!(findings.len() == 1 && findings[0].0 == "demo lossy lossy_outbound", "{said:?}");
    an_envoy_that_makes_no_labels_agrees(&mesh);
}

#[test]
fn what_was_not_scraped_for_a_while_is_not_new() {
    let scratch = Scratch::new("backfill");
    // Of one, nothing was scraped in the hour before the last one.
    let lately = &[4, 3, 2, 1];
    let in_clusters = ["us", "eu"].map(|cluster| scraped(&format!("both\",cluster=\"{cluster}"), lately, 20));
    let samples =
        [scraped("paused", &[300, 299, 4, 3, 2, 1], 70), scraped("new", lately, 50), in_clusters.concat()]
            .concat();
    let text = format!("# TYPE tracewarden_requests counter\n{samples}# EOF\n");
    fs::write(scratch.path("samples"), text).expect("a file");
    fs::write(scratch.path("prometheus.yaml"), "{}").expect("a file");
    let made = Command::new(prometheus("promtool"))
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([scratch.path("samples"), scratch.path("data")])
        .output()
        .expect("promtool runs");
    assert!(made.status.success(), "{made:?}");
    let config = scratch.path("prometheus.yaml");
    let server = Prometheus::over(scratch, free_port(), &config, &[]);

    let url = format!("http://127.0.0.1:{}", server.port);
    wait_for("Prometheus to be ready", || (report(&[&url]).code != Some(2)).then_some(()));
    let lost = |workload: &str, count| (workload.to_owned(), "lost_by_caller".to_owned(), count, count);
    let expected = [lost("new", 50), lost("eu both", 20), lost("us both", 20)];
    assert_eq!(told(&report(&[&url, "--json", "--window", "1h"])), expected);
    let together = told(&report(&[&url, "--json", "--window", "1h", "--by", "namespace,workload"]));
    assert_eq!(together, [lost("new", 50), lost("both", 40)]);
}

/// What an Envoy says in JSON and to a scrape is the same, whoever asks for it.
fn each_format_agrees(admin: u16) {
    let content = |said: &Said| {
        let value = said.value();
        ["builds", "summary", "workloads", "findings", "mended"].map(|field| value[field].clone())
    };
    let address = format!("127.0.0.1:{admin}");
    let json = report(&[&address, "--json"]);
    assert!(json.value()["workloads"].as_array().is_some_and(|rows| rows.len() > 3), "{json:?}");
    assert!(json.value()["findings"].as_array().is_some_and(|findings| !findings.is_empty()), "{json:?}");
    let scraped = report(&[&format!("{address}/stats/prometheus"), "--json"]);
    assert_eq!(content(&scraped), content(&json));
    let saved = get(admin, "/stats/prometheus");
    assert_eq!(content(&report_with(&["-", "--json"], &saved, &[])), content(&json));
    let piped =
        format!("Defaulted container \"istio-proxy\" out of: istio-proxy\r\n{}", saved.replace('\n', "\r\n"));
    assert_eq!(content(&report_with(&["-", "--json"], &piped, &[])), content(&json));
}

/// An Envoy without `stats_tags` leaves the labels in the names of its stats. It takes the mesh's applications.
fn an_envoy_that_makes_no_labels_agrees(mesh: &Mesh) {
    let (_envoy, port, admin) = wait_for("an Envoy next to the mesh", || next_to(mesh));
    get(port, "/checkout");
    get(port, "/lossy");
    // A call without a context. No route fits it, and the filter sees it all the same.
    let mut call = TcpStream::connect((Ipv4Addr::LOCALHOST, port + 4)).expect("an outbound listener");
    call.write_all(b"GET / HTTP/1.1\r\nhost: nobody\r\nconnection: close\r\n\r\n").expect("a request");
    call.read_to_end(&mut Vec::new()).expect("an answer");
    let raw = get(admin, "/stats/prometheus");
    assert!(
        raw.contains("___tracewarden_requests_total{") && !raw.contains("\ntracewarden_requests_total"),
        "{raw}"
    );
    each_format_agrees(admin);
}

/// An Envoy with listeners of its own, once it listens. Others may take its ports before it does; then there is none.
fn next_to(mesh: &Mesh) -> Option<(Running, u16, u16)> {
    let port = free_ports();
    let admin = port + PORTS;
    let rendered = fs::read_to_string(mesh.run.path("mesh/envoy.yaml")).expect("a configuration");
    let begin = rendered.find("\nstats_config:").expect("stats_config");
    let end = rendered.find("\nstatic_resources:").expect("static_resources");
    let mut config = format!("{}{}", &rendered[..begin], &rendered[end..]);
    let listeners = (0..7).chain([12]).map(|place| (mesh.port + place, port + place));
    for (from, to) in listeners.chain([(mesh.admin, admin)]) {
        config = config.replace(&format!("port_value: {from} "), &format!("port_value: {to} "));
    }
    let path = mesh.run.path("untagged.yaml");
    fs::write(&path, config).expect("a file");
    let mut envoy = Command::new(envoy());
    envoy.arg("-c").arg(path).args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "off"]);
    let mut envoy = Running(envoy.stdout(Stdio::null()).spawn().expect("Envoy starts"));
    let listens = wait_for("Envoy to listen or to end", || {
        let has_ended = envoy.0.try_wait().expect("it is asked").is_some();
        let listens = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        (has_ended || listens).then_some(!has_ended)
    });
    listens.then_some((envoy, port, admin))
}

/// Lines of OpenMetrics: a counter as it was so many minutes ago.
fn scraped(workload: &str, minutes: &[u64], value: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let labels = r#"direction="inbound",role="internal",mode="enforce",context="lost""#;
    let series = format!(r#"tracewarden_requests_total{{workload="{workload}",{labels}}}"#);
    minutes.iter().map(|minutes| format!("{series} {value} {}\n", now - minutes * 60)).collect()
}

/// Its Envoy counts in one place for all workloads, so only its listeners tell them apart.
fn story(namespace: Option<&str>) -> Vec<(String, String, u64, u64)> {
    let owner =
        |workload: &str| namespace.map(|namespace| format!("{namespace} {workload} ")).unwrap_or_default();
    let row = |&(workload, kind, count, of): &(&str, &str, u64, u64)| {
        (format!("{}{workload}_outbound", owner(workload)), kind.to_owned(), count, of)
    };
    STORY.iter().map(row).collect()
}

fn told(said: &Said) -> Vec<(String, String, u64, u64)> {
    let value = said.value();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let finding = |finding: &Value| {
        let who = ["cluster", "namespace", "workload", "listener"]
            .iter()
            .filter_map(|label| finding["who"].get(*label));
        let who: Vec<String> = who.map(text).collect();
        let number = |name: &str| finding[name].as_u64().unwrap_or_default();
        (who.join(" "), text(&finding["kind"]), number("count"), number("of"))
    };
    value["findings"].as_array().expect("findings").iter().map(finding).collect()
}

#[test]
fn an_envoy_without_the_filter_says_what_to_check() {
    let scratch = Scratch::new("bare");
    let admin = scratch.path("admin");
    let config = r#"{"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}}"#;
    let _envoy = Running(
        Command::new(envoy())
            .args([
                "--config-yaml",
                config,
                "--disable-hot-restart",
                "--concurrency",
                "1",
                "--log-level",
                "off",
            ])
            .arg("--admin-address-path")
            .arg(&admin)
            .spawn()
            .expect("Envoy starts"),
    );
    let said = wait_for("Envoy's admin endpoint", || {
        let said = report(&[&format!("http://{}", fs::read_to_string(&admin).ok()?.trim())]);
        (said.code != Some(2)).then_some(said)
    });
    assert!(said.code == Some(1) && said.out.contains("Envoy serves without Tracewarden"), "{said:?}");
}

#[test]
fn a_prometheus_behind_tls_a_password_and_a_prefix_is_read() {
    let scratch = Scratch::new("secure");
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(scratch.path("cert.pem"), certified.cert.pem()).expect("a file");
    fs::write(scratch.path("key.pem"), certified.signing_key.serialize_pem()).expect("a file");
    // The password is "secret".
    let web = r#"{"tls_server_config": {"cert_file": "cert.pem", "key_file": "key.pem"},
        "basic_auth_users": {"reader": "$2b$04$MeqGMpxC1ITxP0QW5CuBx.M6/fK1mR9gO/PTDSAWvoiKLDl.kc5JO"}}"#;
    fs::write(scratch.path("web.yaml"), web).expect("a file");
    fs::write(scratch.path("prometheus.yaml"), "{}").expect("a file");
    let file = |name: &str| scratch.path(name).display().to_string();
    let port = free_port();
    let arguments = [
        format!("--web.config.file={}", file("web.yaml")),
        format!("--web.external-url=https://localhost:{port}/metrics/of"),
    ];
    let _prometheus = Prometheus::start(port, &scratch.path("prometheus.yaml"), &arguments);

    let url = format!("https://localhost:{port}/metrics/of/");
    let roots = ("SSL_CERT_FILE", file("cert.pem"));
    let roots = (roots.0, roots.1.as_str());
    let password = ("TRACEWARDEN_AUTHORIZATION", "Basic cmVhZGVyOnNlY3JldA==");
    let ask = |variables: &[(&str, &str)]| report_with(&[&url], "", variables);
    ask(&[roots, password]).assert_refused(&["it has no series of Tracewarden"]);
    ask(&[roots]).assert_refused(&["answered 401", "TRACEWARDEN_AUTHORIZATION"]);
    ask(&[password]).assert_refused(&["https://localhost", "ertificate"]);
}

/// The demo mesh on free ports; it is stopped when the test is over.
struct Mesh {
    port: u16,
    admin: u16,
    run: Scratch,
}

impl Mesh {
    fn up() -> Self {
        let port = free_ports();
        let admin = port + PORTS;
        let mesh = Self { port, admin, run: Scratch::new("mesh") };
        let ports = [("--port", port.to_string()), ("--admin-port", admin.to_string())];
        let said = mesh.run(
            "up",
            &[
                &["--envoy".to_owned(), envoy().display().to_string()][..],
                &ports.map(|(option, port)| format!("{option}={port}")),
            ]
            .concat(),
        );
        assert!(said.contains("ready after"), "{said}");
        mesh
    }

    fn admin(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin)
    }

    fn run(&self, verb: &str, arguments: &[String]) -> String {
        let mut command = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned()));
        command.arg(repository().join("envoy/mesh.py")).arg(verb).arg("--run-dir").arg(self.run.path("mesh"));
        let Output { stdout, stderr, .. } = command.args(arguments).output().expect("python3 runs");
        String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.run("down", &[]);
    }
}

/// A Prometheus; it is killed when the test is over.
struct Prometheus {
    port: u16,
    _running: Running,
    _scratch: Scratch,
}

impl Prometheus {
    /// One that scrapes the demo mesh every second, as its configuration says.
    fn scraping(admin: u16) -> Self {
        let scratch = Scratch::new("scraping");
        let config =
            fs::read_to_string(repository().join("envoy/prometheus/demo.yaml")).expect("a configuration");
        let config = config
            .replace("127.0.0.1:9901", &format!("127.0.0.1:{admin}"))
            .replace("_interval: 5s", "_interval: 1s");
        let config = config.replace("rule_files: [tracewarden.expected.yaml, tracewarden.rules.yaml]", "");
        fs::write(scratch.path("demo.yaml"), config).expect("a file");
        // The directory goes along: a Prometheus that starts slowly reads its configuration late.
        let config = scratch.path("demo.yaml");
        Self::over(scratch, free_port(), &config, &[])
    }

    fn start(port: u16, config: &Path, arguments: &[String]) -> Self {
        Self::over(Scratch::new(&format!("prometheus-{port}")), port, config, arguments)
    }

    /// One that keeps its data, and may find some, in a directory there.
    fn over(scratch: Scratch, port: u16, config: &Path, arguments: &[String]) -> Self {
        let mut command = Command::new(prometheus("prometheus"));
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", scratch.path("data").display()));
        command
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--log.level=error"])
            .args(arguments);
        let running =
            Running(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("Prometheus starts"));
        wait_for("Prometheus to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        Self { port, _running: running, _scratch: scratch }
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An empty directory that is removed when the test is over, unless it failed.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

fn prometheus(program: &str) -> PathBuf {
    require(repository().join(".venv/bin").join(program), "run `make alerts`")
}

fn require(path: PathBuf, mend: &str) -> PathBuf {
    assert!(path.is_file(), "{} is not there: {mend}", path.display());
    path
}

/// What is there.
fn get(port: u16, path: &str) -> String {
    let agent: ureq::Agent =
        ureq::config::Config::builder().proxy(None).timeout_global(Some(PATIENCE)).build().into();
    let mut answer = agent.get(format!("http://127.0.0.1:{port}{path}")).call().expect(path);
    answer.body_mut().read_to_string().expect(path)
}

/// Asks again and again until there is an answer.
fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited {} s for {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}
