//! A new configuration while requests run.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::support::bootstrap::{address, all_to, cluster, listener, merge, tracewarden, tracewarden_in};
use crate::support::client::{Client, request};
use crate::support::collector::{Collector, attributes, spans_of};
use crate::support::envoy::Envoy;
use crate::support::upstream::Upstream;
use crate::support::{Scratch, wait_for};

const EDGE: &str = r#"{"direction": "inbound", "role": "edge"}"#;
const INTERNAL: &str = r#"{"direction": "inbound", "role": "internal"}"#;
const OBSERVE: &str = r#"{"direction": "inbound", "mode": "observe"}"#;
const REFUSED: &str = r#"{"direction": "sideways"}"#;

const STARTED: &str = "requests inbound edge enforce started";
const LOST: &str = "requests inbound internal enforce lost";
const OBSERVED: &str = "requests inbound internal observe lost";

#[test]
fn a_new_configuration_or_vm_fails_no_request_and_a_refused_configuration_changes_nothing() {
    let upstream = Upstream::start();
    // Envoy closes what is left of a connection after this time. A client that gets no processor for as long would fail.
    let envoy = watching("reload", &upstream, tracewarden(EDGE), "60");

    let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _over = SetWhenDropped(&over);
        for keeps_connections in [true, true, false] {
            let (port, over, sent) = (envoy.port("mesh"), &over, &sent);
            scope.spawn(move || run(port, keeps_connections, over, sent));
        }
        wait_for("requests at the edge", || counted(&envoy, STARTED, 100));
        configure(envoy.scratch(), tracewarden(INTERNAL));
        wait_for("requests in the mesh", || counted(&envoy, LOST, 100));
        configure(envoy.scratch(), tracewarden_in("another VM", OBSERVE));
        wait_for("requests that are only observed", || counted(&envoy, OBSERVED, 100));
        configure(envoy.scratch(), tracewarden(REFUSED));
        wait_for("the refusal", || {
            envoy.stats("^listener_manager.lds.update_rejected").values().any(|n| *n == 1).then_some(())
        });
        let before = count(&envoy, OBSERVED);
        wait_for("requests after it", || counted(&envoy, OBSERVED, before + 100));
    });

    let verdicts = [STARTED, LOST, OBSERVED].map(|name| count(&envoy, name));
    assert_eq!(verdicts.iter().sum::<u64>(), sent.load(Ordering::Relaxed), "one verdict each: {verdicts:?}");
    assert_eq!(count(&envoy, "repairs inbound new"), count(&envoy, LOST));
}

/// A new configuration of the plugin, in the same VM, goes on with the spans of the old one. Their listener is replaced, or, as
/// Istio does it, the filter's configuration alone.
#[test]
fn no_span_is_lost_over_twenty_configurations() {
    for is_listener_replaced in [true, false] {
        let (upstream, collector) = (Upstream::start(), Collector::start());
        let plugin = |number: u32| {
            let attribute = format!(r#"{{"name": "configuration", "value": "{number}"}}"#);
            tracewarden(&format!(
                r#"{{"direction": "inbound", "role": "edge", "span": {{"kind": "server", "attributes": [{attribute}]}},
                "export": {{"otlp": {{"cluster": "collector"}}, "batch": 100, "delay_ms": 1000}}}}"#
            ))
        };
        let configured = |scratch: &Scratch, number| match is_listener_replaced {
            true => configure(scratch, plugin(number)),
            false => discover(scratch, &plugin(number)),
        };
        let scratch = Scratch::new(&format!("reload-exporting-{is_listener_replaced}"));
        configured(&scratch, 0);
        if !is_listener_replaced {
            configure(&scratch, discovered(&scratch));
        }
        let clusters = [cluster("upstream", upstream.port), collector.cluster()];
        let envoy = start_watching(scratch, &clusters, "1");
        let (over, sent, seen) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(Seen::default()));
        std::thread::scope(|scope| {
            let _over = SetWhenDropped(&over);
            for keeps_connections in [true, true, false] {
                let (port, over, sent) = (envoy.port("mesh"), &over, &sent);
                scope.spawn(move || run(port, keeps_connections, over, sent));
            }
            for number in 1..=20 {
                configured(envoy.scratch(), number);
                wait_for("spans of the new configuration", || {
                    seen.lock().expect("no panic").note(&collector);
                    seen.lock().expect("no panic").configurations.contains(&number.to_string()).then_some(())
                });
            }
        });
        let sent = sent.load(Ordering::Relaxed);
        let mut seen = seen.into_inner().expect("no panic");
        wait_for("every span", || {
            seen.note(&collector);
            (seen.spans.len() as u64 >= sent).then_some(())
        });
        assert_eq!(seen.spans.len() as u64, sent, "one for each request");
        let dropped: Vec<_> =
            envoy.counters().into_iter().filter(|(name, _)| name.starts_with("spans_dropped")).collect();
        assert_eq!((count(&envoy, "spans_recorded"), dropped), (sent, Vec::new()));
    }
}

