//! Runs requests through the built module in the test host, for `judge.py`.
//!
//! A request is a line of JSON on standard input, and what became of it a line on standard output:
//!
//! ```text
//! {"config": {…}, "headers": [["b3", "0"], …]}
//! {"headers": [["traceparent", "00-…"], …], "counters": {"tracewarden_…": 1, …}, "state": {"parent_id": "…", …}}
//! ```
//!
//! Each character of a header's value is one byte, as in ISO 8859-1. The counters are those that this request moved.
//! The state is what the filter published for the access log.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::io::{self, BufRead, BufWriter, Write};
use std::process::ExitCode;

use proxy_wasm_test_framework::{Module, RootId, Vm};
use serde::{Deserialize, Serialize};

/// The keys that the filter publishes, without the `wasm.` before them.
const KEYS: [&str; 5] = ["trace_context", "trace_id", "span_id", "parent_id", "sampled"];

#[derive(Deserialize)]
struct Request {
    config: serde_json::Value,
    headers: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Outcome {
    headers: Vec<(String, String)>,
    counters: BTreeMap<String, u64>,
    state: BTreeMap<&'static str, String>,
}

/// One running module for each configuration.
struct Fleet {
    module: Module,
    plugins: HashMap<String, (Vm, RootId)>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tracewarden-interop: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: tracewarden-interop MODULE <REQUESTS >OUTCOMES")?;
    let module = Module::load(path).map_err(|error| format!("{error}; `make build` makes the module"))?;
    let mut fleet = Fleet { module, plugins: HashMap::new() };
    let mut out = BufWriter::new(io::stdout().lock());
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let outcome = fleet.answer(&line?).map_err(|error| format!("line {}: {error}", number + 1))?;
        serde_json::to_writer(&mut out, &outcome)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

impl Fleet {
    fn answer(&mut self, line: &str) -> Result<Outcome, Box<dyn Error>> {
        let Request { config, headers } = serde_json::from_str(line)?;
        let headers = headers.iter().map(|(name, value)| Ok((name, bytes(value)?)));
        let headers: Vec<_> = headers.collect::<Result<_, Box<dyn Error>>>()?;

        let (vm, root) = self.plugin(config.to_string())?;
        let before = counters(vm);
        let stream = vm.stream(*root)?;
        vm.request(stream, headers)?;
        let headers = vm.request_headers(stream).iter().map(|(name, value)| (text(name), text(value)));
        let headers = headers.collect();
        let state = KEYS.into_iter().filter_map(|key| {
            let value = vm.filter_state(stream, &format!("wasm.{key}"))?;
            Some((key, text(value)))
        });
        let state = state.collect();
        vm.finish(stream)?;

        let mut counters = counters(vm);
        for (name, count) in before {
            counters.entry(name).and_modify(|now| *now -= count);
        }
        counters.retain(|_, count| *count > 0);
        Ok(Outcome { headers, counters, state })
    }

    fn plugin(&mut self, config: String) -> Result<&mut (Vm, RootId), Box<dyn Error>> {
        use std::collections::hash_map::Entry;
        match self.plugins.entry(config) {
            Entry::Occupied(plugin) => Ok(plugin.into_mut()),
            Entry::Vacant(place) => {
                let mut vm = Vm::start(&self.module)?;
                let root = vm.root(place.key().as_bytes())?;
                let root = root.ok_or_else(|| format!("the filter refuses {}", place.key()))?;
                Ok(place.insert((vm, root)))
            }
        }
    }
}

fn counters(vm: &Vm) -> BTreeMap<String, u64> {
    vm.host().metrics().iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

fn bytes(value: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let byte = |character| u8::try_from(character).map_err(|_| format!("{character:?} is no byte").into());
    value.chars().map(byte).collect()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
