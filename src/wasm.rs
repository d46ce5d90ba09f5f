//! The edge: proxy-wasm's contexts, and what the core asks of the host.

mod environment;
mod host;
mod logger;
mod seam;
mod vm;

use std::cell::Cell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use self::environment::Environment;
use self::host::{Failed, HeaderMap};
use self::seam::{Changes, HostFacts};
use crate::config::{Config, Loaded, OnBadConfig};
use crate::headers::Malformed;
use crate::metrics::{Counter, HostCall};
use crate::pass::{self, Stream};
use crate::sampling::TokenBucket;

proxy_wasm::main! {{
    logger::start();
    proxy_wasm::set_root_context(|_| Box::new(Plugin { work: Work::Nothing }));
}}

/// One plugin of the VM, as Envoy's configuration names it.
struct Plugin {
    work: Work,
}

/// What a plugin does with its streams.
#[derive(Clone)]
enum Work {
    /// Nothing: it has no configuration yet, or is switched off.
    Nothing,
    /// Nothing but count, because its configuration is bad.
    Bypass,
    /// What the configuration says.
    Filter(Rc<Filter>),
}

/// A plugin that works: its configuration, and what of its rate is left on this worker.
struct Filter {
    config: Config,
    bucket: Cell<TokenBucket>,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_configure(&mut self, size: usize) -> bool {
        match load(size) {
            Ok(work) => {
                self.work = work;
                true
            }
            Err(problem) => {
                log::error!("tracewarden: configuration refused: {problem}");
                false
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http { work: self.work.clone(), stream: Stream::Untouched }))
    }
}

/// Reads the plugin's configuration and the VM's environment.
fn load(size: usize) -> Result<Work, String> {
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
            vm::define(Counter::expected(&config));
            Ok(if config.enabled {
                Work::Filter(Rc::new(Filter { config, bucket: Cell::new(TokenBucket::FULL) }))
            } else {
                Work::Nothing
            })
        }
        Err(problem) if on_bad_config == OnBadConfig::Bypass => {
            log::error!("tracewarden: configuration refused, every request passes untouched: {problem}");
            vm::define(vec![Counter::Bypassed]);
            Ok(Work::Bypass)
        }
        Err(problem) => Err(problem),
    }
}

/// A request and its response.
struct Http {
    work: Work,
    stream: Stream,
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        match &self.work {
            Work::Nothing => {}
            Work::Bypass => vm::count(Counter::Bypassed),
            Work::Filter(filter) => match request(filter) {
                Ok(stream) => self.stream = stream,
                Err(failed) => vm::report(failed),
            },
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if let Work::Filter(filter) = &self.work {
            let config = &filter.config;
            let (mut facts, mut changes) =
                (HostFacts::new(filter), Changes { map: HeaderMap::Response, config });
            if let Err(Malformed) = pass::response(config, self.stream, &mut facts, &mut changes) {
                vm::report(MALFORMED);
            }
        }
        Action::Continue
    }
}

fn request(filter: &Filter) -> Result<Stream, Failed> {
    let headers = host::headers(HeaderMap::Request)?;
    let config = &filter.config;
    let (mut facts, mut changes) = (HostFacts::new(filter), Changes { map: HeaderMap::Request, config });
    pass::request(config, &headers, &mut facts, &mut changes).map_err(|Malformed| MALFORMED)
}

/// The host's headers are no header map.
const MALFORMED: Failed = Failed { call: HostCall::GetHeaders, status: host::OK };
