//! A plugin's configuration as the filter reads it: alone, or wherever a whole Envoy configuration has one.

mod bootstrap;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use tracewarden::config::{Config, Loaded};
use tracewarden::settings::{Fault, Faults};

use self::bootstrap::{Bootstrap, Plugin, Tracer};
use crate::{Said, open};

/// What is validated.
#[derive(Args)]
pub(crate) struct Options {
    /// The JSON that goes into `configuration` (Envoy) or `pluginConfig` (Istio), or an Envoy configuration; `-` is standard
    /// input.
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
}

/// Checks what is in a file: an Envoy configuration, or a plugin's.
pub(crate) fn check(file: &Path) -> Result<Said, String> {
    let mut bytes = Vec::new();
    let read = open(file).and_then(|mut file| file.read_to_end(&mut bytes));
    read.map_err(|error| format!("{}: {error}", file.display()))?;
    match Bootstrap::of(&bytes) {
        Some(bootstrap) => {
            check_bootstrap(&bootstrap).map_err(|problem| format!("{}: {problem}", file.display()))
        }
        None => Ok(check_plugin(Config::load(&bytes, |name| std::env::var(name).ok()))),
    }
}

fn check_plugin(loaded: Result<Loaded, Faults>) -> Said {
    match loaded {
        Ok(Loaded { notices, .. }) => Said {
            status: 0,
            lines: notices.iter().map(|notice| format!("ignored {notice}\n")).collect::<String>() + "valid\n",
            value: json!({"valid": true, "notices": notices.iter().map(Fault::to_string).collect::<Vec<_>>()}),
        },
        Err(faults) => Said {
            status: 1,
            lines: format!("{faults}\n"),
            value: json!({"valid": false, "error": faults.to_string(), "faults": described(&faults.0)}),
        },
    }
}

/// Checks each plugin on its own; every line begins with the plugin's place. A warning makes nothing invalid.
fn check_bootstrap(bootstrap: &Bootstrap) -> Result<Said, String> {
    let plugins = bootstrap.plugins()?;
    let (mut status, mut lines, mut values, mut warnings) = (0, String::new(), Vec::new(), Vec::new());
    for plugin in &plugins {
        let place = &plugin.place;
        let loaded = plugin.load();
        warnings.extend(loaded.as_ref().ok().and_then(|loaded| warning(plugin, &loaded.config)));
        let mut said = check_plugin(loaded);
        status = status.max(said.status);
        lines.extend(said.lines.lines().map(|line| format!("{place}: {line}\n")));
        if let Some(fields) = said.value.as_object_mut() {
            fields.insert("place".to_owned(), place.as_str().into());
        }
        values.push(said.value);
    }
    lines.extend(warnings.iter().map(|(place, text)| format!("{place}: warning: {text}\n")));
    let warnings: Vec<Value> =
        warnings.into_iter().map(|(place, text)| json!({"place": place, "message": text})).collect();
    let value = json!({"valid": status == 0, "plugins": values, "warnings": warnings});
    Ok(Said { status, lines, value })
}

/// What is wrong with a plugin in its place, though its configuration is valid.
fn warning<'a>(plugin: &'a Plugin<'_>, config: &Config) -> Option<(&'a str, String)> {
    let text = match &plugin.tracer {
        _ if !config.enabled => return None,
        Some(Tracer { name, place }) if config.request.writes_more_than_w3c() => format!(
            "Envoy's tracer ({name}, {place}) writes its context after this filter, which writes other formats than \
             tracecontext too, so one request can carry two traces; move the filter to the router's upstream_http_filters, \
             set no_context_propagation: true in that tracing (from Envoy 1.38 on), or remove the tracer"
        ),
        None if plugin.is_upstream && (config.export.is_some() || config.request.correlation.is_some()) => {
            "Envoy tells an upstream filter of no stream's end, so export records no span under the parent-ids that it \
             writes, and correlation counts requests in flight that have ended; remove both here"
                .to_owned()
        }
        _ => return None,
    };
    Some((&plugin.place, text))
}

/// Faults for programs.
fn described(faults: &[Fault]) -> Value {
    let fault = |fault: &Fault| json!({"path": fault.place(), "kind": fault.kind.label(), "message": fault.to_string()});
    faults.iter().map(fault).collect()
}
