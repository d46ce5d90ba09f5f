//! The response pass: what the upstream says of the trace that it served, and what the caller is given.

mod inject;
mod upstream;

pub use inject::{Injection, TraceIdHeader};

use self::upstream::{Answer, metric_context};
use crate::headers::{HeaderWriter, Headers, Refused, SERVER_TIMING, TRACEPARENT, TRACERESPONSE, ignore};
use crate::host::{HeaderReader, Metrics};
use crate::metrics::Counter;
use crate::request::Policy;
use crate::settings::settings;
use crate::w3c::{TraceMetric, TraceParent, without_metrics};
use crate::words::{Mode, ResponseHeader, Role, UpstreamContext, When};

settings! {
    /// The context that the upstream answers with, and the one that the caller is given.
    pub struct Response "Response" {
        /// Whether the context on the upstream's response is compared with the request's, and counted. A header or metric that
        /// is there twice is `corrupt`. It costs one look at the response's headers, and another one if a context is there.
        pub validate: bool = true,
        /// What happens to the context that the upstream put on its response: the headers `traceparent`, its name in the field
        /// `header`, `traceresponse`, a trace id header of `inject`, and the entries `traceparent` and `trace` in `Server-Timing`.
        /// It applies to every response, also if the request is excluded or has no context. An ambiguous line of `Server-Timing`
        /// is removed if the letters `trace` are in it. `mode: observe` removes nothing.
        pub upstream: UpstreamContext = UpstreamContext::Auto,
        /// The headers that give the caller the context of its request, such as `["server-timing"]` or
        /// `["traceparent", {"header": "x-trace-id"}]`. `[]` is none. Each costs one write.
        pub inject: Vec<Injection> = vec![Injection::Context(ResponseHeader::Traceparent)],
        /// Which responses carry the context.
        pub when: When = When::Always,
    }
}

/// What the response is compared with, and who receives it.
#[derive(Clone, Copy)]
pub(crate) struct Served {
    /// The context that the upstream was sent.
    pub(crate) sent: TraceParent,
    /// Whether the caller sent a valid context with a parent-id.
    pub(crate) participates: bool,
}

/// A response on its way, and what is to become of it.
struct Passing<'a> {
    response: &'a Response,
    /// The name of the `traceparent` header.
    header: &'a str,
    headers: &'a Headers,
    /// Whether the caller must not receive what the upstream says.
    removes: bool,
    /// The context that the caller is given.
    told: Option<[u8; TraceParent::LEN]>,
}

impl Response {
    /// Compares what the response says with the context that the upstream was sent, removes what the caller must not
    /// receive, and puts the context on the response. Returns what it says, if that is another trace.
    pub(crate) fn pass(
        &self,
        policy: &Policy,
        served: Option<Served>,
        host: &mut (impl HeaderReader + HeaderWriter + Metrics),
    ) -> Option<TraceParent> {
        if self.removes(policy) || served.is_some() && self.inject.iter().any(Injection::needs_headers) {
            self.pass_all(policy, served, host)
        } else {
            self.pass_traceparent(policy, served?, host)
        }
    }

    /// The pass for a configuration that concerns no header but those which are written whole, as by default.
    #[inline]
    fn pass_traceparent(
        &self,
        policy: &Policy,
        served: Served,
        host: &mut (impl HeaderReader + HeaderWriter + Metrics),
    ) -> Option<TraceParent> {
        let (header, Served { sent, .. }) = (&*policy.header, served);
        let (mut there, mut named) = (None, None);
        if self.validate {
            let (answer, line) = Answer::of_traceparent(header, host).ok()?;
            host.count(Counter::Response { context: answer.compare(sent) }, 1);
            (there, named) = (line, answer.other_than(sent));
        }
        if policy.mode == Mode::Observe || !self.tells(served) {
            return named;
        }
        for injection in &self.inject {
            if let Injection::TraceId(name) = injection {
                ignore(host.set(name, &sent.trace_id.to_hex()));
            } else {
                let context = sent.to_bytes();
                if there.as_deref().and_then(<[u8]>::as_array) != Some(&context) {
                    ignore(host.set(header, &context));
                }
            }
        }
        named
    }

    /// The pass for a configuration that concerns more of the response's headers.
    #[inline(never)]
    fn pass_all(
        &self,
        policy: &Policy,
        served: Option<Served>,
        host: &mut (impl HeaderReader + HeaderWriter + Metrics),
    ) -> Option<TraceParent> {
        let (header, removes) = (&*policy.header, self.removes(policy));
        let Ok(headers) = host.headers() else {
            if removes {
                self.remove_unseen(header, host);
            }
            return None;
        };
        let mut named = None;
        if let Some(Served { sent, .. }) = served.filter(|_| self.validate) {
            let answer = Answer::of(&headers, header);
            host.count(Counter::Response { context: answer.compare(sent) }, 1);
            named = answer.other_than(sent);
        }
        if policy.mode == Mode::Enforce {
            let told = served.filter(|served| self.tells(*served)).map(|served| served.sent.to_bytes());
            let passing = Passing { response: self, header, headers: &headers, removes, told };
            passing.write_headers(host);
            passing.write_server_timing(host);
        }
        named
    }

