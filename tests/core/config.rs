//! The configuration: what is accepted, and what a refusal says.

use tracewarden::config::{
    Config, ConfigError, Loaded, Mode, OnBadConfig, ParentId, ResponseHeader, Role, Start, When,
};
use tracewarden::metrics::Direction;
use tracewarden::propagation::Format;
use tracewarden::sampling::{Parent, Threshold};

fn load(json: &str) -> Result<Config, ConfigError> {
    Config::load(json.as_bytes(), |_| None).map(|loaded| loaded.config)
}

fn load_with(json: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    Config::load(json.as_bytes(), |name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

fn threshold(probability: &str) -> Threshold {
    Threshold::from_probability(probability).unwrap()
}

#[test]
fn everything_has_a_default() {
    let defaults = load("{}").unwrap();
    assert_eq!(load("").unwrap(), defaults);
    assert_eq!(load(" \n").unwrap(), defaults);
    assert!(defaults.enabled);
    assert_eq!((defaults.mode, defaults.role), (Mode::Enforce, Role::Internal));
    assert_eq!((defaults.start, defaults.parent_id), (Start::Always, ParentId::Auto));
    assert_eq!((defaults.direction, defaults.propagation.header.as_str()), (None, "traceparent"));
    assert_eq!(defaults.sampling.parent, Parent::Respect);
    assert_eq!(defaults.sampling.probability, Threshold::ALWAYS);
    assert!(defaults.response.validate && !defaults.filter_state);
    assert_eq!(defaults.response.inject, [ResponseHeader::Traceparent]);
    assert_eq!(defaults.response.when, When::Always);
}

#[test]
fn every_field_is_read() {
    let config = load(
        r#"{
            "enabled": false, "mode": "observe", "role": "edge", "direction": "outbound", "start": "never",
            "parent_id": "new", "header": "X-Trace",
            "propagation": {"extract": ["b3", "datadog", "b3"], "inject": ["xray"], "remove": ["X-Old"]},
            "sampling": {"probability": 0.25, "parent": "raise"},
            "exclude": [{"path_prefix": "/healthz", "method": "GET"}],
            "response": {"validate": false, "inject": ["traceresponse", "server-timing", "traceresponse"], "when": "sampled"},
            "access_log": {"filter_state": true}, "log": {"format": "trace=%(trace_id)s"},
            "metrics": {"listener": "a-B_3."}
        }"#,
    )
    .unwrap();
    let defaults = load("{}").unwrap();
    assert!(!config.enabled && config.filter_state);
    assert_eq!((config.mode, config.role), (Mode::Observe, Role::Edge));
    assert_eq!((config.start, config.parent_id), (Start::Never, ParentId::New));
    assert_eq!(
        (config.direction, config.propagation.header.as_str()),
        (Some(Direction::Outbound), "x-trace")
    );
    assert_eq!((config.sampling.parent, config.sampling.probability), (Parent::Raise, threshold("0.25")));
    assert!(!config.response.validate);
    assert_eq!(config.response.inject, [ResponseHeader::Traceresponse, ResponseHeader::ServerTiming]);
    assert_eq!(config.response.when, When::Sampled);
    assert_ne!(config.exclude, defaults.exclude);
    assert_eq!(config.propagation.extract, [Format::B3, Format::Datadog], "twice counts once");
    assert_eq!(
        (config.propagation.inject, config.propagation.remove),
        (vec![Format::XRay], vec!["x-old".to_owned()])
    );
    assert_ne!(config.log_format, defaults.log_format);
    assert_eq!(config.listener.as_deref(), Some("a-B_3."));
}

#[test]
fn null_is_nothing_where_nothing_is_the_default() {
    let json = r#"{"correlation": null, "export": null, "service": {"name": null}, "metrics": {"listener": null},
        "sampling": {"max_traces_per_second_per_worker": null, "force": null, "errors_per_second": null}}"#;
    assert_eq!(load(json), load("{}"));
}

