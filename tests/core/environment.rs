//! The environment: what its variables stand for, and what becomes of a bad one.

use tracewarden::config::{Loaded, OnBadConfig};
use tracewarden::sampling::{Parent, Threshold};
use tracewarden::settings::{Fault, FaultKind, Faults, Step};

use crate::config::{load, load_with, threshold};

#[test]
fn the_environment_gives_defaults_that_the_json_overrides() {
    let variables = [
        ("ENABLE_DISTRIBUTED_TRACING", "False"),
        ("TRACE_SAMPLING_RATE", "0.1"),
        ("TRACE_HEADER_NAME", "X-Trace"),
        ("TRACE_LOG_FORMAT", "%(span_id)s"),
    ];
    let Loaded { config, notices } = load_with("", &variables).unwrap();
    assert_eq!((config.enabled, &*config.request.header), (false, "x-trace"));
    assert_eq!(config.request.sampling.probability, threshold("0.1"));
    assert_ne!(config.request.log.format, load("").unwrap().request.log.format);
    assert!(notices.is_empty());

    let json = r#"{"enabled": true, "header": "traceparent", "sampling": {"probability": 1}, "log": {"format": ""}}"#;
    assert_eq!(load_with(json, &variables).unwrap().config, load(json).unwrap());
    let empty = variables.map(|(name, _)| (name, ""));
    assert_eq!(load_with("", &empty).unwrap().config, load("").unwrap(), "an empty variable counts as unset");
}

