//! `tracewarden-micro OPERATION COUNT`: does one thing COUNT times, for `benches/bench.py` to count instructions.
//!
//! Each operation is there for Tracewarden, for OpenTelemetry's propagator with its own `HashMap` carrier, and for
//! the same propagator with the cheapest carrier that can be written, so that what is compared is the parser.

use std::collections::HashMap;
use std::hint::black_box;
use std::process::ExitCode;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracewarden::w3c::{TraceParent, TraceState};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACESTATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,vendor@system=opaque value";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [operation, who, count] = words[..] else { return usage() };
    let Ok(count) = count.parse() else { return usage() };
    let state = match operation {
        "parse" | "format" => "",
        "parse-tracestate" | "format-tracestate" => TRACESTATE,
        _ => return usage(),
    };
    match (operation.starts_with("parse"), who) {
        (true, "tracewarden") => parse(count, state),
        (true, "hashmap") => extract(count, &hash_map(state)),
        (true, "cheapest") => extract(count, &Cheapest { state }),
        (false, "tracewarden") => format(count, state),
        (false, "hashmap") => inject(count, state, HashMap::<String, String>::clear),
        (false, "cheapest") => inject(count, state, |_: &mut Dropped| ()),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!(
        "usage: tracewarden-micro {{parse,format}}[-tracestate] {{tracewarden,hashmap,cheapest}} COUNT"
    );
    ExitCode::from(2)
}

fn parse(count: u32, state: &str) {
    for _ in 0..count {
        let parent = TraceParent::parse(black_box(TRACEPARENT.as_bytes()));
        assert!(black_box(&parent).is_ok());
        if !state.is_empty() {
            let list = TraceState::parse([black_box(state.as_bytes())]);
            assert!(black_box(&list).is_ok());
        }
    }
}

fn format(count: u32, state: &str) {
    let parent = TraceParent::parse(TRACEPARENT.as_bytes()).expect("valid");
    let list = TraceState::parse([state.as_bytes()]).expect("valid");
    for _ in 0..count {
        black_box(black_box(parent).to_bytes());
        if !state.is_empty() {
            black_box(black_box(&list).to_bytes());
        }
    }
}

fn extract(count: u32, carrier: &dyn Extractor) {
    let propagator = TraceContextPropagator::new();
    for _ in 0..count {
        black_box(propagator.extract(black_box(carrier)));
    }
}

fn inject<C: Injector + Default>(count: u32, state: &str, empty: impl Fn(&mut C)) {
    let propagator = TraceContextPropagator::new();
    let context: Context = propagator.extract(&hash_map(state));
    let mut carrier = C::default();
    for _ in 0..count {
        propagator.inject_context(black_box(&context), &mut carrier);
        empty(black_box(&mut carrier));
    }
}

fn hash_map(state: &str) -> HashMap<String, String> {
    let mut headers = HashMap::from([("traceparent".to_owned(), TRACEPARENT.to_owned())]);
    if !state.is_empty() {
        headers.insert("tracestate".to_owned(), state.to_owned());
    }
    headers
}

/// Knows where its headers are.
struct Cheapest<'a> {
    state: &'a str,
}

impl Extractor for Cheapest<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(TRACEPARENT),
            "tracestate" => Some(self.state).filter(|state| !state.is_empty()),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// Throws away what it is given.
#[derive(Default)]
struct Dropped;

impl Injector for Dropped {
    fn set(&mut self, key: &str, value: String) {
        black_box((key, value));
    }
}
