//! The examples of an edge without a mesh, as `docs/envoy.md` starts them.

use crate::support::client::get;
use crate::support::envoy::Envoy;
use crate::support::upstream::Upstream;
use crate::support::{P, SAMPLED, Scratch, T, in_repository, module, only_context};

/// The files of each example; Envoy is started with the first one.
const EXAMPLES: [(&str, &[&str]); 3] = [
    ("static", &["static.yaml"]),
    ("lds", &["lds/envoy.yaml", "lds/listeners.yaml"]),
    ("ecds", &["ecds/envoy.yaml", "ecds/filter.yaml"]),
];
const SECRET: &str = "of-this-test";

#[test]
fn each_example_judges_outsiders_continues_the_trusted_and_counts_with_labels() {
    let module = format!("target/tracewarden-{}.wasm", env!("CARGO_PKG_VERSION"));
    for (name, files) in EXAMPLES {
        let upstream = Upstream::start();
        let envoy = start(name, files, &module, &upstream);
        let port = envoy.port("edge");
        for secret in [None, Some("another")] {
            let sent: Vec<(&str, &[u8])> = [("traceparent", SAMPLED), ("tracestate", b"a=1")]
                .into_iter()
                .chain(secret.map(|secret: &str| ("x-edge-trust", secret.as_bytes())))
                .collect();
            let answer = get(port, "/", &sent);
            assert_eq!((answer.status(), answer.all("traceparent").len()), (200, 0), "{name}");
            let received = upstream.take_one();
            let context = only_context(name, &received.all("traceparent"));
            assert_ne!(context.trace_id.to_string(), T, "{name}");
            assert!(received.all("x-edge-trust").is_empty(), "{name}");
            assert!(!received.text("tracestate").contains("a=1"), "{name}");
        }
        let trusted = [("traceparent", SAMPLED), ("x-edge-trust", SECRET.as_bytes())];
        assert!(get(port, "/", &trusted).all("traceparent").is_empty(), "{name}");
        let received = upstream.take_one();
        let context = only_context(name, &received.all("traceparent")).to_string();
        assert!(context.contains(T) && context.contains(P), "{name}: {context}");
        assert!(received.all("x-edge-trust").is_empty(), "{name}");

        for (context, count) in [("untrusted", 2), ("continued", 1)] {
            assert_eq!(shown(&envoy, context), Some(count), "{name}: {context}");
        }
    }
}

/// The requests of this verdict, as Prometheus reads them.
fn shown(envoy: &Envoy, context: &str) -> Option<u64> {
    let labels = [
        ("listener", "edge"),
        ("direction", "inbound"),
        ("role", "edge"),
        ("mode", "enforce"),
        ("context", context),
    ];
    let page = envoy.admin_page("/stats/prometheus");
    let lines =
        page.lines().filter_map(|line| line.strip_prefix("tracewarden_requests_total{")?.split_once("} "));
    let mut counts = lines.filter(|(found, _)| {
        found.split(',').count() == labels.len()
            && labels.iter().all(|(name, value)| found.contains(&format!("{name}=\"{value}\"")))
    });
    counts.next()?.1.parse().ok()
}

/// The alert `TracewardenRejected` and `docs/envoy.md` read these series.
#[test]
fn the_updates_of_the_discovered_example_name_their_filter() {
    let upstream = Upstream::start();
    let [.., (name, files)] = EXAMPLES;
    let module = format!("target/tracewarden-{}.wasm", env!("CARGO_PKG_VERSION"));
    let envoy = start(&format!("{name}-series"), files, &module, &upstream);
    let line = r#"envoy_extension_config_discovery_update_success{extension="tracewarden"} 1"#;
    let page = envoy.admin_page("/stats/prometheus");
    assert!(page.lines().any(|l| l == line), "{page}");
}

#[test]
fn the_examples_have_one_filter() {
    let filters = ["static.yaml", "lds/listeners.yaml", "ecds/filter.yaml"].map(|file| {
        let text = text(file);
        let lines = text.lines().map(str::trim);
        let from = lines.skip_while(|line| !line.contains("filters.http.wasm.v3.Wasm"));
        let mut filter: Vec<String> =
            from.take_while(|line| !line.contains("envoy.filters.http.router")).map(str::to_owned).collect();
        while filter.last().is_some_and(|line| line.starts_with('#')) {
            filter.pop();
        }
        filter
    });
    let [first, ..] = &filters;
    assert!(first.iter().any(|line| line.contains("host_env_keys")), "{first:?}");
    for filter in &filters {
        assert_eq!(filter, first);
    }
}

/// The example with free ports, this module, and its files in a directory of the test.
fn start(name: &str, files: &[&str], module_in_example: &str, upstream: &Upstream) -> Envoy {
    let scratch = Scratch::new(&format!("edge-{name}"));
    let places = [
        ("port_value: 9901", "port_value: 0".to_owned()),
        ("port_value: 10000", "port_value: 0".to_owned()),
        ("port_value: 8080", format!("port_value: {}", upstream.port)),
        (module_in_example, module().display().to_string()),
    ];
    let mut used = [false; 4];
    let mut texts = files.iter().map(|file| {
        let mut text = text(file);
        for ((place, other), used) in places.iter().zip(&mut used) {
            *used |= text.contains(place);
            text = text.replace(place, other);
        }
        text.replace("envoy/edge/", &format!("{}/", scratch.path("").display()))
    });
    let bootstrap = texts.next().expect("a bootstrap");
    for (file, text) in files.iter().skip(1).zip(texts) {
        let path = scratch.path(file);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    assert_eq!(used, [true; 4], "{name}: {places:?}");
    Envoy::start_yaml_as(scratch, &bootstrap, &[("EDGE_TRUST", SECRET)])
}

fn text(file: &str) -> String {
    std::fs::read_to_string(in_repository("envoy/edge").join(file)).expect(file)
}
