//! What the filter reads in trace headers, and what it does with them.

mod answer;
mod bare;
mod change;
mod config;
mod decision;
mod escape;
mod host;
mod ids;
mod input;
mod json;
mod line;
mod open;
mod reading;
mod rules;
mod run;
mod text;
mod why;

use std::ffi::OsString;
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tracewarden::words::Direction;

use self::answer::Answer;
use self::host::World;
use self::input::{Exchange, Input, Lines, MAX_INPUT, understand};
use self::line::Reader;
use crate::Said;
use crate::lines::bounded;

/// What is explained, and with which filter.
#[derive(Args)]
pub(crate) struct Options {
    /// Headers, one in each argument: 'traceparent: 00-…-01', TRACEPARENT=00-…-01, or a value alone, which is recognized by its
    /// form. An argument may also hold what `curl -v` prints, or a dump of HTTP. `-`, or no argument, is standard input.
    #[arg(value_name = "HEADER")]
    headers: Vec<OsString>,
    /// The configuration of a filter, in JSON or YAML. The answer then says what that filter does, and why.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The direction of the listener, if the configuration does not state one.
    #[arg(long, value_name = "DIRECTION", requires = "config")]
    direction: Option<Way>,
    /// The method of the request, in place of the one in the input.
    #[arg(long, value_name = "METHOD")]
    method: Option<OsString>,
    /// The path of the request, in place of the one in the input.
    #[arg(long, value_name = "PATH")]
    path: Option<OsString>,
    /// The host of the request, in place of the one in the input.
    #[arg(long, value_name = "HOST")]
    authority: Option<OsString>,
    /// The address of the sender, for `trust.trusted[].cidr`.
    #[arg(long, value_name = "ADDRESS", requires = "config")]
    source_address: Option<OsString>,
    /// The URI in the sender's certificate, such as spiffe://mesh/ns/shop/sa/cart, for `trust.trusted[].san`.
    #[arg(long, value_name = "URI", requires = "config", visible_alias = "peer-principal")]
    peer_uri: Option<OsString>,
    /// The name of the route that Envoy chooses, for conditions on it.
    #[arg(long, value_name = "NAME", requires = "config")]
    route: Option<OsString>,
    /// The name of the cluster that the route leads to, for conditions on it.
    #[arg(long, value_name = "NAME", requires = "config")]
    cluster: Option<OsString>,
}

/// The direction of a listener.
#[derive(Clone, Copy, ValueEnum)]
enum Way {
    /// To the workload.
    Inbound,
    /// From the workload.
    Outbound,
}

/// What the filter reads, and what it does.
///
/// # Errors
/// The input is not understood, or the configuration is refused.
pub(crate) fn explain(options: &Options) -> Result<Said, String> {
    let configuration = options.config.as_deref().map(config::load).transpose()?;
    let request = configuration.as_ref().map(|configuration| &configuration.config.request);
    let header = request.map_or("traceparent", |request| &*request.header);
    let Input { mut exchanges, notes } = understand(&options.text()?, &Reader::new(header))?;
    exchanges.iter_mut().for_each(|exchange| options.complete(exchange));
    let world = options.world();
    let answers = exchanges.into_iter().map(|exchange| Answer::of(exchange, configuration.as_ref(), &world));
    let answers: Vec<Answer> = answers.collect();
    let is_valid = answers.iter().all(Answer::is_valid);
    Ok(Said {
        status: u8::from(!is_valid),
        lines: text::answers(&answers, &notes),
        value: json::answers(&answers, &notes, is_valid),
    })
}

impl Options {
    /// All that is to be explained, in lines.
    fn text(&self) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        let input = OsString::from("-");
        let is_silent = self.headers.is_empty();
        if is_silent && stdin().is_terminal() {
            return Err(format!("nothing to explain: {}", Reader::EXPECTED));
        }
        for header in self.headers.iter().chain(is_silent.then_some(&input)) {
            if *header == input {
                let read = bounded(Path::new("-"), MAX_INPUT);
                text.extend(read.map_err(|error| format!("standard input: {error}"))?);
            } else {
                text.extend(header.as_encoded_bytes());
            }
            text.push(b'\n');
        }
        if text.len() > MAX_INPUT + 1 {
            return Err(format!("expected at most {MAX_INPUT} bytes, found {}", text.len()));
        }
        Ok(text)
    }

    /// Puts what was stated into the request.
    fn complete(&self, exchange: &mut Exchange) {
        let Some(request) = &mut exchange.request else { return };
        let stated = [(":method", &self.method), (":path", &self.path), (":authority", &self.authority)];
        for (name, value) in stated {
            if let Some(value) = value {
                request.retain(|(known, _)| known != name.as_bytes());
                let line = (name.into(), value.as_encoded_bytes().to_vec());
                let others: Lines = std::mem::take(request);
                request.extend([line].into_iter().chain(others));
            }
        }
    }

    fn world(&self) -> World {
        let bytes = |value: &Option<OsString>| value.as_ref().map(|value| value.as_encoded_bytes().to_vec());
        World {
            direction: self.direction.map(|way| match way {
                Way::Inbound => Direction::Inbound,
                Way::Outbound => Direction::Outbound,
            }),
            peer_uri: bytes(&self.peer_uri),
            peer_address: bytes(&self.source_address),
            route: bytes(&self.route),
            cluster: bytes(&self.cluster),
            ..World::default()
        }
    }
}
