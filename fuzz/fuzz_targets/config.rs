//! A configuration: lines `NAME=value` for the environment, then the JSON.
#![no_main]

use std::sync::LazyLock;

use bstr::ByteSlice;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use serde_json::Value;
use tracewarden::config::{Config, Loaded, OnBadConfig};
use tracewarden::settings::{Fault, FaultKind, Faults, Step};
use tracewarden_fuzz::{generate, setup, work};

/// The schema that editors use, and an independent judge by it.
static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = include_str!("../../docs/configuration.schema.json");
    let schema = serde_json::from_str(schema).expect("JSON");
    jsonschema::draft202012::new(&schema).expect("a JSON Schema")
});

fuzz_target!(|data: &[u8]| {
    let (variables, json) = parts(data);
    let environment =
        |name: &str| variables.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
    let text = if json.trim_ascii().is_empty() { b"{}" } else { json.trim_ascii() };
    let value: Value = serde_json::from_slice(text).unwrap_or_default();
    assert!(*PATTERNS, "every form is read");
    let size = 8 * data.len() + work::OF_PATTERN * setup::patterns_of_text(text);
    let loaded = work::bounded(size, || Config::load(json, environment));
    let on_bad = OnBadConfig::load(environment).err().map_or(Vec::new(), |Faults(faults)| faults);
    match &loaded {
        Ok(Loaded { config, notices }) => {
            assert!(SCHEMA.is_valid(&value), "only the schema refuses {value}");
            says(config, &value);
            exports(config, &value);
            are_short(notices.iter().chain(&on_bad), data.len());
        }
        Err(Faults(faults)) => {
            assert!((1..=100).contains(&faults.len()), "{} faults", faults.len());
            are_short(faults.iter().chain(&on_bad), data.len());
            let is_no_json = serde_json::from_slice::<Value>(text).is_err();
            assert_eq!(is_no_json, faults.iter().any(|fault| fault.kind == FaultKind::Syntax), "{faults:?}");
            // Of two fields with the same name this reader of JSON keeps the last.
            if !is_no_json && faults.iter().all(|fault| fault.kind != FaultKind::DuplicateField) {
                faults.iter().for_each(|fault| is_right(fault, &value));
            }
        }
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed.is_multiple_of(2) {
        return fuzzer_mutate(data, size, max_size);
    }
    generate::mutate(data, size, max_size, seed, generate::configuration)
});

/// The patterns of texts are compiled once, whatever the input is.
static PATTERNS: LazyLock<bool> = LazyLock::new(|| {
    let json = br#"{"header": "a", "log": {"format": "a"}, "metrics": {"listener": "a"},
        "export": {"otlp": {"cluster": "a", "path": "/"}}}"#;
    Config::load(json, |_| None).is_ok()
});

/// Whoever reads the faults sees lines of a bounded length.
fn are_short<'a>(faults: impl Iterator<Item = &'a Fault>, size: usize) {
    for line in faults.map(Fault::to_string) {
        assert!(!line.is_empty() && !line.contains(|sign| sign < ' '), "one line: {line:?}");
        assert!(line.len() <= 8 * size + 1_000, "a bounded line");
    }
}

/// A fault is where it says, and the schema knows it if it can.
fn is_right(fault: &Fault, json: &Value) {
    let (mut around, mut found) = (None, Some(json));
    for step in &fault.path {
        around = found;
        found = match step {
            Step::Field(name) => found.and_then(|value| value.get(name)),
            Step::Item(place) => found.and_then(|value| value.get(place)),
            Step::Variable(_) => return,
        };
    }
    let Some(found) = found else {
        // What is left out may conflict by its default.
        let is_left_out = around.is_some_and(Value::is_object);
        assert!(fault.kind == FaultKind::Conflict && is_left_out, "something is there: {fault}");
        return;
    };
    let is_known = match fault.kind {
        FaultKind::UnknownField | FaultKind::UnknownWord => true,
        // To a schema, a whole number may have a fraction that is zero, and zero a sign.
        FaultKind::WrongType => !found.is_f64(),
        FaultKind::OutOfRange => found.as_f64() != Some(0.0) || !found.is_f64(),
        _ => false,
    };
    assert!(!is_known || !SCHEMA.is_valid(json), "only the reader refuses {json}: {fault}");
}

