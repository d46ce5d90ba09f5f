//! Zipkin's JSON, version 2: a list of spans, or of traces.

use std::collections::HashMap;

use serde::Deserialize;

use super::{Facts, Number, new_span};
use crate::audit::store::{Kind, Store};

/// A member of the list.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a span of Zipkin's with traceId and id, or a list of them")]
pub(super) enum Entry {
    Trace(Vec<Span>),
    Span(Box<Span>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Span {
    trace_id: String,
    id: String,
    #[serde(default)]
    parent_id: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    timestamp: Number,
    #[serde(default)]
    duration: Number,
    #[serde(default)]
    local_endpoint: Option<Endpoint>,
    #[serde(default)]
    remote_endpoint: Option<Endpoint>,
    #[serde(default)]
    tags: Option<HashMap<String, String>>,
    #[serde(default)]
    shared: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    #[serde(default)]
    service_name: Option<String>,
}

impl Entry {
    pub(super) fn take(self, store: &mut Store) {
        match self {
            Self::Trace(spans) => spans.into_iter().for_each(|span| span.take(store)),
            Self::Span(span) => span.take(store),
        }
    }
}

impl Endpoint {
    fn name(endpoint: Option<&Self>) -> &str {
        endpoint.and_then(|endpoint| endpoint.service_name.as_deref()).unwrap_or_default()
    }
}

impl Span {
    fn take(self, store: &mut Store) {
        let service = store.name(Endpoint::name(self.local_endpoint.as_ref()));
        let parent = self.parent_id.as_deref().unwrap_or_default();
        let Some(mut span) = new_span([&self.trace_id, &self.id, parent], true, service, store) else {
            return;
        };
        let kind = self.kind.as_deref().map(Kind::of).unwrap_or_default();
        let mut facts = Facts { kind: Some(kind), ..Facts::default() };
        for (key, value) in self.tags.iter().flatten().filter(|(key, _)| *key != "span.kind") {
            facts.take(key, value, store);
        }
        facts.take("peer.service", Endpoint::name(self.remote_endpoint.as_ref()), store);
        facts.complete(&mut span);
        span.start = self.timestamp.0;
        span.end = span.start.saturating_add(self.duration.0);
        span.is_shared = self.shared == Some(true) && kind == Kind::Server;
        store.push(span);
    }
}
