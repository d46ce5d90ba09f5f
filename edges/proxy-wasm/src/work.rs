//! What a plugin does with its streams.

use std::rc::Rc;

use tracewarden::export::Outlet;
use tracewarden::filter::Filter;
use tracewarden::span::Span;

use crate::callback::Callback;
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
    /// The way of the spans, if they are exported.
    pub(crate) spans: Option<Spans>,
}

/// Where the streams of a plugin leave their spans, and what is needed for that.
pub(crate) struct Spans {
    pub(crate) outlet: Outlet,
    pub(crate) expressions: Rc<Expressions>,
    pub(crate) ticks: Rc<Ticks>,
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
