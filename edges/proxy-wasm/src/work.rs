//! What a plugin does with its streams.

use std::rc::Rc;

use tracewarden::export::Outlet;
use tracewarden::filter::Filter;
use tracewarden::host::{Properties, PropertyValue};
use tracewarden::metrics::Counter;
use tracewarden::span::Span;
use tracewarden::words::CountBy;

use crate::callback::{Callback, OnRequest};
use crate::counters::Counters;
use crate::stream_info::Expressions;
use crate::ticks::Ticks;
use crate::vm::Vm;

/// What a plugin does with its streams.
#[derive(Clone, Default)]
pub(crate) enum Work {
    /// Nothing, because it has no configuration yet or is switched off.
    #[default]
    Nothing,
    /// It only counts, because its configuration is bad.
    Bypass,
    /// What the configuration says.
    Filter(Rc<Working>),
}

/// A configuration at work.
pub(crate) struct Working {
    pub(crate) filter: Filter,
    pub(crate) counters: &'static Counters,
    /// What those of one destination begin with, if requests are counted by where they go.
    pub(crate) destinations: Option<(CountBy, Vec<Counter>)>,
    /// The way of the spans, if they are exported.
    pub(crate) spans: Option<Spans>,
}

/// Where the streams of a plugin leave their spans, and what is needed for that.
pub(crate) struct Spans {
    pub(crate) outlet: Outlet,
    pub(crate) expressions: Rc<Expressions>,
    pub(crate) ticks: Rc<Ticks>,
}

impl Working {
    /// The counters of a request that has arrived.
    #[inline]
    pub(crate) fn counters_of_request(&self, vm: &'static Vm) -> &'static Counters {
        match &self.destinations {
            None => self.counters,
            Some((by, expected)) => self.counters_of_destination(*by, expected, vm),
        }
    }

    #[inline(never)]
    fn counters_of_destination(
        &self,
        by: CountBy,
        expected: &[Counter],
        vm: &'static Vm,
    ) -> &'static Counters {
        let host = &mut Callback::new(vm, self.counters, OnRequest);
        let name = host.property(by.property()).and_then(PropertyValue::text).unwrap_or_default();
        let (counters, is_new) = self.counters.of_destination(by, &name, host);
        if is_new {
            vm.define(counters, expected.to_vec());
        }
        counters
    }
}

impl Spans {
    /// Takes a span of a stream that has ended, and has a batch sent that is full. Spans are counted for the VM, not for the
    /// stream's listener.
    pub(crate) fn take(&self, span: &Span<'_>, vm: &'static Vm) {
        let mut exporter = self.outlet.exporter();
        exporter.take(span, &mut Callback::of_plugin(vm));
        if exporter.is_due(span.ended) {
            self.ticks.wake(vm);
        }
    }
}
