//! What the tests share: where the programs are, how long to wait, and how a context is checked.

pub(crate) mod bootstrap;
pub(crate) mod client;
pub(crate) mod collector;
pub(crate) mod envoy;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod prometheus;
pub(crate) mod trap;
pub(crate) mod upstream;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracewarden::w3c::TraceParent;

use http1::Message;

/// Nothing here takes longer than this, unless it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const T: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const P: &str = "b7ad6b7169203331";
pub(crate) const SAMPLED: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The Envoy that the tests run.
pub(crate) fn envoy_binary() -> PathBuf {
    let path = match std::env::var_os("ENVOY") {
        Some(path) => PathBuf::from(path),
        None => in_repository(".venv/envoy-1.40.0/envoy"),
    };
    require(path, "run `make test`, or set ENVOY to an Envoy that you have")
}

/// The module under test.
pub(crate) fn module() -> PathBuf {
    require(in_repository("target/tracewarden.wasm"), "run `make build`")
}

/// A file of the collector's virtual environment.
pub(crate) fn collector_file(name: &str) -> PathBuf {
    require(in_repository(".venv/collector").join(name), "run `make test`")
}

/// The Python that runs the demo mesh.
pub(crate) fn python() -> String {
    std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Prometheus itself.
pub(crate) fn prometheus_binary() -> PathBuf {
    require(in_repository(".venv/bin/prometheus"), "run `make alerts`")
}

/// A port on loopback that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

pub(crate) fn in_repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn require(path: PathBuf, mend: &str) -> PathBuf {
    assert!(path.is_file(), "{} is not there: {mend}", path.display());
    path
}

/// An empty directory that is removed when the test is over, unless it failed.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited {} s for {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The one context that these lines are, written as version 00 and without more.
pub(crate) fn only_context(name: &str, lines: &[&[u8]]) -> TraceParent {
    let [line] = lines else { panic!("{name}: {} lines of traceparent", lines.len()) };
    let context = TraceParent::parse(line).unwrap_or_else(|e| panic!("{name}: {}: {e}", line.escape_ascii()));
    assert_eq!(context.to_bytes().as_slice(), *line, "{name}");
    context
}

/// The `tracestate` of a trace that starts at probability 1 (rule OT-08).
pub(crate) const ROOT_STATE: &[&[u8]] = &[b"ot=th:0"];

/// Checks that a request carries a trace of its own, recorded and random, and nothing of a `tracestate` that came.
pub(crate) fn assert_new_trace(name: &str, received: &Message) {
    assert_root(name, &received.all("traceparent"), &received.all("tracestate"));
}

/// The same for the lines of both headers.
pub(crate) fn assert_root(name: &str, traceparent: &[&[u8]], tracestate: &[&[u8]]) {
    let context = only_context(name, traceparent);
    assert_ne!(context.trace_id.to_string(), T, "{name}");
    assert_ne!(context.parent_id.to_string(), P, "{name}");
    assert!(context.to_string().ends_with("-03"), "{name}: {context}");
    assert_eq!(tracestate, ROOT_STATE, "{name}");
}