#[test]
fn a_refusal_names_the_path_the_bound_and_the_value() {
    let rows: &[(&str, &str)] = &[
        (r#"{"rol": "edge"}"#, "rol: there is no such field; there are enabled, mode, role, "),
        (r#"{"role": "gateway"}"#, r#"role: "gateway" is not one of "edge", "internal""#),
        (r#"{"role": ["edge"]}"#, r#"role: a list is not one of "edge", "internal""#),
        (r#"{"start": null}"#, r#"start: null is not one of "always", "never""#),
        (r#"{"enabled": "yes"}"#, r#"enabled: "yes" is not true or false"#),
        (r#"{"header": "trace parent"}"#, r#"header: "trace parent" is not a header name of 1 to 128 "#),
        (r#"{"header": "Tracestate"}"#, r#"header: "tracestate" is the name of another header"#),
        (r#"{"header": "B3"}"#, r#"header: "b3" is the name of another header"#),
        (r#"{"header": "server-timing"}"#, r#"header: "server-timing" is the name of another header"#),
        ("{\"a\\nb\": 1}", "a\\nb: there is no such field"),
        (r#"{"sampling": [0.5]}"#, "sampling: a list is not an object"),
        (r#"{"sampling": {"probability": 1.5}}"#, "sampling.probability: 1.5 is not a number from 0 to 1"),
        (
            r#"{"sampling": {"probability": -1e-9}}"#,
            "sampling.probability: -1e-9 is not a number from 0 to 1",
        ),
        (
            r#"{"sampling": {"probability": "half"}}"#,
            r#"sampling.probability: "half" is not a number from 0 to 1"#,
        ),
        (
            r#"{"sampling": {"rate": 1}}"#,
            "sampling.rate: there is no such field; there are probability, parent",
        ),
        (r#"{"response": {"inject": "traceparent"}}"#, r#"response.inject: "traceparent" is not a list"#),
        (r#"{"response": {"inject": ["traceparent", "b3"]}}"#, r#"response.inject[1]: "b3" is not one of "#),
        (r#"{"exclude": [{"path": "/"}, {}]}"#, "exclude[1]: without a condition every request would match"),
        (r#"{"exclude": [{"path": 1}]}"#, "exclude[0].path: 1 is not a text"),
        (
            r#"{"exclude": [{"url": "/"}]}"#,
            "exclude[0].url: there is no such field; there are host, path, path_prefix",
        ),
        (
            r#"{"propagation": {"extract": ["zipkin"]}}"#,
            r#"propagation.extract[0]: "zipkin" is not one of "tracecontext", "b3""#,
        ),
        // SW-03
        (r#"{"propagation": {"inject": ["sw8"]}}"#, r#"propagation.inject[0]: "sw8" can only be read"#),
        (r#"{"propagation": {"remove": [""]}}"#, r#"propagation.remove[0]: "" is not a header name"#),
        (r#"{"metrics": {"listener": ""}}"#, r#"metrics.listener: "" is not a name of 1 to 64 letters"#),
        (r#"{"metrics": {"listener": "a;.;b"}}"#, r#"metrics.listener: "a;.;b" is not a name"#),
        (r#"{"metrics": {"listen": "a"}}"#, "metrics.listen: "),
        (r#"{"log": {"format": "%(span)s"}}"#, r#"log.format: "%(span)s" has a % that begins neither"#),
        (
            r#"{"direction": "sideways"}"#,
            r#"direction: "sideways" is not one of "auto", "inbound", "outbound""#,
        ),
        (r#"{"export": {"otlp": null}}"#, "export: there must be either otlp or zipkin"),
        ("[]", "the configuration: a list is not an object"),
        ("{} {}", "the configuration: the end is due at line 1, column 4"),
        (r#"{"mode": "#, "the configuration: a value is due at line 1, column 9"),
        (
            r#"{"sampling": {"rules": [{"match": {"path_regex": "("}, "probability": 1}]}}"#,
            r#"sampling.rules[0].match.path_regex: "(" is no regular expression: "#,
        ),
        (
            r#"{"sampling": {"rules": [{"match": {"path_regex": "/a)|(?:/b"}, "probability": 1}]}}"#,
            r#"sampling.rules[0].match.path_regex: "/a)|(?:/b" is no regular expression: "#,
        ),
        (r#"{"mode": "observe", "mode": "enforce"}"#, "the configuration: another name is due"),
        (r#"{"export": {}}"#, "export: there must be either otlp or zipkin"),
        (
            r#"{"export": {"otlp": {"cluster": "a"}, "zipkin": {"cluster": "b"}}}"#,
            "export: there must be either otlp or zipkin",
        ),
        (r#"{"export": {"otlp": {}}}"#, "export.otlp: there must be a cluster"),
        (r#"{"export": {"otlp": {"cluster": "a b"}}}"#, r#"export.otlp.cluster: "a b" is not a name"#),
        (
            r#"{"export": {"otlp": {"cluster": "a", "protocol": "http/json"}}}"#,
            r#"export.otlp.protocol: "http/json" is not one of "http/protobuf", "grpc""#,
        ),
        (
            r#"{"export": {"otlp": {"cluster": "a", "protocol": "grpc", "path": "/x"}}}"#,
            "export.otlp.path: there is no such field",
        ),
        (
            r#"{"export": {"zipkin": {"cluster": "a", "path": "x"}}}"#,
            r#"export.zipkin.path: "x" does not begin with /"#,
        ),
        (
            r#"{"export": {"zipkin": {"cluster": "a", "protocol": "grpc"}}}"#,
            "export.zipkin.protocol: there is no",
        ),
        (
            r#"{"export": {"otlp": {"cluster": "a"}, "queue": 0}}"#,
            "export.queue: 0 is not a whole number from 1 to 1000000",
        ),
        (
            r#"{"export": {"otlp": {"cluster": "a"}}, "parent_id": "forward"}"#,
            r#"parent_id: "forward" leaves no parent-id for the spans that export sends: use "auto""#,
        ),
        (
            r#"{"sampling": {"errors_per_second": 1}}"#,
            "sampling.errors_per_second: without export there are no spans to record",
        ),
        (r#"{"span": {"kind": "producer"}}"#, r#"span.kind: "producer" is not one of "auto", "server""#),
        (
            r#"{"span": {"attributes": [{"name": "a"}]}}"#,
            "span.attributes[0]: there must be a name, and one of",
        ),
        (
            r#"{"span": {"attributes": [{"name": "a", "value": "b", "environment": "c"}]}}"#,
            "span.attributes[0]: there must be a name, and one of",
        ),
        (
            r#"{"span": {"attributes": [{"name": "a", "property": "b"}]}}"#,
            r#"span.attributes[0].property: "b" is not a list"#,
        ),
        (
            r#"{"span": {"attributes": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}}"#,
            r#"span.attributes[1]: there is another attribute "a""#,
        ),
        (
            r#"{"service": {"attributes": {"service.name": "a"}}}"#,
            "service.attributes.service.name: the name stands in service.name",
        ),
        (r#"{"span": {"redact": ["("]}}"#, r#"span.redact[0]: "(" is no regular expression"#),
        (r#"{"service": {"attributes": {"a": 1}}}"#, "service.attributes.a: 1 is not a text"),
    ];
    for (json, begin) in rows {
        let message = load(json).expect_err(json).to_string();
        assert!(message.starts_with(begin), "{json}: `{message}` does not begin with `{begin}`");
        assert!(!message.contains('\n'), "{json}: one line");
    }
}

#[test]
fn octets_that_are_not_text_are_refused() {
    assert!(Config::load(b"{\"mode\": \"\xff\"}", |_| None).is_err());
    assert!(Config::load(&[0xff; 64], |_| None).is_err());
}

#[test]
fn the_environment_gives_defaults_that_the_json_overrides() {
    let variables = [
        ("ENABLE_DISTRIBUTED_TRACING", "False"),
        ("TRACE_SAMPLING_RATE", "0.1"),
        ("TRACE_HEADER_NAME", "X-Trace"),
        ("TRACE_LOG_FORMAT", "%(span_id)s"),
    ];
    let Loaded { config, notices } = load_with("", &variables).unwrap();
    assert_eq!((config.enabled, config.propagation.header.as_str()), (false, "x-trace"));
    assert_eq!(config.sampling.probability, threshold("0.1"));
    assert_ne!(config.log_format, load("").unwrap().log_format);
    assert!(notices.is_empty());

    let json = r#"{"enabled": true, "header": "traceparent", "sampling": {"probability": 1}, "log": {"format": ""}}"#;
    assert_eq!(load_with(json, &variables).unwrap().config, load(json).unwrap());
    let empty = variables.map(|(name, _)| (name, ""));
    assert_eq!(load_with("", &empty).unwrap().config, load("").unwrap(), "an empty variable counts as unset");
}

#[test]
fn a_bad_variable_of_ours_is_refused() {
    let rows = [
        ("ENABLE_DISTRIBUTED_TRACING", "on", r#""on" is neither "true" nor "false""#),
        ("TRACE_SAMPLING_RATE", "10%", "10% is not a number from 0 to 1"),
        ("TRACE_SAMPLING_RATE", "0.1\n0.2", "0.1\\n0.2 is not a number from 0 to 1"),
        ("TRACE_HEADER_NAME", "a b", r#""a b" is not a header name"#),
        ("TRACE_HEADER_NAME", "baggage", r#""baggage" is the name of another header"#),
        ("TRACE_LOG_FORMAT", "100%", r#""100%" has a % that begins neither"#),
    ];
    for (name, value, problem) in rows {
        let message = load_with("", &[(name, value)]).expect_err(name).to_string();
        assert!(message.starts_with(&format!("{name}: {problem}")), "{message}");
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
        assert_eq!((config.sampling.parent, config.sampling.probability), (parent, probability), "{name}");
        assert!(notices.is_empty(), "{name}: {notices:?}");
        let ours = [variables[0], variables[1], ("TRACE_SAMPLING_RATE", "0.125")];
        assert_eq!(load_with("", &ours).unwrap().config.sampling.probability, threshold("0.125"), "{name}");
    }
}

#[test]
fn a_bad_variable_of_opentelemetrys_counts_as_unset_and_is_noted() {
    let rows: &[(&[(&str, &str)], &str)] = &[
        (&[("OTEL_TRACES_SAMPLER", "jaeger_remote")], "OTEL_TRACES_SAMPLER: \"jaeger_remote\""),
        (
            &[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")],
            "OTEL_TRACES_SAMPLER_ARG: \"2\"",
        ),
        (&[("OTEL_PROPAGATORS", "tracecontext,zipkin,baggage")], "OTEL_PROPAGATORS: \"zipkin\""),
    ];
    for (variables, begin) in rows {
        let Loaded { config, notices } = load_with("", variables).unwrap();
        assert_eq!(config, load("").unwrap(), "{variables:?}");
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].starts_with(begin), "{notices:?}");
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
        assert!(
            notices[0].starts_with("OTEL_RESOURCE_ATTRIBUTES: ") && !notices[0].contains(bad),
            "{notices:?}"
        );
    }
}

#[test]
fn a_collector_is_called_by_its_host() {
    let authority = |json: &str| load(json).unwrap().export.expect("it exports").authority;
    let rows = [
        (r#"{"cluster": "otel_collector"}"#, "otel_collector"),
        (r#"{"cluster": "outbound|4318||otel.obs.svc.cluster.local"}"#, "otel.obs.svc.cluster.local"),
        (r#"{"cluster": "outbound|4318||otel.obs.svc.cluster.local", "authority": "otel"}"#, "otel"),
    ];
    for (collector, host) in rows {
        assert_eq!(authority(&format!(r#"{{"export": {{"otlp": {collector}}}}}"#)), host);
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
    assert!(notices[0].contains("cannot be sent") && !notices[0].contains("secr"), "{notices:?}");
    assert!(headers(r#"{"export": {"zipkin": {"cluster": "a"}}}"#, &[general]).is_empty(), "not OTLP");
}

#[test]
fn a_bad_configuration_is_refused_unless_the_environment_says_bypass() {
    let read =
        |word: &str| OnBadConfig::load(|name| (name == "TRACEWARDEN_ON_BAD_CONFIG").then(|| word.to_owned()));
    assert_eq!(OnBadConfig::load(|_| None), Ok(OnBadConfig::Refuse));
    assert_eq!((read("refuse"), read("bypass")), (Ok(OnBadConfig::Refuse), Ok(OnBadConfig::Bypass)));
    let message = read("ignore").unwrap_err().to_string();
    assert_eq!(message, r#"TRACEWARDEN_ON_BAD_CONFIG: "ignore" is neither "refuse" nor "bypass""#);
}
