//! Makes and mutates inputs that are nearly right. All of it follows from the seed that libFuzzer gives a mutation, and
//! from the dictionary, `dictionary.ron`.

mod config;
mod scenario;

use std::sync::LazyLock;

use libfuzzer_sys::fuzzer_mutate;
use rand::rngs::ChaCha12Rng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use serde::Deserialize;
use serde_bytes::ByteBuf;

pub use config::{any, configuration, exporting};
pub use scenario::scenario;

/// Names, each with values.
type Values<T> = Vec<(String, Vec<T>)>;

/// What inputs are made of.
#[derive(Deserialize)]
struct Dictionary {
    request: Values<ByteBuf>,
    response: Values<ByteBuf>,
    properties: Values<ByteBuf>,
    numbers: Vec<String>,
    times: Vec<u64>,
    reply: Values<ByteBuf>,
    bodies: Vec<ByteBuf>,
    texts: Values<String>,
    probabilities: Vec<String>,
    variables: Values<String>,
    odd: Vec<String>,
    exporting: Vec<String>,
}

static DICTIONARY: LazyLock<Dictionary> =
    LazyLock::new(|| ron::from_str(include_str!("../dictionary.ron")).expect("the dictionary is valid"));

/// What chooses.
pub type Source = ChaCha12Rng;

/// One of these.
fn one<'a, T>(list: &'a [T], source: &mut Source) -> &'a T {
    list.choose(source).expect("there is a choice")
}

/// Up to 16 bytes of any kind.
fn bytes(source: &mut Source) -> Vec<u8> {
    let mut bytes = vec![0; source.random_range(0..=16)];
    source.fill_bytes(&mut bytes);
    bytes
}

/// Mutates an input in its place: by `change`, or as libFuzzer does without us if there is no room for that.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    change: impl FnOnce(&[u8], &mut Source) -> Vec<u8>,
) -> usize {
    let mutated = change(&data[..size], &mut Source::seed_from_u64(seed.into()));
    match data.get_mut(..mutated.len()).filter(|_| mutated.len() <= max_size) {
        Some(place) => {
            place.copy_from_slice(&mutated);
            mutated.len()
        }
        None => fuzzer_mutate(data, size, max_size),
    }
}
