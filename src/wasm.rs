//! The edge: proxy-wasm's contexts, and what the core asks of the host.

mod abi;
mod build_info;
mod callbacks;
mod counters;
mod environment;
mod host;
mod logger;
mod seam;
mod uploads;
mod vm;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use self::abi::MapType;
use self::counters::Counters;
use self::environment::Environment;
use self::host::Failed;
use self::seam::{Changes, HostFacts};
use self::uploads::Uploads;
use crate::config::{Config, Loaded, OnBadConfig};
use crate::headers::Malformed;
use crate::metrics::{Counter, HostCall, Measure};
use crate::otlp::Resource;
use crate::pass::{self, Stream};
use crate::sampling::TokenBucket;

/// One plugin of the VM, as Envoy's configuration names it.
#[derive(Default)]
struct Plugin {
    work: RefCell<Work>,
    uploads: Rc<Uploads>,
}

/// What a plugin does with its streams.
#[derive(Clone, Default)]
enum Work {
    /// Nothing: it has no configuration yet, or is switched off.
    #[default]
    Nothing,
    /// Nothing but count, because its configuration is bad.
    Bypass,
    /// What the configuration says.
    Filter(Rc<Filter>),
}

/// A plugin that works: its configuration, its counters, what of its rates is left on this worker, and the spans that it
/// exports.
struct Filter {
    config: Config,
    counters: &'static Counters,
    bucket: Cell<TokenBucket>,
    error_bucket: Cell<TokenBucket>,
    resource: Resource,
    uploads: Rc<Uploads>,
}

impl Plugin {
    /// Takes a configuration of that many octets, or refuses it.
    fn configure(&self, size: usize) -> bool {
        vm::introduce();
        match load(size, &self.uploads) {
            Ok(work) => {
                self.begin_export(&work);
                self.work.replace(work);
                true
            }
            Err(problem) => {
                log::error!("tracewarden: configuration refused: {problem}");
                false
            }
        }
    }

    /// Asks for ticks where there is something to export, and gives up what waits where there no longer is.
    fn begin_export(&self, work: &Work) {
        match work {
            Work::Filter(filter) if filter.config.export.is_some() => {
                if let Err(failed) = host::set_tick_period(uploads::TICK_MS) {
                    vm::report(failed);
                }
            }
            Work::Filter(_) | Work::Bypass | Work::Nothing => self.uploads.abandon(),
        }
    }

    /// Begins a stream, which keeps to the configuration of this moment.
    fn stream(&self) -> Http {
        Http { work: self.work.borrow().clone(), stream: Cell::default() }
    }

    fn tick(&self) {
        let work = self.work.borrow().clone();
        if let Work::Filter(filter) = work {
            uploads::turn(&filter);
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.uploads.close();
    }
}

/// Reads the plugin's configuration and the VM's environment.
fn load(size: usize, uploads: &Rc<Uploads>) -> Result<Work, String> {
    let environment = Environment::read();
    let variable = |name: &str| environment.get(name);
    let on_bad_config = OnBadConfig::load(variable).map_err(|error| error.to_string())?;
    let json = host::plugin_configuration(size).map_err(|failed| {
        vm::report(failed);
        failed.to_string()
    });
    match json.and_then(|json| Config::load(&json, variable).map_err(|error| error.to_string())) {
        Ok(Loaded { config, notices }) => {
            notices.iter().for_each(|notice| log::warn!("tracewarden: {notice}"));
            let counters = Counters::of(config.listener.as_deref());
            counters.define(Counter::expected(&config));
            Counters::of(None).define(Counter::expected_of_export(&config));
            Ok(if config.enabled {
                Work::Filter(Rc::new(Filter::new(config, counters, uploads.clone())))
            } else {
                Work::Nothing
            })
        }
        Err(problem) if on_bad_config == OnBadConfig::Bypass => {
            log::error!("tracewarden: configuration refused, every request passes untouched: {problem}");
            Counters::of(None).define(vec![Counter::Bypassed]);
            Ok(Work::Bypass)
        }
        Err(problem) => Err(problem),
    }
}

impl Filter {
    fn new(config: Config, counters: &'static Counters, uploads: Rc<Uploads>) -> Self {
        let resource = match config.export {
            Some(_) => config.service.resource(|path| {
                seam::property(path).map(|value| String::from_utf8_lossy(&value).into_owned())
            }),
            None => Resource::default(),
        };
        let full = || Cell::new(TokenBucket::FULL);
        Self { config, counters, bucket: full(), error_bucket: full(), resource, uploads }
    }
}

/// A request and its response.
struct Http {
    work: Work,
    stream: Cell<Stream>,
}

impl Http {
    fn request(&self) {
        match &self.work {
            Work::Nothing => {}
            Work::Bypass => vm::count(Counter::Bypassed, 1),
            Work::Filter(filter) => match vm::timed(Measure::RequestPass, || request(filter)) {
                Ok(stream) => self.stream.set(stream),
                Err(failed) => vm::report(failed),
            },
        }
    }

    fn response(&self) {
        let Work::Filter(filter) = &self.work else { return };
        let config = &filter.config;
        let mut stream = self.stream.take();
        let (mut facts, mut changes) =
            (HostFacts::new(filter), Changes { map: MapType::ResponseHeaders, filter });
        let passed = vm::timed(Measure::ResponsePass, || {
            pass::response(config, &mut stream, &mut facts, &mut changes)
        });
        if let Err(Malformed) = passed {
            vm::report(MALFORMED);
        }
        self.stream.set(stream);
    }

    /// Records the spans of the stream, which has ended.
    fn finish(&self) {
        let (Work::Filter(filter), stream @ Stream::Spanned(..)) = (&self.work, self.stream.take()) else {
            return;
        };
        let config = &filter.config;
        let Some(export) = &config.export else { return };
        let (mut facts, mut changes) =
            (HostFacts::new(filter), Changes { map: MapType::ResponseHeaders, filter });
        match pass::finish(config, stream, &mut facts, &mut changes) {
            Ok(spans) => filter.uploads.take(spans, export),
            Err(Malformed) => vm::report(MALFORMED),
        }
    }
}

fn request(filter: &Filter) -> Result<Stream, Failed> {
    let headers = host::headers(MapType::RequestHeaders)?;
    let config = &filter.config;
    let (mut facts, mut changes) = (HostFacts::new(filter), Changes { map: MapType::RequestHeaders, filter });
    pass::request(config, &headers, &mut facts, &mut changes).map_err(|Malformed| MALFORMED)
}

/// The host's headers are no header map.
const MALFORMED: Failed = Failed { call: HostCall::GetHeaders, status: host::OK };
