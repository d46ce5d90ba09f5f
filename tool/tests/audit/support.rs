//! Running `tracewarden audit`, and traces in each format.

use serde_json::{Value, json};

pub(crate) use crate::server::{Said, Server};

pub(crate) fn audit(arguments: &[&str], input: &str) -> Said {
    crate::server::run(&[&["audit"], arguments].concat(), input, &[])
}

/// What `audit --json` says of an input.
pub(crate) fn audited(input: &str) -> Value {
    audit(&["--json", "-"], input).value()
}

/// A span, whatever the format. Times are in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) trace: &'static str,
    pub(crate) id: u64,
    /// Zero for none.
    pub(crate) parent: u64,
    pub(crate) service: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) time: (u64, u64),
    pub(crate) tags: &'static [(&'static str, &'static str)],
}

/// A trace-id.
pub(crate) const ONE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// Another one.
pub(crate) const TWO: &str = "0af7651916cd43dd8448eb211c80319c";

/// A span of the first trace.
pub(crate) const fn span(
    id: u64,
    parent: u64,
    service: &'static str,
    kind: &'static str,
    time: (u64, u64),
) -> Span {
    Span { trace: ONE, id, parent, service, kind, time, tags: &[] }
}

impl Span {
    pub(crate) const fn of(self, trace: &'static str) -> Self {
        Self { trace, ..self }
    }

    pub(crate) const fn tagged(self, tags: &'static [(&'static str, &'static str)]) -> Self {
        Self { tags, ..self }
    }

    fn parent_text(&self) -> String {
        if self.parent == 0 { String::new() } else { format!("{:016x}", self.parent) }
    }

    pub(crate) fn otlp(&self) -> Value {
        let attributes: Vec<Value> = self
            .tags
            .iter()
            .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
            .collect();
        let kinds = ["", "internal", "server", "client", "producer", "consumer"];
        let kind = kinds.iter().position(|kind| *kind == self.kind);
        json!({
            "traceId": self.trace, "spanId": format!("{:016x}", self.id), "parentSpanId": self.parent_text(),
            "name": "GET", "kind": kind,
            "startTimeUnixNano": (self.time.0 * 1000).to_string(), "endTimeUnixNano": (self.time.1 * 1000).to_string(),
            "attributes": attributes,
        })
    }

    pub(crate) fn zipkin(&self) -> Value {
        let tags: serde_json::Map<String, Value> =
            self.tags.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let mut span = json!({
            "traceId": self.trace, "id": format!("{:016x}", self.id), "timestamp": self.time.0,
            "duration": self.time.1 - self.time.0, "localEndpoint": {"serviceName": self.service}, "tags": tags,
        });
        if self.parent != 0 {
            span["parentId"] = json!(self.parent_text());
        }
        if self.kind != "internal" {
            span["kind"] = json!(self.kind.to_uppercase());
        }
        span
    }

    pub(crate) fn jaeger(&self) -> Value {
        let kind = json!({"key": "span.kind", "type": "string", "value": self.kind});
        let tags = self.tags.iter().map(|(key, value)| json!({"key": key, "type": "string", "value": value}));
        let parent = json!({"refType": "CHILD_OF", "traceID": self.trace, "spanID": self.parent_text()});
        json!({
            "traceID": self.trace, "spanID": format!("{:016x}", self.id), "operationName": "GET",
            "references": if self.parent == 0 { vec![] } else { vec![parent] },
            "startTime": self.time.0, "duration": self.time.1 - self.time.0, "logs": [], "processID": self.service,
            "tags": tags.chain([kind]).collect::<Vec<_>>(), "warnings": null,
        })
    }
}

/// One document of OTLP for each span, in lines.
pub(crate) fn otlp(spans: &[Span]) -> String {
    spans.iter().map(|span| otlp_of(span.service, &span.otlp()).to_string() + "\n").collect()
}

/// A document of OTLP with one span.
pub(crate) fn otlp_of(service: &str, span: &Value) -> Value {
    let name = json!({"key": "service.name", "value": {"stringValue": service}});
    json!({"resourceSpans": [{"resource": {"attributes": [name]}, "scopeSpans": [{"scope": {}, "spans": [span]}]}]})
}

pub(crate) fn zipkin(spans: &[Span]) -> String {
    spans.iter().map(Span::zipkin).collect::<Value>().to_string()
}

/// Jaeger's answer.
pub(crate) fn jaeger(spans: &[Span]) -> String {
    let mut traces: Vec<&str> = spans.iter().map(|span| span.trace).collect();
    traces.sort_unstable();
    traces.dedup();
    let trace = |id: &&str| {
        let own = spans.iter().filter(|span| span.trace == *id);
        let processes: serde_json::Map<String, Value> = own
            .clone()
            .map(|span| (span.service.to_owned(), json!({"serviceName": span.service, "tags": []})))
            .collect();
        // Jaeger writes the names of the services behind the spans.
        format!(
            r#"{{"traceID":"{id}","spans":{},"processes":{},"warnings":null}}"#,
            own.map(Span::jaeger).collect::<Value>(),
            Value::from(processes)
        )
    };
    let traces: Vec<String> = traces.iter().map(trace).collect();
    format!(r#"{{"data":[{}],"total":0,"limit":0,"offset":0,"errors":null}}"#, traces.join(","))
}

/// The same spans in each format, with its name.
pub(crate) fn all(spans: &[Span]) -> [(&'static str, String); 3] {
    [("OTLP", otlp(spans)), ("Zipkin", zipkin(spans)), ("Jaeger", jaeger(spans))]
}

/// A file with that content; it is gone at the end of the test.
pub(crate) struct Scratch(pub(crate) std::path::PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let name = format!("audit-{}-{name}", std::process::id());
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, content).expect("a file");
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("a path")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
