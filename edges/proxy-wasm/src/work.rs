//! What a plugin does with its streams.

use core::cell::Cell;
use std::rc::Rc;

use tracewarden::export::{Export, Exporter};
use tracewarden::filter::Filter;
use tracewarden::otlp::{Resource, Span};

use crate::callback::{Callback, OnPlugin};
use crate::counters::Counters;
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
    pub(crate) spans: Rc<Spans>,
    pub(crate) resource: Resource,
}

/// The spans of a plugin on their way, which streams add to and the plugin sends.
pub(crate) struct Spans {
    vm: &'static Vm,
    exporter: Cell<Exporter>,
}

impl Spans {
    /// No spans yet.
    pub(crate) fn new(vm: &'static Vm) -> Self {
        Self { vm, exporter: Cell::default() }
    }

    /// Takes the spans of a stream.
    pub(crate) fn take(&self, spans: Vec<Span>, export: &Export) {
        self.with_exporter(|exporter, host| exporter.take(spans, export, host));
    }

    /// Runs a function on the exporter, which is taken out meanwhile.
    pub(crate) fn with_exporter(&self, work: impl FnOnce(&mut Exporter, &mut Callback<OnPlugin>)) {
        let mut exporter = self.exporter.take();
        work(&mut exporter, &mut Callback::of_plugin(self.vm));
        self.exporter.set(exporter);
    }
}