/// Every variable that says what a field of the JSON says, a value, and the same in JSON.
const FIELDS: &[(&str, &str, &str)] = &[
    ("TRACEWARDEN_MODE", "observe", r#"{"mode": "observe"}"#),
    ("TRACEWARDEN_ROLE", "edge", r#"{"role": "edge"}"#),
    ("TRACEWARDEN_EXCLUDE", r#"["default", {"path": "/x"}]"#, r#"{"exclude": ["default", {"path": "/x"}]}"#),
    ("TRACEWARDEN_EXCLUDE", "[]", r#"{"exclude": []}"#),
    ("TRACEWARDEN_CORRELATION", "{}", r#"{"correlation": {}}"#),
    ("TRACEWARDEN_CORRELATION", r#"{"slots": 9}"#, r#"{"correlation": {"slots": 9}}"#),
    ("ENABLE_DISTRIBUTED_TRACING", "false", r#"{"enabled": false}"#),
    ("TRACE_SAMPLING_RATE", "0.5", r#"{"sampling": {"probability": 0.5}}"#),
];

#[test]
fn a_proxy_can_be_an_exception_by_its_environment() {
    let stated = r#""enabled": true, "mode": "enforce", "role": "internal", "exclude": [{"path": "/a"}],
        "correlation": {"slots": 1}, "sampling": {"probability": 1}"#;
    let expected = load(&format!("{{{stated}}}")).unwrap();
    for (name, value, json) in FIELDS {
        let alone = load_with("", &[(name, value)]).unwrap().config;
        assert_eq!(alone, load(json).unwrap(), "{name}: a default");
        let kept = load_with(&format!("{{{stated}}}"), &[(name, value)]).unwrap().config;
        assert_eq!(kept, expected, "{name}: what is stated goes before a default");
        let overridden = format!(r#"{{"environment": "override", {stated}}}"#);
        let changed = load_with(&overridden, &[(name, value)]).unwrap().config;
        assert_ne!(changed, load(&overridden).unwrap(), "{name}: it goes before what is stated");
        let unset = load_with(&overridden, &[(name, "")]).unwrap().config;
        assert_eq!(unset, load(&overridden).unwrap(), "{name}: an empty one says nothing");
    }
    let overridden = r#"{"environment": "override", "correlation": {"slots": 1}, "exclude": []}"#;
    let taken = [("TRACEWARDEN_CORRELATION", "null"), ("TRACEWARDEN_EXCLUDE", "null")];
    let config = load_with(overridden, &taken).unwrap().config;
    assert_eq!(
        (config.request.correlation, config.request.exclude),
        (None, load("").unwrap().request.exclude)
    );
}

#[test]
fn what_an_environment_overrides_must_fit_the_rest() {
    let json =
        r#"{"environment": "override", "sampling": {"force": {"header": "x-a", "value_env": "FORCE"}}}"#;
    let secret = ("FORCE", "0123456789abcdef");
    assert!(load_with(json, &[secret]).is_ok());
    let Faults(faults) = load_with(json, &[secret, ("TRACE_HEADER_NAME", "x-a")]).expect_err("a conflict");
    assert_eq!(faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), [FaultKind::Conflict]);
}

#[test]
fn a_variable_is_refused_as_its_field_is() {
    let rows = [
        (
            "TRACEWARDEN_MODE",
            "look",
            r#"TRACEWARDEN_MODE: expected one of "enforce", "observe", found "look""#,
        ),
        ("TRACEWARDEN_ROLE", "Edge", r#"TRACEWARDEN_ROLE: expected one of "edge", "internal", found "Edge""#),
        (
            "TRACEWARDEN_EXCLUDE",
            "/healthz",
            "TRACEWARDEN_EXCLUDE: expected valid JSON, as the field has it, found",
        ),
        (
            "TRACEWARDEN_EXCLUDE",
            r#"[{"pat": "/"}]"#,
            "TRACEWARDEN_EXCLUDE[0]: unknown field `pat`; did you mean `path`?",
        ),
        ("TRACEWARDEN_EXCLUDE", "{}", "TRACEWARDEN_EXCLUDE: expected a list, found an object"),
        (
            "TRACEWARDEN_CORRELATION",
            r#"{"slots": 0}"#,
            "TRACEWARDEN_CORRELATION.slots: expected a whole number",
        ),
        ("TRACEWARDEN_CORRELATION", "true", "TRACEWARDEN_CORRELATION: expected an object, found true"),
    ];
    for (name, value, message) in rows {
        for json in ["", r#"{"environment": "override"}"#] {
            let Faults(faults) = load_with(json, &[(name, value)]).expect_err(name);
            let [fault] = &faults[..] else { panic!("{name}: {faults:?}") };
            assert!(fault.to_string().starts_with(message), "{fault}");
        }
    }
}

#[test]
fn a_bad_variable_of_ours_is_refused() {
    let rows = [
        ("ENABLE_DISTRIBUTED_TRACING", "on", r#"expected true or false, found "on""#),
        ("TRACE_SAMPLING_RATE", "10%", r#"expected a number from 0 to 1, found "10%""#),
        ("TRACE_SAMPLING_RATE", "0.1\n0.2", r#"expected a number from 0 to 1, found "0.1\n0.2""#),
        ("TRACE_HEADER_NAME", "a b", "expected a header name of 1 to 128 letters"),
        ("TRACE_HEADER_NAME", "baggage", "expected a header name of 1 to 128 letters"),
        ("TRACE_LOG_FORMAT", "100%", "expected a text whose percent signs belong to"),
    ];
    for (name, value, problem) in rows {
        let Faults(faults) = load_with("", &[(name, value)]).expect_err(name);
        let [fault] = &faults[..] else { panic!("{name}: {faults:?}") };
        let message = fault.to_string();
        assert!(message.starts_with(&format!("{name}: {problem}")), "{message}");
        assert_eq!((fault.kind, &fault.path[..]), (FaultKind::Environment, &[Step::Variable(name)][..]));
    }
}

#[test]
fn opentelemetrys_samplers_have_their_meaning() {
    // OT-16
    let rows = [
        ("always_on", "", Parent::Ignore, Threshold::ALWAYS),
        ("always_off", "", Parent::Ignore, Threshold::NEVER),
        ("traceidratio", "0.25", Parent::Ignore, threshold("0.25")),
        ("traceidratio", "", Parent::Ignore, Threshold::ALWAYS),
        ("parentbased_always_on", "0.25", Parent::Respect, Threshold::ALWAYS),
        ("parentbased_always_off", "", Parent::Respect, Threshold::NEVER),
        ("parentbased_traceidratio", "0.5", Parent::Respect, threshold("0.5")),
    ];
    for (name, argument, parent, probability) in rows {
        let variables = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)];
        let Loaded { config, notices } = load_with("", &variables).unwrap();
        assert_eq!(
            (config.request.sampling.parent, config.request.sampling.probability),
            (parent, probability),
            "{name}"
        );
        assert!(notices.is_empty(), "{name}: {notices:?}");
        let ours = [variables[0], variables[1], ("TRACE_SAMPLING_RATE", "0.125")];
        assert_eq!(
            load_with("", &ours).unwrap().config.request.sampling.probability,
            threshold("0.125"),
            "{name}"
        );
    }
}

#[test]
fn a_bad_variable_of_opentelemetrys_counts_as_unset_and_is_noted() {
    let rows: &[(&[(&str, &str)], &str)] = &[
        (
            &[("OTEL_TRACES_SAMPLER", "jaeger_remote")],
            "OTEL_TRACES_SAMPLER: expected always_on, always_off, traceidratio, or one of them after parentbased_, \
            found \"jaeger_remote\"",
        ),
        (
            &[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")],
            "OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1, found \"2\"",
        ),
        (
            &[("OTEL_PROPAGATORS", "tracecontext,zipkin,baggage")],
            "OTEL_PROPAGATORS: expected a format that can be read, found \"zipkin\"",
        ),
    ];
    for (variables, notice) in rows {
        let Loaded { config, notices } = load_with("", variables).unwrap();
        assert_eq!(config, load("").unwrap(), "{variables:?}");
        assert_eq!(notices.iter().map(Fault::to_string).collect::<Vec<_>>(), [*notice]);
    }
    assert!(load_with("", &[("OTEL_PROPAGATORS", "tracecontext, baggage")]).unwrap().notices.is_empty());
}

#[test]
fn opentelemetrys_resource_is_the_default_of_the_service() {
    let variables = [
        ("OTEL_SERVICE_NAME", "cart"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other, a=b%20c ,d=%C3%A9"),
    ];
    let Loaded { config, notices } = load_with("", &variables).unwrap();
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!((config.service.name.as_deref(), notices.len()), (Some("cart"), 0));
    assert_eq!(config.service.attributes, pairs(&[("a", "b c"), ("d", "é")]));
    let json = r#"{"service": {"name": "edge", "attributes": {"a": "z"}}}"#;
    let stated = load_with(json, &variables).unwrap().config.service;
    assert_eq!(stated.name.as_deref(), Some("edge"));
    assert_eq!(stated.attributes, pairs(&[("d", "é"), ("a", "z")]));
    let [_, attributes] = variables;
    assert_eq!(load_with("", &[attributes]).unwrap().config.service.name.as_deref(), Some("other"));
    for bad in ["secret", "a=%zz", "a=%e9", "a=%2"] {
        let Loaded { config, notices } = load_with("", &[("OTEL_RESOURCE_ATTRIBUTES", bad)]).unwrap();
        assert!(config.service.attributes.is_empty(), "{bad}");
        assert_eq!(notices.len(), 1, "{bad}");
        let expected =
            "OTEL_RESOURCE_ATTRIBUTES: expected name=value, with commas between and percent-encoded";
        assert_eq!(notices[0].to_string(), expected, "the value may be a secret");
    }
}

#[test]
fn uploads_have_the_headers_of_the_environment() {
    const OTLP: &str = r#"{"export": {"otlp": {"cluster": "a"}}}"#;
    let headers = |json: &str, variables: &[(&str, &str)]| {
        load_with(json, variables).unwrap().config.export.expect("it exports").headers
    };
    let general = ("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=s%3Decret,b=2");
    let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "c=3");
    let key = ("api-key".to_owned(), "s=ecret".to_owned());
    assert_eq!(headers(OTLP, &[general]), [key, ("b".to_owned(), "2".to_owned())]);
    assert_eq!(headers(OTLP, &[general, of_traces]), [("c".to_owned(), "3".to_owned())]);
    let Loaded { notices, .. } = load_with(OTLP, &[("OTEL_EXPORTER_OTLP_HEADERS", "a=secr%C3%A9t")]).unwrap();
    assert_eq!(notices.len(), 1);
    let expected =
        "OTEL_EXPORTER_OTLP_HEADERS: expected headers of visible ASCII, found a header that cannot be sent";
    assert_eq!(notices[0].to_string(), expected);
    assert!(headers(r#"{"export": {"zipkin": {"cluster": "a"}}}"#, &[general]).is_empty(), "not OTLP");
}

#[test]
fn a_bad_configuration_is_refused_unless_the_environment_says_bypass() {
    let read =
        |word: &str| OnBadConfig::load(|name| (name == "TRACEWARDEN_ON_BAD_CONFIG").then(|| word.to_owned()));
    assert_eq!(OnBadConfig::load(|_| None), Ok(OnBadConfig::Refuse));
    assert_eq!((read("refuse"), read("bypass")), (Ok(OnBadConfig::Refuse), Ok(OnBadConfig::Bypass)));
    let message = read("ignore").unwrap_err().to_string();
    assert_eq!(message, r#"TRACEWARDEN_ON_BAD_CONFIG: expected "refuse" or "bypass", found "ignore""#);
}
