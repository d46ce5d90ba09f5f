//! A collector for OTLP over HTTP that keeps every span, and answers what the test says.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use crate::uploads::{self as otlp, Span};
pub(crate) use crate::uploads::{hex, spans_of};

use super::bootstrap::cluster;
use super::envoy::Envoy;
use super::http1::Message;
use super::upstream::{Upstream, ok};
use super::{PATIENCE, wait_for};

pub(crate) struct Collector(Upstream);

impl Collector {
    /// Takes everything.
    pub(crate) fn start() -> Self {
        Self::answering(|_| ok(&[("content-type", b"application/x-protobuf")]))
    }

    pub(crate) fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self(Upstream::answering(answer))
    }

    /// Its cluster, `collector`.
    pub(crate) fn cluster(&self) -> Value {
        cluster("collector", self.0.port)
    }

    /// The spans that arrive until there are so many.
    pub(crate) fn wait_for(&self, number: usize) -> Vec<Span> {
        let (begin, mut spans) = (Instant::now(), Vec::new());
        while spans.len() < number {
            assert!(begin.elapsed() < PATIENCE, "{} of {number} spans: {spans:#?}", spans.len());
            spans.extend(self.0.take().iter().flat_map(|upload| spans_of(&upload.body)));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        spans.sort_by_key(|span| span.start_time_unix_nano);
        assert_eq!(spans.len(), number, "{spans:#?}");
        spans
    }

    /// The uploads since the last call.
    pub(crate) fn uploads(&self) -> Vec<Message> {
        self.0.take()
    }
}

/// The configuration of a plugin that exports to `collector` as soon as it can, with these fields.
pub(crate) fn exporting(fields: &str) -> String {
    format!(r#"{{"export": {{"otlp": {{"cluster": "collector"}}, "delay_ms": 1}}, {fields}}}"#)
}

/// The attributes of a span, numbers as their digits.
pub(crate) fn attributes(span: &Span) -> BTreeMap<String, String> {
    let value = |attribute: &otlp::KeyValue| match attribute.value.as_ref().and_then(|v| v.value.as_ref()) {
        Some(otlp::Value::Text(text)) => text.clone(),
        Some(otlp::Value::Number(number)) => number.to_string(),
        None => String::new(),
    };
    span.attributes.iter().map(|attribute| (attribute.key.clone(), value(attribute))).collect()
}

/// Waits until every span that was recorded has arrived or is dropped, and returns the number of each.
pub(crate) fn wait_until_accounted(envoy: &Envoy, recorded: u64) -> BTreeMap<String, u64> {
    wait_for("every span to arrive or to be dropped", || {
        let counters = envoy.counters();
        let is_end = |name: &str| name == "spans_exported" || name.starts_with("spans_dropped");
        let ended: u64 = counters.iter().filter(|(name, _)| is_end(name)).map(|(_, count)| count).sum();
        (counters.get("spans_recorded") == Some(&recorded) && ended == recorded)
            .then(|| counters.into_iter().filter(|(name, _)| is_end(name)).collect())
    })
}
