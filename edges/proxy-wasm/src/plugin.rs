//! A plugin of the VM, as Envoy's configuration names it: the SDK's root context.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, MapType, MetricType};
use tracewarden::config::{Config, Loaded, OnBadConfig};
use tracewarden::export::{Answer, Export, Exporter};
use tracewarden::filter::Filter;
use tracewarden::headers::Headers;
use tracewarden::metrics::{Counter, Measure, Scope};
use tracewarden::otlp::Resource;
use tracewarden::settings::{Fault, Faults};

use crate::callback::Callback;
use crate::environment::Environment;
use crate::exchange::Exchange;
use crate::heartbeat::Heartbeat;
use crate::host;
use crate::vm::Vm;
use crate::work::{Spans, Work, Working};

/// A plugin, with its waiting spans, which outlive a change of its configuration.
pub(crate) struct Plugin {
    vm: &'static Vm,
    work: Work,
    spans: Rc<Spans>,
    /// What says that the plugin runs, if a later mistake is to be refused only then.
    heartbeat: Option<Heartbeat>,
}

/// The highest number of bytes read of an answer. A collector only says how many spans it refused, and why.
const MAX_ANSWER: usize = 64 << 10;

impl Plugin {
    pub(crate) fn new(vm: &'static Vm) -> Self {
        Self { vm, work: Work::Nothing, spans: Rc::new(Spans::new(vm)), heartbeat: None }
    }

    /// Reads the plugin's configuration, which has `size` bytes, and the VM's environment.
    ///
    /// # Errors
    /// Every fault, one in a line.
    #[inline(never)]
    fn load(&mut self, size: usize, is_new: bool) -> Result<Work, Vec<String>> {
        let environment = Environment(self.vm.checked(host::environment()).unwrap_or_default());
        let variable = |name: &str| environment.get(name);
        let on_bad_config = OnBadConfig::load(variable).map_err(lines)?;
        let json = host::plugin_configuration(size).map_err(|error| {
            self.vm.report(error);
            vec![error.to_string()]
        });
        let loaded = match &json {
            Ok(json) => Config::load(json, variable).map_err(lines),
            Err(problems) => Err(problems.clone()),
        };
        let bypasses = on_bad_config == OnBadConfig::Bypass;
        let heartbeat = if bypasses { Heartbeat::of_plugin(self.vm) } else { None };
        match loaded {
            Ok(loaded) => {
                self.heartbeat = heartbeat;
                Ok(self.begin(loaded))
            }
            Err(problems) if bypasses => {
                // Envoy remembers what the VM said that it tries configurations in. A worker's must not say otherwise.
                let heartbeat = heartbeat.filter(|_| is_new);
                self.bypass(problems, heartbeat, &json.unwrap_or_default())
            }
            Err(problems) => Err(problems),
        }
    }

    /// Has every request pass untouched, unless a good configuration of this plugin runs, which Envoy then keeps.
    fn bypass(
        &mut self,
        problems: Vec<String>,
        heartbeat: Option<Heartbeat>,
        json: &[u8],
    ) -> Result<Work, Vec<String>> {
        if heartbeat.is_some_and(|heartbeat| heartbeat.refuses(json, self.vm)) {
            let kept = "a good configuration of this plugin runs, and Envoy keeps it";
            return Err(problems.into_iter().chain([kept.to_owned()]).collect());
        }
        for problem in problems {
            log::error!("tracewarden: configuration refused, every request passes untouched: {problem}");
        }
        self.heartbeat = None;
        self.vm.define(self.vm.counters(None), vec![Counter::Bypassed]);
        Ok(Work::Bypass)
    }

    fn begin(&self, Loaded { config, notices }: Loaded) -> Work {
        notices.iter().for_each(|notice| log::warn!("tracewarden: ignored {notice}"));
        let counters = self.vm.counters(config.metrics.listener.as_deref());
        self.vm.define(counters, config.expected_counters(Scope::Listener));
        self.vm.define(self.vm.counters(None), config.expected_counters(Scope::Module));
        let enabled = Measure::Enabled { direction: config.request.direction };
        let gauge = counters.measure(enabled, MetricType::Gauge);
        self.vm.checked(gauge.and_then(|id| host::record(id, config.enabled.into())));
        if !config.enabled {
            return Work::Nothing;
        }
        let resource = match config.export {
            Some(_) => config.service.resource(&mut Callback::of_plugin(self.vm)),
            None => Resource::default(),
        };
        let spans = self.spans.clone();
        Work::Filter(Rc::new(Working { filter: Filter::new(config), counters, spans, resource }))
    }

    /// Asks for ticks if there is something to export or a heartbeat, and drops the waiting spans if nothing is exported.
    fn begin_ticks(&self) {
        if let Some(tick_ms) = self.tick_ms() {
            self.vm.checked(host::set_tick_period(tick_ms));
        }
        if self.export().is_none() {
            self.spans.with_exporter(|exporter, host| exporter.abandon(host));
        }
    }

    /// How long a tick has to be, if there is need of ticks.
    fn tick_ms(&self) -> Option<u32> {
        let of_heartbeat = self.heartbeat.as_ref().map(|_| Heartbeat::PERIOD_MS);
        self.export().map(|_| Exporter::TICK_MS).or(of_heartbeat)
    }

    /// The destination of spans, and the resource that they belong to.
    fn export(&self) -> Option<(&Export, &Resource)> {
        match &self.work {
            Work::Filter(working) => Some((working.filter.config().export.as_ref()?, &working.resource)),
            Work::Nothing | Work::Bypass => None,
        }
    }
}

fn lines(Faults(faults): Faults) -> Vec<String> {
    faults.iter().map(Fault::to_string).collect()
}

impl Context for Plugin {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, trailers: usize) {
        let Some((export, resource)) = self.export() else { return };
        let map = |map, lines| match lines {
            0 => Headers::default(),
            _ => self.vm.checked(host::headers(map)).unwrap_or_default(),
        };
        let body = match body.min(MAX_ANSWER) {
            0 => None,
            size => self.vm.checked(host::buffer(BufferType::HttpCallResponseBody, size)).flatten(),
        };
        // Without headers there was no answer.
        let (has_come, headers) = (headers > 0, map(MapType::HttpCallResponseHeaders, headers));
        let trailers = map(MapType::HttpCallResponseTrailers, trailers);
        let answer =
            Answer { headers: &headers, body: body.as_deref().unwrap_or_default(), trailers: &trailers };
        self.spans.with_exporter(|exporter, host| {
            exporter.answered(token, has_come.then_some(answer), export, resource, host);
        });
    }
}

impl RootContext for Plugin {
    fn on_configure(&mut self, size: usize) -> bool {
        let is_new = self.vm.is_new();
        self.vm.introduce();
        match self.load(size, is_new) {
            Ok(work) => {
                self.work = work;
                self.begin_ticks();
                true
            }
            Err(problems) => {
                for problem in problems {
                    log::error!("tracewarden: configuration refused: {problem}");
                }
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.tick(self.tick_ms().unwrap_or(Heartbeat::PERIOD_MS), self.vm);
        }
        if let Some((export, resource)) = self.export() {
            self.spans.with_exporter(|exporter, host| exporter.tick(export, resource, host));
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Exchange::begin(self.vm, &self.work))
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.spans.with_exporter(|exporter, host| exporter.close(host));
    }
}
