//! The environment variables of the reference are those that the filter asks for, and do what it says.

use std::cell::RefCell;
use std::collections::BTreeSet;

use tracewarden::config::{Config, Loaded, OnBadConfig};
use tracewarden::settings::Faults;

use crate::printed;

/// What is there already.
struct Setting {
    json: &'static str,
    variable: Option<(&'static str, &'static str)>,
}

const ALONE: Setting = Setting { json: "{}", variable: None };
const EXPORTING: Setting = Setting { json: r#"{"export": {"otlp": {"cluster": "a"}}}"#, variable: None };
const BY_RATIO: Setting = Setting { json: "{}", variable: Some(("OTEL_TRACES_SAMPLER", "traceidratio")) };

/// A variable, a value of it, a bad one, and where it says something.
const ROWS: &[(&str, &str, Option<&str>, Setting)] = &[
    ("ENABLE_DISTRIBUTED_TRACING", "False", Some("no"), ALONE),
    ("TRACE_SAMPLING_RATE", "0.5", Some("2"), ALONE),
    ("TRACEWARDEN_MODE", "observe", Some("look"), ALONE),
    ("TRACEWARDEN_ROLE", "edge", Some("gateway"), ALONE),
    ("TRACEWARDEN_EXCLUDE", "[]", Some("/healthz"), ALONE),
    ("TRACEWARDEN_CORRELATION", "{}", Some("true"), ALONE),
    ("TRACE_HEADER_NAME", "X-Trace", Some("b3"), ALONE),
    ("TRACE_LOG_FORMAT", "%(trace_id)s", Some("%d"), ALONE),
    ("OTEL_PROPAGATORS", "b3, sw8, baggage", Some("zipkin"), ALONE),
    ("OTEL_TRACES_SAMPLER", "parentbased_always_off", Some("jaeger_remote"), ALONE),
    ("OTEL_TRACES_SAMPLER_ARG", "0.5", Some("half"), BY_RATIO),
    ("OTEL_SERVICE_NAME", "checkout", None, ALONE),
    ("OTEL_RESOURCE_ATTRIBUTES", "region=a%20b,service.name=c", Some("region"), ALONE),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-key=a%20b", Some("x key=a"), EXPORTING),
    ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b", Some("x-key"), EXPORTING),
];

/// The one that is not about a configuration, but about a bad one.
const ON_BAD: &str = "TRACEWARDEN_ON_BAD_CONFIG";

/// The rows of the reference: each variable, and what becomes of a bad value.
fn rows() -> Vec<(String, String)> {
    let text = printed(&["reference", "configuration"]);
    let (_, section) = text.split_once("\n## Environment variables\n").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once('`').expect("a name");
        (name.to_owned(), rest.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default().to_owned())
    })
    .collect()
}

fn load_with(setting: &Setting, name: &str, value: &str) -> Result<Loaded, Faults> {
    let variables = [Some((name, value)), setting.variable];
    Config::load(setting.json.as_bytes(), |asked| {
        let mut variables = variables.iter().flatten();
        variables.find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn the_filter_asks_for_the_variables_of_the_reference_and_no_others() {
    let asked = RefCell::new(BTreeSet::new());
    let values: Vec<(&str, &str)> = ROWS.iter().map(|(name, value, ..)| (*name, *value)).collect();
    for values in [&values[..], &[], &[("OTEL_TRACES_SAMPLER", "traceidratio")]] {
        let environment = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        assert!(Config::load(EXPORTING.json.as_bytes(), environment).is_ok());
        assert!(OnBadConfig::load(environment).is_ok());
    }
    let described: BTreeSet<String> = rows().into_iter().map(|(name, _)| name).collect();
    assert_eq!(described, asked.into_inner());
    let tried = ROWS.iter().map(|(name, ..)| (*name).to_owned()).chain([ON_BAD.to_owned()]);
    assert_eq!(described, tried.collect());
}

#[test]
fn each_variable_changes_the_configuration_and_an_empty_one_does_not() {
    for (name, value, _, setting) in ROWS {
        let unset = load_with(setting, "", "").expect("a configuration");
        let set = load_with(setting, name, value).expect(name);
        assert_ne!(set.config, unset.config, "{name}");
        assert_eq!(set.notices, unset.notices, "{name}");
        assert_eq!(load_with(setting, name, "").as_ref(), Ok(&unset), "{name}");
    }
}

#[test]
fn bad_values_are_refused_or_noted_as_the_reference_says() {
    let said = rows();
    let says = |name: &str| said.iter().find(|(other, _)| other == name).map(|(_, says)| says.as_str());
    for (name, _, bad, setting) in ROWS {
        let says = match says(name).expect(name) {
            "the same" => says("OTEL_EXPORTER_OTLP_TRACES_HEADERS").expect("the row above"),
            says => says,
        };
        let Some(bad) = bad else {
            assert_eq!(says, "there is none", "{name}");
            continue;
        };
        let unset = load_with(setting, "", "").expect("a configuration");
        match load_with(setting, name, bad) {
            Err(refusal) => {
                assert!(says == "refused" && refusal.to_string().starts_with(name), "{name}: {refusal}")
            }
            Ok(loaded) => {
                assert!(says.contains("is logged"), "{name}: {says}");
                assert_eq!(loaded.config, unset.config, "{name}");
                assert!(
                    loaded.notices.iter().any(|notice| notice.to_string().starts_with(name)),
                    "{:?}",
                    loaded.notices
                );
            }
        }
    }
    let on_bad = |value: &str| OnBadConfig::load(|name| (name == ON_BAD).then(|| value.to_owned()));
    assert_eq!((on_bad("refuse"), on_bad("bypass")), (Ok(OnBadConfig::Refuse), Ok(OnBadConfig::Bypass)));
    assert!(on_bad("").is_err() && on_bad("Bypass").is_err());
    assert_eq!(says(ON_BAD), Some("refused, an empty one too"));
}
