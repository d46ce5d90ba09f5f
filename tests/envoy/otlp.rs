//! Others read what is exported: OTLP's official definitions, and a collector that is in use.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::bootstrap::{all_to, bootstrap, cluster, http2_cluster, listener, tracewarden};
use crate::support::client::get;
use crate::support::collector::{Collector, exporting, wait_until_accounted};
use crate::support::envoy::Envoy;
use crate::support::upstream::{Upstream, response};
use crate::support::{P, SAMPLED, Scratch, T, collector_file, free_port, in_repository, wait_for};

#[test]
fn the_official_definitions_read_every_upload() {
    let upstream = Upstream::answering(|_| response("500 Internal Server Error", &[]));
    let collector = Collector::start();
    let edge = exporting(r#""role": "edge", "direction": "inbound", "trust": {"default": "untrusted"}"#);
    let clusters = [cluster("upstream", upstream.port), collector.cluster()];
    let config = bootstrap(&[listener("mesh", &[tracewarden(&edge)], all_to("upstream"))], &clusters);
    let envoy = Envoy::start("otlp-official", &config);
    get(envoy.port("mesh"), "/", &[("traceparent", SAMPLED), ("user-agent", b"\xff\xfe")]);
    wait_until_accounted(&envoy, 2);
    let scratch = Scratch::new("otlp-uploads");
    let mut command = Command::new(collector_file("bin/python"));
    command.arg("-B").arg(in_repository("tests/envoy/otlp.py"));
    for (place, upload) in collector.uploads().iter().enumerate() {
        let file = scratch.path(&place.to_string());
        std::fs::write(&file, &upload.body).unwrap();
        command.arg(file);
    }
    let output = command.output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let uploads: Vec<Value> = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("JSON");
    let spans: Vec<&Value> = uploads
        .iter()
        .flat_map(|upload| upload["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans"))
        .collect();
    let [server, client] = spans.as_slice() else { panic!("{spans:#?}") };
    assert_eq!((&server["kind"], &client["kind"]), (&"SPAN_KIND_SERVER".into(), &"SPAN_KIND_CLIENT".into()));
    assert_eq!(client["parentSpanId"], server["spanId"]);
    assert_eq!((&server["flags"], &client["flags"]), (&0x103.into(), &0x103.into()));
    assert_eq!(server["status"]["code"], "STATUS_CODE_ERROR");
    assert_eq!(server["traceState"], "ot=th:0");
    assert_eq!((&server["links"][0]["traceId"], &server["links"][0]["spanId"]), (&T.into(), &P.into()));
    let begin: u64 = server["startTimeUnixNano"].as_str().unwrap().parse().unwrap();
    let end: u64 = server["endTimeUnixNano"].as_str().unwrap().parse().unwrap();
    assert!(begin > 1_700_000_000_000_000_000 && end >= begin, "{begin} to {end}");
}

/// A rotel that prints every span; it is killed when the test is over.
struct Rotel {
    child: Child,
    scratch: Scratch,
    http: u16,
    grpc: u16,
}

impl Rotel {
    fn start() -> Self {
        let (http, grpc, scratch) = (free_port(), free_port(), Scratch::new("rotel"));
        let log = File::create(scratch.path("log")).expect("a log");
        let child = Command::new(collector_file("rotel-agent"))
            .args(["start", "--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed", "--exporter", "blackhole"])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("rotel starts");
        let rotel = Self { child, scratch, http, grpc };
        for port in [http, grpc] {
            wait_for("rotel to listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        }
        rotel
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path("log")).expect("text")
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_collector_in_use_understands_both_protocols() {
    let rotel = Rotel::start();
    let upstream = Upstream::start();
    let clusters = [
        cluster("upstream", upstream.port),
        cluster("collector", rotel.http),
        http2_cluster("collector-grpc", rotel.grpc),
    ];
    let grpc = r#"{"direction": "inbound", "export": {"otlp": {"cluster": "collector-grpc", "protocol": "grpc"}, "delay_ms": 1}}"#;
    let http = exporting(r#""direction": "inbound""#);
    let listeners = [("http", http.as_str()), ("grpc", grpc)]
        .map(|(name, config)| listener(name, &[tracewarden(config)], all_to("upstream")));
    let envoy = Envoy::start("otlp-rotel", &bootstrap(&listeners, &clusters));
    for name in ["http", "grpc"] {
        get(envoy.port(name), &format!("/{name}"), &[("traceparent", SAMPLED)]);
        let sent = String::from_utf8(upstream.take_one().all("traceparent")[0].to_vec()).unwrap();
        let span_id = sent.split('-').nth(2).expect("a parent-id").to_owned();
        wait_for("rotel to print the span", || {
            let log = rotel.log();
            let span = log.split("Span #").find(|span| span.contains(&span_id))?;
            let expected =
                [T, P, "SPAN_KIND_SERVER", &format!("url.path: Str(/{name})"), "status_code: Int(200)"];
            expected.iter().for_each(|word| assert!(span.contains(word), "{word}: {span}"));
            Some(())
        });
    }
    let ends = wait_until_accounted(&envoy, 2);
    assert_eq!(ends.get("spans_exported"), Some(&2), "{ends:?}");
}
