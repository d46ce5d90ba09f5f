//! A plugin of the VM, as Envoy's configuration names it: the SDK's root context.

use core::cell::OnceCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, MapType, MetricType};
use tracewarden::config::{Config, Loaded, OnBadConfig};
use tracewarden::export::{Answer, Exporter};
use tracewarden::filter::Filter;
use tracewarden::headers::Headers;
use tracewarden::metrics::{Counter, Measure, Scope};
use tracewarden::settings::{Fault, Faults};

use crate::callback::Callback;
use crate::environment::Environment;
use crate::exchange::Exchange;
use crate::heartbeat::Heartbeat;
use crate::host;
use crate::stream_info::Expressions;
use crate::ticks::Ticks;
use crate::vm::Vm;
use crate::work::{Spans, Work, Working};

/// A plugin.
pub(crate) struct Plugin {
    vm: &'static Vm,
    /// The host's number of it.
    id: u32,
    work: Work,
    ticks: Rc<Ticks>,
    /// What its spans say beside their headers, once it exports some.
    expressions: OnceCell<Rc<Expressions>>,
    /// What says that the plugin runs, if a later mistake is to be refused only then.
    heartbeat: Option<Heartbeat>,
    /// The configuration that the host showed when it made the first plugin of the VM.
    announced: Option<Vec<u8>>,
}

/// What a configuration comes to.
enum Judgement {
    /// It is valid.
    Good(Box<Loaded>, Option<Heartbeat>),
    /// It is bad, and every request passes untouched.
    Bypassed(Vec<String>),
    /// It is bad, and the plugin does not take it.
    Refused(Vec<String>),
}

/// The highest number of bytes read of an answer. A collector only says how many spans it refused, and why.
const MAX_ANSWER: usize = 64 << 10;

impl Plugin {
    pub(crate) fn new(vm: &'static Vm, id: u32) -> Self {
        let announced =
            if vm.is_new() { vm.checked(host::announced_configuration()).flatten() } else { None };
        let ticks = Rc::new(Ticks::default());
        Self { vm, id, work: Work::Nothing, ticks, expressions: OnceCell::new(), heartbeat: None, announced }
    }

    /// Judges a configuration by the VM's environment, and by what runs.
    #[inline(never)]
    fn judge(&self, json: Result<&[u8], Vec<String>>) -> Judgement {
        let environment = Environment(self.vm.checked(host::environment()).unwrap_or_default());
        let variable = |name: &str| environment.get(name);
        let on_bad_config = match OnBadConfig::load(variable) {
            Ok(on_bad_config) => on_bad_config,
            Err(faults) => return Judgement::Refused(lines(faults)),
        };
        let heartbeat =
            if on_bad_config == OnBadConfig::Bypass { Some(Heartbeat::of_plugin(self.vm)) } else { None };
        let loaded = json.clone().and_then(|json| Config::load(json, variable).map_err(lines));
        match (loaded, heartbeat) {
            (Ok(loaded), heartbeat) => Judgement::Good(Box::new(loaded), heartbeat.flatten()),
            (Err(problems), None) => Judgement::Refused(problems),
            (Err(problems), Some(heartbeat)) => {
                // Envoy remembers what the VM said that it tries configurations in. A worker's must not say otherwise.
                let heartbeat = heartbeat.filter(|_| self.vm.is_new());
                if heartbeat.is_some_and(|heartbeat| heartbeat.refuses(json.unwrap_or_default(), self.vm)) {
                    let kept = "a good configuration of this plugin runs, and Envoy keeps it";
                    return Judgement::Refused(problems.into_iter().chain([kept.to_owned()]).collect());
                }
                Judgement::Bypassed(problems)
            }
        }
    }

    /// Has every request pass untouched.
    fn bypass(&mut self, problems: &[String]) {
        for problem in problems {
            log::error!("tracewarden: configuration refused, every request passes untouched: {problem}");
        }
        self.heartbeat = None;
        self.vm.define(self.vm.counters(None), vec![Counter::Bypassed]);
        self.work = Work::Bypass;
    }

