//! What the attributes, or tags, of a span say.

use crate::audit::store::{Kind, Marks, Name, Span, Store};

/// What is known so far.
#[derive(Default)]
pub(super) struct Facts {
    kind: Kind,
    request: u64,
    peer: Option<Name>,
    host: Option<Name>,
    pub(super) marks: Marks,
}

impl Facts {
    pub(super) fn take(&mut self, key: &str, value: &str, store: &mut Store) {
        match key {
            "span.kind" => self.kind = Kind::of(value),
            "guid:x-request-id"
            | "x-request-id"
            | "http.request.header.x-request-id"
            | "http.request.header.x_request_id" => {
                // A header's attribute is a list, and Jaeger shows a list as JSON.
                let id = value.trim_matches(['[', ']', '"']);
                self.request = if id.is_empty() { 0 } else { store.hash(id) };
            }
            "peer.service" => self.peer = Some(store.name(value)),
            "server.address" | "net.peer.name" => self.host = Some(store.host(value)),
            "url.full" | "http.url" | "http.host" => {
                self.host = self.host.or_else(|| Some(store.host(value)))
            }
            // Istio names clusters so: direction|port|subset|host.
            "upstream_cluster" | "upstream_cluster.name" => {
                let host = value.rsplit_once('|').map(|(_, host)| store.host(host));
                self.host = self.host.filter(|host| host.is_some()).or(host);
            }
            // OpenTracing's and OpenTelemetry's Jaeger samplers write it where they decide.
            "sampler.type" => self.marks.add(Marks::DECIDES),
            "component" if value == "proxy" => self.marks.add(Marks::BY_ENVOY),
            _ if key.starts_with("http.request.header.x-envoy-") => self.marks.add(Marks::THROUGH_ENVOY),
            _ => {}
        }
    }

    /// Adds them to a span.
    pub(super) fn complete(&self, span: &mut Span) {
        if span.kind == Kind::Unknown {
            span.kind = self.kind;
        }
        span.request = self.request;
        // The address in a server's span is its own.
        let host = self.host.filter(|_| !span.kind.is_entry());
        let peer = self.peer.filter(|name| name.is_some()).or(host);
        span.peer = span.peer.or(peer.unwrap_or(Name::NONE));
        for mark in [Marks::DECIDES, Marks::BY_ENVOY, Marks::THROUGH_ENVOY] {
            if self.marks.has(mark) {
                span.marks.add(mark);
            }
        }
    }
}
