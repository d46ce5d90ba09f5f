//! A stream, whole, as in `request`, under configurations that export: every stream may have spans, which go to a collector.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tracewarden_fuzz::generate::{exporting, mutate, scenario};
use tracewarden_fuzz::scenario::Scenario;

fuzz_target!(|data: &[u8]| Scenario::check(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, |text, source| scenario(text, source, exporting))
});