    /// Whether what the upstream says goes.
    fn removes(&self, policy: &Policy) -> bool {
        let removes = match self.upstream {
            UpstreamContext::Auto => policy.role == Role::Edge,
            UpstreamContext::Keep => false,
            UpstreamContext::Remove => true,
        };
        removes && policy.mode == Mode::Enforce
    }

    fn tells(&self, served: Served) -> bool {
        match self.when {
            When::Always => true,
            When::Sampled => served.sent.flags.is_sampled(),
            When::Participating => served.participates,
        }
    }

    /// Removes what may be there, because the host does not show what is. The other metrics go too: they are no part of
    /// the answer.
    #[cold]
    fn remove_unseen(&self, header: &str, host: &mut impl HeaderWriter) {
        let names = self.names(header).chain([SERVER_TIMING]);
        names.for_each(|name| ignore(host.remove(name)));
    }

    /// The names of all headers that can say a trace's ids, but `Server-Timing`.
    fn names<'a>(&'a self, header: &'a str) -> impl Iterator<Item = &'a str> {
        let renamed = Some(header).filter(|header| *header != TRACEPARENT);
        let trace_ids = self.inject.iter().filter_map(Injection::trace_id_header);
        [TRACEPARENT, TRACERESPONSE].into_iter().chain(renamed).chain(trace_ids)
    }
}

impl Passing<'_> {
    /// Every header but `Server-Timing`.
    fn write_headers(&self, host: &mut impl HeaderWriter) {
        let Self { response, header, .. } = *self;
        if let Some(context) = &self.told {
            for injection in &response.inject {
                match (injection, injection.header(header)) {
                    (Injection::TraceId(name), _) => {
                        self.set(name, context.get(3..35).unwrap_or_default(), host);
                    }
                    (Injection::Context(_), Some(name)) => self.set(name, context, host),
                    (Injection::Context(_), None) => {}
                }
            }
        }
        if self.removes {
            let is_told = |name: &&str| {
                self.told.is_some() && response.inject.iter().any(|one| one.header(header) == Some(*name))
            };
            let names = response.names(header).filter(|name| !is_told(name));
            names.for_each(|name| self.headers.remove(name, host));
        }
    }

    /// Makes this the header's only line, unless it is.
    fn set(&self, name: &str, value: &[u8], host: &mut impl HeaderWriter) {
        let lines = self.headers.lines(name);
        let is_there = lines.first() == Some(value) && !lines.is_repeated();
        if !is_there && host.set(name, value).is_err() && self.removes {
            self.headers.remove(name, host);
        }
    }

    /// `Server-Timing` keeps the metrics of others, and has one metric of ours of each name.
    fn write_server_timing(&self, host: &mut impl HeaderWriter) {
        if self.removes && self.headers.has(SERVER_TIMING)
            || TraceMetric::ALL.into_iter().any(|one| self.writes(one))
        {
            let there = |metric| metric_context(self.headers, metric);
            let gone = TraceMetric::ALL.map(|metric| {
                let is_gone =
                    self.removes || self.writes(metric) && there(metric).is_some_and(|one| one.is_err());
                is_gone.then_some(metric)
            });
            let is_added = |one: &TraceMetric| {
                self.writes(*one) && (gone.contains(&Some(*one)) || there(*one).is_none())
            };
            let added = self.told.iter().flat_map(|context| {
                TraceMetric::ALL.into_iter().filter(is_added).map(|metric| metric.line(context))
            });
            self.write_lines(gone.into_iter().flatten(), &added.collect::<Vec<_>>(), host);
        }
    }

    /// Whether the caller is given a metric of this name.
    fn writes(&self, metric: TraceMetric) -> bool {
        self.told.is_some() && self.response.inject.iter().any(|one| one.metric() == Some(metric))
    }

    /// Adds lines to `Server-Timing`, and takes metrics of these names out of it.
    fn write_lines(
        &self,
        gone: impl Iterator<Item = TraceMetric> + Clone,
        added: &[Vec<u8>],
        host: &mut impl HeaderWriter,
    ) {
        let (mut left, mut changed) = (Vec::new(), false);
        if gone.clone().next().is_some() {
            for line in self.headers.lines(SERVER_TIMING).iter() {
                let rest = without_metrics(line, gone.clone());
                changed |= rest.as_deref() != Some(line);
                left.extend(rest);
            }
        }
        if !changed {
            added.iter().for_each(|line| ignore(host.add(SERVER_TIMING, line)));
            return;
        }
        let mut lines = left.iter().map(|line| &**line).chain(added.iter().map(Vec::as_slice));
        let first = lines.next().map(|line| host.set(SERVER_TIMING, line));
        match first {
            Some(Ok(())) => lines.for_each(|line| ignore(host.add(SERVER_TIMING, line))),
            Some(Err(Refused)) if !self.removes => {}
            None | Some(Err(Refused)) => ignore(host.remove(SERVER_TIMING)),
        }
    }
}
