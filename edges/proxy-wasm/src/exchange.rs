//! A request and its response: the SDK's stream context.

use core::mem::take;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};
use tracewarden::filter::StreamContext;
use tracewarden::hop::HopSide;
use tracewarden::metrics::{Counter, Measure, Pass};

use crate::callback::{Callback, OnEnd, OnRequest, OnResponse, OnTrailers};
use crate::counters::Counters;
use crate::host;
use crate::vm::Vm;
use crate::work::Work;

/// A request and its response, under the configuration of the moment at which they began.
pub(crate) struct Exchange {
    vm: &'static Vm,
    work: Work,
    stream: StreamContext,
    /// What counts it, once it has arrived.
    counters: Option<&'static Counters>,
    is_answered: bool,
    is_ended: bool,
}

impl Exchange {
    /// A stream that does this.
    pub(crate) fn begin(vm: &'static Vm, work: &Work) -> Box<dyn HttpContext> {
        let (stream, counters) = (StreamContext::default(), None);
        let exchange = |work| Self { vm, work, stream, counters, is_answered: false, is_ended: false };
        match work {
            Work::Filter(working) if working.filter.config().hop != HopSide::Neither => {
                Box::new(Audited(exchange(work.clone())))
            }
            Work::Filter(working) => Box::new(exchange(Work::Filter(working.clone()))),
            Work::Nothing | Work::Bypass => Box::new(exchange(work.clone())),
        }
    }
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        match &self.work {
            Work::Nothing => {}
            Work::Bypass => self.vm.count(Counter::Bypassed, 1),
            Work::Filter(working) => self.vm.timed(Measure::PassDuration { pass: Pass::Request }, || {
                if let Some(headers) = self.vm.checked(host::headers(MapType::HttpRequestHeaders)) {
                    let counters = working.counters_of_request(self.vm);
                    self.counters = Some(counters);
                    let host = &mut Callback::new(self.vm, counters, OnRequest);
                    self.stream = working.filter.request(&headers, host);
                }
            }),
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.is_answered = true;
        if let Work::Filter(working) = &self.work {
            let counters = self.counters.unwrap_or(working.counters);
            let host = &mut Callback::new(self.vm, counters, OnResponse);
            self.vm.timed(Measure::PassDuration { pass: Pass::Response }, || {
                working.filter.response(&mut self.stream, host)
            });
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        if let Work::Filter(working) = &self.work {
            let host = &mut Callback::new(self.vm, working.counters, OnTrailers);
            working.filter.trailers(&mut self.stream, host);
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        self.is_ended = true;
        let Work::Filter(working) = &self.work else { return };
        let expressions = working.spans.as_ref().map(|spans| &*spans.expressions);
        let counters = self.counters.unwrap_or(working.counters);
        let host = &mut Callback::new(self.vm, counters, OnEnd(expressions));
        working.filter.ended(&self.stream, host);
        if !self.is_answered {
            working.filter.unanswered(&self.stream, host);
        }
        if let (stream @ StreamContext::Spanned(..), Some(spans)) = (take(&mut self.stream), &working.spans) {
            working.filter.finish(stream, host, |span, _| spans.take(span, self.vm));
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let (Work::Filter(working), false) = (&self.work, self.is_ended) {
            let host = &mut Callback::new(self.vm, working.counters, OnEnd(None));
            working.filter.abandoned(&self.stream, host);
        }
    }
}

/// The same with the hop audit. It is a type of its own, so that no other stream pays for it.
struct Audited(Exchange);

impl Context for Audited {}

impl HttpContext for Audited {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let Exchange { vm, work, stream, counters, .. } = &mut self.0;
        if let Work::Filter(working) = work {
            vm.timed(Measure::PassDuration { pass: Pass::Request }, || {
                if let Some(headers) = vm.checked(host::headers(MapType::HttpRequestHeaders)) {
                    let of_request = working.counters_of_request(vm);
                    *counters = Some(of_request);
                    let host = &mut Callback::new(vm, of_request, OnRequest);
                    *stream = working.filter.audited_request(&headers, host);
                }
            });
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, headers: usize, is_end: bool) -> Action {
        self.0.on_http_response_headers(headers, is_end)
    }

    fn on_http_response_trailers(&mut self, trailers: usize) -> Action {
        self.0.on_http_response_trailers(trailers)
    }

    fn on_log(&mut self) {
        self.0.on_log();
    }
}
