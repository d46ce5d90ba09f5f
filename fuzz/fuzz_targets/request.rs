//! A request, its response and its spans, whole: any headers, any valid configuration, and a host that may refuse.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use tracewarden::host::HeaderMap;
use tracewarden::words::Direction;
use tracewarden_fuzz::host::{Headers, Known, Wire};
use tracewarden_fuzz::scenario::Scenario;
use tracewarden_fuzz::setup::Setup;
use tracewarden_fuzz::{generate, request, response, spans};

fuzz_target!(|data: &[u8]| {
    let scenario = Scenario::parse(data);
    let Some(setup) = Setup::load(&scenario.config) else { return };
    let mut wire = scenario.wire(scenario.request.clone());
    let mut known = scenario.known();
    if setup.policy().correlation.is_some() {
        remember(&setup, &scenario.request, &mut known);
    }
    let mut stream = request::check(&setup, &scenario.request, &mut known, &mut wire);
    known.left.push((HeaderMap::Request, wire.headers.clone()));
    known.response = scenario.response.clone();
    let mut wire = scenario.wire(scenario.response.clone());
    response::check(&setup.config, &mut stream, &mut known, &mut wire);
    known.left.push((HeaderMap::Response, wire.headers.clone()));
    spans::check(&setup, stream, &mut known);
});

/// Lets the same request come in before, so that there is something to recall.
fn remember(setup: &Setup, headers: &Headers, known: &mut Known) {
    let mut earlier = Known::new(Direction::Inbound, true);
    let mut wire = Wire::default();
    request::check(setup, headers, &mut earlier, &mut wire);
    known.memory = wire.remembered;
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed.is_multiple_of(2) {
        return fuzzer_mutate(data, size, max_size);
    }
    let mutated = generate::scenario(&data[..size], seed);
    match data.get_mut(..mutated.len()).filter(|_| mutated.len() <= max_size) {
        Some(place) => place.copy_from_slice(&mutated),
        None => return fuzzer_mutate(data, size, max_size),
    }
    mutated.len()
});
