//! The edge: proxy-wasm's contexts, and what the core asks of the host.

mod host;
mod logger;
mod seam;
mod vm;

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use self::host::{Failed, HeaderMap};
use self::seam::{Changes, HostFacts};
use crate::config::Config;
use crate::headers::{Headers, Malformed};
use crate::metrics::HostCall;
use crate::pass::{self, Stream};

proxy_wasm::main! {{
    logger::start();
    proxy_wasm::set_root_context(|_| Box::new(Plugin { config: None }));
}}

/// One plugin of the VM, as Envoy's configuration names it.
struct Plugin {
    /// `None` until Envoy has handed over a valid configuration.
    config: Option<Rc<Config>>,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_configure(&mut self, size: usize) -> bool {
        match read_config(size) {
            Ok(config) => {
                vm::define_counters(&config);
                self.config = Some(Rc::new(config));
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
        let config = self.config.clone().filter(|config| config.enabled);
        Some(Box::new(Http { config, stream: Stream::Untouched }))
    }
}

fn read_config(size: usize) -> Result<Config, String> {
    let json = host::plugin_configuration(size).map_err(|failed| failed.to_string())?;
    Config::parse(&json).map_err(|error| error.to_string())
}

/// A request and its response.
struct Http {
    /// `None` if there is nothing to do.
    config: Option<Rc<Config>>,
    stream: Stream,
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if let Some(config) = &self.config {
            match request(config) {
                Ok(stream) => self.stream = stream,
                Err(failed) => vm::report(failed),
            }
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if let Some(config) = &self.config {
            let (mut facts, mut changes) = (HostFacts::default(), Changes(HeaderMap::Response));
            pass::response(config, self.stream, &mut facts, &mut changes);
        }
        Action::Continue
    }
}

fn request(config: &Config) -> Result<Stream, Failed> {
    let serialized = host::headers(HeaderMap::Request)?;
    let headers = Headers::scan(&serialized)
        .map_err(|Malformed| Failed { call: HostCall::GetHeaders, status: host::OK })?;
    let (mut facts, mut changes) = (HostFacts::default(), Changes(HeaderMap::Request));
    Ok(pass::request(config, &headers, &mut facts, &mut changes))
}