/// What a collector has received.
#[derive(Default)]
struct Seen {
    spans: BTreeSet<Vec<u8>>,
    configurations: BTreeSet<String>,
}

impl Seen {
    fn note(&mut self, collector: &Collector) {
        for span in collector.uploads().iter().flat_map(|upload| spans_of(&upload.body)) {
            self.configurations.extend(attributes(&span).remove("configuration"));
            self.spans.insert(span.span_id);
        }
    }
}

/// The last plugin of a VM has no way to send what waits: to hold it until it has would take a callback that every stream pays
/// for.
#[test]
fn spans_that_wait_when_their_vm_ends_are_counted() {
    const EXPORT: &str = r#"{"direction": "inbound", "role": "edge", "span": {"kind": "server"},
        "export": {"otlp": {"cluster": "nobody"}, "delay_ms": 600000}}"#;
    let upstream = Upstream::start();
    let envoy = watching("reload-spans", &upstream, tracewarden_in("exporting", EXPORT), "2");
    for _ in 0..20 {
        assert_eq!(Client::connect(envoy.port("mesh")).send(&request("/", &[])).status(), 200);
    }
    wait_for("the spans to wait", || counted(&envoy, "export_queue_spans", 20));
    // Envoy forgets the counters of a plugin that no other has, so the next one exports too.
    configure(envoy.scratch(), tracewarden_in("another that exports", EXPORT));
    wait_for("the spans to be given up", || counted(&envoy, "spans_dropped shutdown", 20));
    assert_eq!((count(&envoy, "spans_recorded"), count(&envoy, "export_queue_spans")), (20, 0));
}

/// An Envoy that takes its listener from a file that it watches. A listener that was replaced is gone after `drain` seconds.
pub(crate) fn watching(name: &str, upstream: &Upstream, plugin: Value, drain: &str) -> Envoy {
    let scratch = Scratch::new(name);
    configure(&scratch, plugin);
    start_watching(scratch, &[cluster("upstream", upstream.port)], drain)
}

pub(crate) fn start_watching(scratch: Scratch, clusters: &[Value], drain: &str) -> Envoy {
    let config = json!({
        "admin": {"address": address(0)},
        "node": {"id": "test", "cluster": "test"},
        "dynamic_resources": {"lds_config": {"path_config_source": {
            "path": scratch.path("listeners/listeners.json"),
            "watched_directory": {"path": scratch.path("listeners")},
        }}},
        "static_resources": {"clusters": clusters},
    });
    Envoy::start_in(scratch, &config, &["--drain-time-s", drain, "--drain-strategy", "immediate"])
}

/// Replaces the listener's file in one step; without a plugin there is no listener.
pub(crate) fn configure(scratch: &Scratch, plugin: impl Into<Option<Value>>) {
    let of_plugin = |plugin: Value| {
        let mut listener = listener("mesh", &[plugin], all_to("upstream"));
        merge(&mut listener, json!({"@type": "type.googleapis.com/envoy.config.listener.v3.Listener"}));
        listener
    };
    let resources: Vec<Value> = plugin.into().map(of_plugin).into_iter().collect();
    replace(scratch, "listeners", &resources);
}

/// Replaces the file that [`discovered`] reads in one step.
pub(crate) fn discover(scratch: &Scratch, plugin: &Value) {
    let mut extension = plugin.clone();
    merge(&mut extension, json!({"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"}));
    replace(scratch, "extensions", &[extension]);
}

/// A filter whose configuration is in a file of its own, which Envoy watches.
pub(crate) fn discovered(scratch: &Scratch) -> Value {
    json!({"name": "tracewarden", "config_discovery": {
        "config_source": {"resource_api_version": "V3", "path_config_source": {
            "path": scratch.path("extensions/extensions.json"),
            "watched_directory": {"path": scratch.path("extensions")},
        }},
        "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
    }})
}

fn replace(scratch: &Scratch, kind: &str, resources: &[Value]) {
    let file: Value = json!({"resources": resources});
    let directory = scratch.path(kind);
    std::fs::create_dir_all(&directory).expect("a directory");
    std::fs::write(scratch.path("draft"), file.to_string()).expect("a draft");
    std::fs::rename(scratch.path("draft"), directory.join(format!("{kind}.json"))).expect("a new file");
}

/// Sends requests without a context until it is over; every one of them must be answered 200.
fn run(port: u16, keeps_connections: bool, over: &AtomicBool, sent: &AtomicU64) {
    let mut client = Client::connect(port);
    while !over.load(Ordering::Relaxed) {
        let answer = client.send(&request("/", &[]));
        assert_eq!(answer.status(), 200);
        sent.fetch_add(1, Ordering::Relaxed);
        if !keeps_connections || answer.text("connection") == "close" {
            client = Client::connect(port);
        }
    }
}

pub(crate) fn count(envoy: &Envoy, name: &str) -> u64 {
    envoy.counters().get(name).copied().unwrap_or(0)
}

fn counted(envoy: &Envoy, name: &str, at_least: u64) -> Option<()> {
    (count(envoy, name) >= at_least).then_some(())
}

/// Ends the other threads, also when this one panics.
struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
