//! A configuration: lines `NAME=value` for the environment, then the JSON.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use serde_json::Value;
use tracewarden::config::{Config, OnBadConfig};
use tracewarden_fuzz::{generate, schema, work};

fuzz_target!(|data: &[u8]| {
    let (variables, json) = parts(data);
    let environment =
        |name: &str| variables.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
    let loaded = work::bounded(8 * data.len(), || Config::load(json, environment));
    let expected = schema::accepts(json, environment).filter(|_| !loaded.as_ref().is_err_and(only_we_refuse));
    if let Some(expected) = expected {
        assert_eq!(loaded.is_ok(), expected, "{loaded:?}");
    }
    let on_bad = OnBadConfig::load(environment).err();
    let told = match &loaded {
        Ok(loaded) => loaded.notices.clone(),
        Err(error) => vec![error.to_string()],
    };
    for line in told.into_iter().chain(on_bad.map(|error| error.to_string())) {
        assert!(!line.is_empty() && !line.contains(|octet| octet < ' '), "one line: {line:?}");
        assert!(line.len() <= 16 * data.len() + 400, "a bounded line");
    }
    if let Ok(loaded) = loaded {
        says(&loaded.config, &serde_json::from_slice(json.trim_ascii()).unwrap_or_default());
    }
});

/// What `serde_json` reads and Tracewarden does not: an object with the same name twice, and a very deep one.
fn only_we_refuse(error: &impl ToString) -> bool {
    let text = error.to_string();
    ["another name is due", "something less deep is due"].iter().any(|due| text.contains(due))
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed.is_multiple_of(2) {
        return fuzzer_mutate(data, size, max_size);
    }
    let mutated = generate::config(&data[..size], seed);
    match data.get_mut(..mutated.len()).filter(|_| mutated.len() <= max_size) {
        Some(place) => place.copy_from_slice(&mutated),
        None => return fuzzer_mutate(data, size, max_size),
    }
    mutated.len()
});

/// Holds the fields that have a word against the JSON.
fn says(config: &Config, json: &Value) {
    let field = |name: &str| json.get(name).and_then(Value::as_str);
    let words = [
        ("mode", "enforce", config.mode.label()),
        ("role", "internal", config.role.label()),
        ("direction", "auto", config.direction.map_or("auto", |direction| direction.label())),
        ("start", "always", config.start.label()),
        ("parent_id", "auto", config.parent_id.label()),
    ];
    for (name, default, label) in words {
        assert_eq!(field(name).unwrap_or(default), label, "{name}");
    }
    if let Some(name) = field("header") {
        assert_eq!(config.propagation.header, name.to_ascii_lowercase());
    }
    if let Some(probability) = json.pointer("/sampling/probability").and_then(Value::as_f64) {
        is_kept(config, probability);
    }
}

/// The sampler keeps the share that it is told to keep, to the four digits that OpenTelemetry recommends (rule OT-07).
fn is_kept(config: &Config, probability: f64) {
    const ALL: u64 = 1 << 56;
    let threshold = config.sampling.probability;
    let kept = probability * ALL as f64;
    let slack = kept * 2e-4 + 2.0;
    let keeps = |from_the_end: u64| (1..=ALL).contains(&from_the_end) && threshold.keeps(ALL - from_the_end);
    if probability == 0.0 {
        assert!(!keeps(1), "some are kept");
    } else {
        assert!(keeps(((kept - slack) as u64).max(1)), "less than {probability} is kept");
        assert!(!keeps((kept + slack) as u64), "more than {probability} is kept");
    }
}

/// The variables at the beginning, and the rest.
fn parts(data: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let mut variables = Vec::new();
    let mut rest = data;
    while rest.first().is_some_and(u8::is_ascii_uppercase) {
        let end = rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len());
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let Some((name, value)) = line.split_once('=') else { break };
        variables.push((name.to_owned(), value.to_owned()));
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    (variables, rest)
}
