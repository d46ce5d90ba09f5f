//! A configuration: lines `NAME=value` for the environment, then the JSON.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use serde_json::Value;
use tracewarden::config::{Config, OnBadConfig};
use tracewarden_fuzz::{generate, schema, setup, work};

fuzz_target!(|data: &[u8]| {
    let (variables, json) = parts(data);
    let environment =
        |name: &str| variables.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
    let value: Value = serde_json::from_slice(json.trim_ascii()).unwrap_or_default();
    let size = 8 * data.len() + work::OF_PATTERN * setup::patterns(&value);
    let loaded = work::bounded(size, || Config::load(json, environment));
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
        says(&loaded.config, &value);
        exports(&loaded.config, &value);
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

/// Holds the fields about spans against the JSON.
fn exports(config: &Config, json: &Value) {
    let text = |place: &str| json.pointer(place).and_then(Value::as_str);
    assert_eq!(text("/span/kind").unwrap_or("auto"), config.spans.kind.label());
    let attributes = json.pointer("/span/attributes").and_then(Value::as_array).map_or(0, Vec::len);
    assert_eq!(config.spans.attributes.len(), attributes);
    assert!(text("/service/name").is_none() || config.service.name.as_deref() == text("/service/name"));
    let excludes = json.get("exclude").and_then(Value::as_array).map(|list| !list.is_empty());
    let is_default = config.exclude == Config::default().exclude;
    assert_eq!(excludes.unwrap_or(config.export.is_some()), !is_default, "uploads and probes are left alone");
    let is_there = |place: &str| json.pointer(place).is_some_and(|value| !value.is_null());
    let Some(export) = &config.export else {
        assert!(!is_there("/export"));
        return;
    };
    let is_otlp = is_there("/export/otlp");
    let collector = if is_otlp { "/export/otlp" } else { "/export/zipkin" };
    let of_collector = |field: &str| text(&format!("{collector}/{field}"));
    let (protocol, path) = match (is_otlp, of_collector("protocol")) {
        (false, _) => ("zipkin", "/api/v2/spans"),
        (true, Some("grpc")) => ("grpc", ""),
        (true, _) => ("http/protobuf", "/v1/traces"),
    };
    assert_eq!(export.protocol.label(), protocol);
    assert_eq!(of_collector("cluster"), Some(export.cluster.as_str()));
    // Istio's names are `outbound|PORT|SUBSET|HOST`.
    let host = export.cluster.rsplit('|').next();
    assert_eq!(of_collector("authority").or(host), Some(export.authority.as_str()));
    assert_eq!(of_collector("path").unwrap_or(path), export.path);
    let number = |place: &str| json.pointer(place).and_then(Value::as_u64);
    for (place, default, read) in [
        (format!("{collector}/timeout_ms"), 10_000, export.timeout_ms),
        ("/export/queue".to_owned(), 2_048, export.queue),
        ("/export/batch".to_owned(), 512, export.batch),
        ("/export/delay_ms".to_owned(), 5_000, export.delay_ms),
    ] {
        assert_eq!(number(&place).unwrap_or(default), u64::from(read.get()), "{place}");
    }
    assert!(is_otlp || export.headers.is_empty(), "the headers are those of OTLP");
    for (name, value) in &export.headers {
        assert!(!name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':'));
        assert!(!value.contains(|sign: char| !sign.is_ascii() || sign.is_ascii_control()), "{value:?}");
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