    fn begin(&self, Loaded { config, notices }: Loaded) -> Work {
        notices.iter().for_each(|notice| log::warn!("tracewarden: ignored {notice}"));
        let counters = self.vm.counters(config.metrics.listener.as_deref());
        let expected = config.expected_counters(Scope::Destination);
        let destinations = match config.metrics.by {
            Some(by) => Some((by, expected)),
            None => {
                self.vm.define(counters, expected);
                None
            }
        };
        self.vm.define(counters, config.expected_counters(Scope::Listener));
        self.vm.define(self.vm.counters(None), config.expected_counters(Scope::Module));
        let enabled = Measure::Enabled { direction: config.request.direction };
        let gauge = counters.measure(enabled, MetricType::Gauge);
        self.vm.checked(gauge.and_then(|id| host::record(id, config.enabled.into())));
        if !config.enabled {
            return Work::Nothing;
        }
        let spans = config.export.as_ref().map(|export| {
            let resource = config.service.resource(&mut Callback::of_plugin(self.vm));
            Spans {
                outlet: self.vm.exporters().outlet(export, resource),
                expressions: self.expressions.get_or_init(|| Rc::new(Expressions::new(self.vm))).clone(),
                ticks: self.ticks.clone(),
            }
        });
        let shares = config.request.sampling.has_budget();
        let name = if shares { self.vm.plugin_name().unwrap_or_default() } else { String::new() };
        Work::Filter(Rc::new(Working { filter: Filter::new(config, &name), counters, destinations, spans }))
    }

    /// Asks for ticks as often as there is need of them. A plugin that exports nothing sends what another configuration has
    /// left.
    fn set_ticks(&self) {
        let exporters = self.vm.exporters();
        let of_heartbeat = self.heartbeat.as_ref().map_or(0, |_| Heartbeat::PERIOD_MS);
        if self.exports() || exporters.is_needed() {
            exporters.join(self.id);
            self.ticks.set(Exporter::TICK_MS, self.vm);
        } else {
            exporters.leave(self.id, &mut Callback::of_plugin(self.vm));
            self.ticks.set(of_heartbeat, self.vm);
        }
    }

    fn exports(&self) -> bool {
        matches!(&self.work, Work::Filter(working) if working.spans.is_some())
    }
}

/// Logs each fault in a line.
fn refuse(problems: &[String]) -> bool {
    for problem in problems {
        log::error!("tracewarden: configuration refused: {problem}");
    }
    false
}

fn lines(Faults(faults): Faults) -> Vec<String> {
    faults.iter().map(Fault::to_string).collect()
}

impl Context for Plugin {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, trailers: usize) {
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
        let host = &mut Callback::of_plugin(self.vm);
        self.vm.exporters().answered(token, self.id, has_come.then_some(answer), host);
    }
}

impl RootContext for Plugin {
    /// Envoy remembers that a plugin refused a configuration. If that is pushed again, Envoy refuses it without a word. It does
    /// not remember that a VM did not start. So a new VM with a bad configuration does not.
    fn on_vm_start(&mut self, _: usize) -> bool {
        match self.announced.take().map(|json| self.judge(Ok(&json))) {
            Some(Judgement::Refused(problems)) => refuse(&problems),
            Some(Judgement::Good(..) | Judgement::Bypassed(_)) | None => true,
        }
    }

    fn on_configure(&mut self, size: usize) -> bool {
        let json = host::plugin_configuration(size).map_err(|error| {
            self.vm.report(error);
            vec![error.to_string()]
        });
        let judgement = self.judge(json.as_deref().map_err(Clone::clone));
        self.vm.introduce();
        match judgement {
            Judgement::Good(loaded, heartbeat) => {
                self.heartbeat = heartbeat;
                self.work = self.begin(*loaded);
            }
            Judgement::Bypassed(problems) => self.bypass(&problems),
            Judgement::Refused(problems) => return refuse(&problems),
        }
        self.set_ticks();
        true
    }

    fn on_tick(&mut self) {
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.tick(self.vm);
        }
        self.vm.exporters().tick(self.id, &mut Callback::of_plugin(self.vm));
        self.set_ticks();
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
        self.vm.exporters().leave(self.id, &mut Callback::of_plugin(self.vm));
    }
}