/// Holds the fields that have a word against the JSON.
fn says(config: &Config, json: &Value) {
    let (request, text) = (&config.request, |place: &str| json.pointer(place).and_then(Value::as_str));
    for (place, default, label) in [
        ("/mode", "enforce", request.mode.label()),
        ("/role", "internal", request.role.label()),
        ("/direction", "auto", request.direction.label()),
        ("/start", "always", request.start.label()),
        ("/parent_id", "auto", request.parent_id.label()),
        ("/span/kind", "auto", config.spans.kind.label()),
    ] {
        assert_eq!(text(place).unwrap_or(default), label, "{place}");
    }
    if let Some(name) = text("/header") {
        assert_eq!(*request.header, *name.to_ascii_lowercase());
    }
    if let Some(probability) = json.pointer("/sampling/probability").and_then(Value::as_f64) {
        is_kept(config, probability);
    }
    let attributes = json.pointer("/span/attributes").and_then(Value::as_array).map_or(0, Vec::len);
    assert_eq!(config.spans.attributes.len(), attributes);
    assert!(text("/service/name").is_none() || config.service.name.as_deref() == text("/service/name"));
    let entries = json.get("exclude").and_then(Value::as_array);
    let says_default =
        entries.is_none_or(|list| !list.is_empty() && list.iter().all(|entry| entry == "default"));
    let is_default = request.exclude == Config::default().request.exclude;
    assert_eq!(says_default, is_default, "known requests are left alone");
}

/// Holds the fields about the collector against the JSON.
fn exports(config: &Config, json: &Value) {
    let is_there = |place: &str| json.pointer(place).is_some_and(|value| !value.is_null());
    let Some(export) = &config.export else {
        assert!(!is_there("/export"));
        return;
    };
    let (is_otlp, endpoint) = (is_there("/export/otlp"), export.endpoint());
    let collector = if is_otlp { "/export/otlp" } else { "/export/zipkin" };
    let text = |field: &str| json.pointer(&format!("{collector}/{field}")).and_then(Value::as_str);
    let (protocol, path) = match (is_otlp, text("protocol")) {
        (false, _) => ("zipkin", "/api/v2/spans"),
        (true, Some("grpc")) => ("grpc", ""),
        (true, _) => ("http/protobuf", "/v1/traces"),
    };
    assert_eq!(export.protocol().label(), protocol);
    assert_eq!(text("cluster"), Some(&*endpoint.cluster));
    // Istio's names are `outbound|PORT|SUBSET|HOST`.
    let host = endpoint.cluster.rsplit('|').next();
    assert_eq!(text("authority").or(host), Some(endpoint.authority()));
    assert_eq!(text("path").unwrap_or(path), export.path());
    for (place, default, read) in [
        (&*format!("{collector}/timeout_ms"), 10_000, endpoint.timeout_ms),
        ("/export/batch", 512, export.batch),
        ("/export/in_flight", 4, export.in_flight),
        ("/export/delay_ms", 5_000, export.delay_ms),
    ] {
        let number = json.pointer(place).and_then(Value::as_u64);
        assert_eq!(number.unwrap_or(default), u64::from(read.get()), "{place}");
    }
    let number = |place: &str| json.pointer(place).and_then(Value::as_u64);
    assert_eq!(number("/export/queue"), export.queue.map(|queue| u64::from(queue.get())));
    assert_eq!(number("/export/queue_bytes").unwrap_or(4 << 20), export.queue_bytes.get() as u64);
    assert!(is_otlp || export.headers.is_empty(), "the headers are those of OTLP");
    for (name, value) in &export.headers {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
        assert!(!value.contains(|sign: char| !sign.is_ascii() || sign.is_ascii_control()), "{value:?}");
    }
}

/// The sampler keeps the share that it is told to keep, to the four digits that OpenTelemetry recommends (rule OT-07).
fn is_kept(config: &Config, probability: f64) {
    const ALL: u64 = 1 << 56;
    let threshold = config.request.sampling.probability;
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
        let (line, after) = rest.split_once_str("\n").unwrap_or((rest, b""));
        let Some((name, value)) = line.split_once_str("=") else { break };
        variables.push((name.to_str_lossy().into_owned(), value.to_str_lossy().into_owned()));
        rest = after;
    }
    (variables, rest)
}
