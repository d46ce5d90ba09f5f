//! The configuration: what is accepted, and what a refusal says.

use std::collections::BTreeSet;

use tracewarden::config::{Config, Loaded};
use tracewarden::formats::WrittenFormat;
use tracewarden::response::Injection;
use tracewarden::sampling::{Parent, Threshold};
use tracewarden::settings::{FaultKind, Faults, HeaderName, Step, Value};
use tracewarden::words::{
    DirectionWord, Format, Mode, ParentId, ResponseHeader, Role, Start, UpstreamContext, When,
};

pub(crate) fn load(json: &str) -> Result<Config, Faults> {
    Config::load(json.as_bytes(), |_| None).map(|loaded| loaded.config)
}

pub(crate) fn load_with(json: &str, variables: &[(&str, &str)]) -> Result<Loaded, Faults> {
    Config::load(json.as_bytes(), |name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

pub(crate) fn threshold(probability: &str) -> Threshold {
    Threshold::from_probability(probability).unwrap()
}

#[test]
fn everything_has_a_default() {
    let defaults = load("{}").unwrap();
    assert_eq!(load("").unwrap(), defaults);
    assert_eq!(load(" \n").unwrap(), defaults);
    assert!(defaults.enabled);
    assert_eq!((defaults.request.mode, defaults.request.role), (Mode::Enforce, Role::Internal));
    assert_eq!((defaults.request.start, defaults.request.parent_id), (Start::Always, ParentId::Auto));
    assert_eq!((defaults.request.direction, &*defaults.request.header), (DirectionWord::Auto, "traceparent"));
    assert_eq!(defaults.request.sampling.parent, Parent::Respect);
    assert_eq!(defaults.request.sampling.probability, Threshold::ALWAYS);
    assert!(defaults.response.validate && !defaults.request.access_log.filter_state);
    assert_eq!(defaults.response.inject, [Injection::Context(ResponseHeader::Traceparent)]);
    assert_eq!(defaults.response.upstream, UpstreamContext::Auto);
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
            "response": {"validate": false, "upstream": "keep", "when": "participating", "inject":
                ["traceresponse", "server-timing", "traceresponse", {"header": "X-Trace-Id"}, {"header": "x-trace-id"}]},
            "access_log": {"filter_state": true}, "log": {"format": "trace=%(trace_id)s"},
            "metrics": {"listener": "a-B_3."}
        }"#,
    )
    .unwrap();
    let defaults = load("{}").unwrap();
    assert!(!config.enabled && config.request.access_log.filter_state);
    assert_eq!((config.request.mode, config.request.role), (Mode::Observe, Role::Edge));
    assert_eq!((config.request.start, config.request.parent_id), (Start::Never, ParentId::New));
    assert_eq!((config.request.direction, &*config.request.header), (DirectionWord::Outbound, "x-trace"));
    assert_eq!(
        (config.request.sampling.parent, config.request.sampling.probability),
        (Parent::Raise, threshold("0.25"))
    );
    assert!(!config.response.validate);
    let [Injection::Context(first), Injection::Context(second), Injection::TraceId(name)] =
        &config.response.inject[..]
    else {
        panic!("{:?}", config.response.inject)
    };
    assert_eq!([*first, *second], [ResponseHeader::Traceresponse, ResponseHeader::ServerTiming]);
    assert_eq!(**name, *"x-trace-id");
    assert_eq!(config.response.when, When::Participating);
    assert_eq!(config.response.upstream, UpstreamContext::Keep);
    assert_ne!(config.request.exclude, defaults.request.exclude);
    assert_eq!(config.request.propagation.extract, [Format::B3, Format::Datadog], "twice counts once");
    assert_eq!(
        (config.request.propagation.inject, config.request.propagation.remove),
        (vec![WrittenFormat::new(Format::XRay).unwrap()], vec![HeaderName::parse("X-Old").unwrap()])
    );
    assert_ne!(config.request.log.format, defaults.request.log.format);
    assert_eq!(config.metrics.listener.as_deref(), Some("a-B_3."));
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
        (r#"{"moed": "edge"}"#, "unknown field `moed`; did you mean `mode`?"),
        (r#"{"rol": "edge"}"#, "unknown field `rol`; did you mean `role`?"),
        (r#"{"tracing": true}"#, "unknown field `tracing`; expected one of `mode`, `role`, `direction`, "),
        (r#"{"role": "gateway"}"#, r#"role: expected one of "edge", "internal", found "gateway""#),
        (r#"{"role": ["edge"]}"#, r#"role: expected one of "edge", "internal", found a list"#),
        (r#"{"start": null}"#, r#"start: expected one of "always", "never", found null"#),
        (r#"{"enabled": "yes"}"#, r#"enabled: expected true or false, found "yes""#),
        (r#"{"header": "trace parent"}"#, "header: expected a header name of 1 to 128 letters"),
        (r#"{"header": "Tracestate"}"#, "header: expected a header name of 1 to 128 letters"),
        (
            r#"{"exclude": ["defalt"]}"#,
            r#"exclude[0]: expected "default", or an object of conditions such as"#,
        ),
        (r#"{"exclude": ["default", {}]}"#, "exclude[1]: missing a condition"),
        (r#"{"header": "host"}"#, "header: expected a header name of 1 to 128 letters"),
        (r#"{"header": "User-Agent"}"#, "header: expected a header name of 1 to 128 letters"),
        (r#"{"header": "content-length"}"#, "header: expected a header name of 1 to 128 letters"),
        (r#"{"header": "uberctx-user"}"#, "header: expected a header name of 1 to 128 letters"),
        (r#"{"header": "jaeger-debug-id"}"#, "header: expected a header name of 1 to 128 letters"),
        (
            r#"{"propagation": {"remove": [""]}}"#,
            "propagation.remove[0]: expected a header name of 1 to 128 ",
        ),
        ("{\"a\\nb\": 1}", "unknown field `a\\nb`; expected one of"),
        (r#"{"sampling": [0.5]}"#, "sampling: expected an object, found a list"),
        (
            r#"{"sampling": {"probability": 7}}"#,
            "sampling.probability: expected a number from 0 to 1, found 7",
        ),
        (
            r#"{"sampling": {"probability": 1.5}}"#,
            "sampling.probability: expected a number from 0 to 1, found 1.5",
        ),
        (
            r#"{"sampling": {"probability": -1e-9}}"#,
            "sampling.probability: expected a number from 0 to 1, found -1e-9",
        ),
        (
            r#"{"sampling": {"probability": "half"}}"#,
            r#"sampling.probability: expected a number from 0 to 1, found "half""#,
        ),
        (
            r#"{"sampling": {"rate": 1}}"#,
            "sampling: unknown field `rate`; expected one of `probability`, `parent`, `rules`",
        ),
        (r#"{"sampling": {"rulse": 1}}"#, "sampling: unknown field `rulse`; did you mean `rules`?"),
        (
            r#"{"response": {"inject": "traceparent"}}"#,
            r#"response.inject: expected a list, found "traceparent""#,
        ),
        (
            r#"{"response": {"inject": ["traceparent", "b3"]}}"#,
            r#"response.inject[1]: expected "traceparent", "traceresponse", "server-timing", "server-timing-trace", or an object such as {"header": "x-trace-id"}, found "b3""#,
        ),
        (
            r#"{"response": {"inject": [1]}}"#,
            r#"response.inject[0]: expected "traceparent", "traceresponse", "#,
        ),
        (
            r#"{"response": {"inject": [{"header": "Set-Cookie"}]}}"#,
            r#"response.inject[0].header: expected a header name that has no meaning of its own, such as "x-trace-id", found "set-cookie""#,
        ),
        (
            r#"{"response": {"inject": [{"header": "a b"}]}}"#,
            "response.inject[0].header: expected a header name of",
        ),
        (r#"{"response": {"inject": [{}]}}"#, "response.inject[0]: missing `header`"),
        (
            r#"{"header": "x-trace", "response": {"inject": [{"header": "X-Trace"}]}}"#,
            r#"header: expected another name than those of the headers in response.inject, found "x-trace""#,
        ),
        (
            r#"{"exclude": [{"path": "/"}, {}]}"#,
            "exclude[1]: missing a condition: without one every request would match",
        ),
        (r#"{"exclude": [{"path": 1}]}"#, "exclude[0].path: expected a text, found 1"),
        (
            r#"{"exclude": [{"url": "/"}]}"#,
            "exclude[0]: unknown field `url`; expected one of `host`, `path`, ",
        ),
        (
            r#"{"propagation": {"extract": ["zipkin"]}}"#,
            r#"propagation.extract[0]: expected one of "tracecontext", "b3""#,
        ),
        (
            // SW-03
            r#"{"propagation": {"inject": ["xray", "xray", "sw8"]}}"#,
            r#"propagation.inject[2]: expected a format that can be written, found "sw8""#,
        ),
        (
            r#"{"metrics": {"listener": ""}}"#,
            r#"metrics.listener: expected a name of 1 to 64 letters, digits and _-., found """#,
        ),
        (r#"{"metrics": {"listener": "a;.;b"}}"#, "metrics.listener: expected a name of 1 to 64 letters"),
        (r#"{"metrics": {"listen": "a"}}"#, "metrics: unknown field `listen`; did you mean `listener`?"),
        (r#"{"log": {"format": "%(span)s"}}"#, "log.format: expected a text whose percent signs belong to "),
        (
            r#"{"direction": "sideways"}"#,
            r#"direction: expected one of "auto", "inbound", "outbound", found "sideways""#,
        ),
        (
            r#"{"trust": {"keep": [{"header": "x-datadog-origin", "values": ["rum"]}]}}"#,
            r#"trust.default: expected "untrusted" with what is kept from untrusted senders, found "trusted""#,
        ),
        (
            r#"{"trust": {"default": "untrusted", "keep": [{"header": "traceparent", "values": ["a"]}]}}"#,
            "trust.keep[0].header: expected a header in lower case that accompanies a context, such as x-datadog-origin; a member",
        ),
        (
            r#"{"trust": {"default": "untrusted", "keep": [{"header": "baggage", "values": ["a"]}]}}"#,
            "trust.keep[0].header: expected a header in lower case that accompanies a context",
        ),
        (
            r#"{"trust": {"default": "untrusted", "keep": [{"header": "x-datadog-origin", "baggage": "a", "values": ["a"]}]}}"#,
            "trust.keep[0]: expected either `header` or `baggage`",
        ),
        (
            r#"{"trust": {"default": "untrusted", "keep": [{"baggage": "a"}]}}"#,
            "trust.keep[0]: expected either `values` or `pattern`",
        ),
        (
            r#"{"trust": {"default": "untrusted", "keep": [{"baggage": "a b", "pattern": "b"}]}}"#,
            "trust.keep[0].baggage: expected a key of 1 to 128 letters, digits and ",
        ),
        (
            r#"{"sampling": {"max_traces_per_second": -1}}"#,
            "sampling.max_traces_per_second: expected a number from 0 to 1000000, found -1",
        ),
        (
            r#"{"exclude": [{"route": ""}]}"#,
            r#"exclude[0].route: expected a text that is not empty, found """#,
        ),
        ("[]", "configuration: expected an object, found a list"),
        (
            // A google.protobuf.Struct with the field `mode`, as Envoy hands it over.
            "\n\x11\n\x04mode\x12\t\x1a\x07observe",
            "configuration: expected JSON in a google.protobuf.StringValue, found bytes that are no text (is ",
        ),
        ("{} {}", "configuration: expected valid JSON (trailing characters at line 1 column 4)"),
        (r#"{"mode": "#, "configuration: expected valid JSON (EOF while parsing a value at line 1 column 8)"),
        (
            "{\n  \"mode\": observe\n}",
            "configuration: expected valid JSON (expected value at line 2 column 11)",
        ),
        (
            r#"{"sampling": {"rules": [{"match": {"path_regex": "("}, "probability": 1}]}}"#,
            r#"sampling.rules[0].match.path_regex: expected a regular expression, found "(" ("#,
        ),
        (
            r#"{"sampling": {"rules": [{"match": {"path_regex": "/a)|(?:/b"}, "probability": 1}]}}"#,
            r#"sampling.rules[0].match.path_regex: expected a regular expression, found "/a)|(?:/b" ("#,
        ),
        (r#"{"sampling": {"rules": [{"probability": 1}]}}"#, "sampling.rules[0]: missing `match`"),
        (r#"{"mode": "observe", "mode": "enforce"}"#, "duplicate field `mode`"),
        (r#"{"log": {"format": "a", "format": 1}}"#, "duplicate field `log.format`"),
        (r#"{"export": {}}"#, "export: missing one of `otlp`, `zipkin`"),
        (r#"{"export": {"otlp": null}}"#, "export: missing one of `otlp`, `zipkin`"),
        (
            r#"{"export": {"otlp": {"cluster": "a"}, "zipkin": {"cluster": "b"}}}"#,
            "export: expected one of `otlp`, `zipkin`, found several of them",
        ),
        (r#"{"export": {"otlp": {}}}"#, "export.otlp: missing `cluster`"),
        (
            r#"{"export": {"otlp": {"cluster": "a b"}}}"#,
            r#"export.otlp.cluster: expected a name of ASCII letters, digits and signs, found "a b""#,
        ),
        (
            r#"{"export": {"otlp": {"cluster": "a", "protocol": "http/json"}}}"#,
            r#"export.otlp.protocol: expected one of "http/protobuf", "grpc", found "http/json""#,
        ),
        (
            r#"{"export": {"otlp": {"cluster": "a", "protocol": "grpc", "path": "/x"}}}"#,
            r#"export.otlp.path: expected no path with "protocol": "grpc", found "/x""#,
        ),
        (
            r#"{"export": {"zipkin": {"cluster": "a", "path": "x"}}}"#,
            "export.zipkin.path: expected a path that begins with /",
        ),
        (
            r#"{"export": {"zipkin": {"cluster": "a", "protocol": "grpc"}}}"#,
            "export.zipkin: unknown field `protocol`; expected one of",
        ),
        (
            r#"{"export": {"otlp": {"cluster": "a"}, "queue": 0}}"#,
            "export.queue: expected a whole number from 1 to 1000000, found 0",
        ),
        (
            r#"{"export": {"otlp": {"cluster": "a"}, "queue": 2.0}}"#,
            "export.queue: expected a whole number from 1 to 1000000, found 2.0",
        ),
        (
            r#"{"export": {"otlp": {"cluster": "a"}}, "parent_id": "forward"}"#,
            r#"parent_id: expected "auto" or "new" with export"#,
        ),
        (
            r#"{"sampling": {"errors_per_second": 1}}"#,
            "sampling.errors_per_second: expected no value without export: there are no spans to record, found 1",
        ),
        (r#"{"span": {"kind": "producer"}}"#, r#"span.kind: expected one of "auto", "server""#),
        (
            r#"{"span": {"attributes": [{"name": "a"}]}}"#,
            "span.attributes[0]: missing one of `value`, `environment`, ",
        ),
        (
            r#"{"span": {"attributes": [{"name": "a", "value": "b", "environment": "c"}]}}"#,
            "span.attributes[0]: expected one of `value`, `environment`, ",
        ),
        (
            r#"{"span": {"attributes": [{"name": "a", "property": "b"}]}}"#,
            r#"span.attributes[0].property: expected a list, found "b""#,
        ),
        (
            r#"{"span": {"attributes": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}}"#,
            r#"span.attributes[1].name: expected a name that no other attribute has, found "a""#,
        ),
        (
            r#"{"service": {"attributes": {"service.name": "a"}}}"#,
            r#"service.attributes.service.name: expected the name in the field service.name, found "a""#,
        ),
        (r#"{"span": {"redact": ["("]}}"#, r#"span.redact[0]: expected a regular expression, found "(" ("#),
        (r#"{"service": {"attributes": {"a": 1}}}"#, "service.attributes.a: expected a text, found 1"),
        (
            r#"{"trust": {"trusted": [{"cidr": "10.0.0.0/8"}]}}"#,
            r#"trust.default: expected "untrusted" with a list of trusted senders, found "trusted""#,
        ),
        (
            r#"{"trust": {"default": "untrusted", "trusted": [{"cidr": "10.0.0.0/33"}]}}"#,
            r#"trust.trusted[0].cidr: expected a range of addresses, such as "10.0.0.0/8", found "10.0.0.0/33""#,
        ),
        (
            r#"{"trust": {"default": "untrusted", "trusted": [{"header": "x"}]}}"#,
            "trust.trusted[0]: missing `value_env`",
        ),
        (
            r#"{"sampling": {"force": {"header": "x", "value_env": "NOT_SET"}}}"#,
            r#"sampling.force.value_env: expected a variable of the environment that is set and not empty, found "NOT_SET""#,
        ),
    ];
    for (json, begin) in rows {
        let Faults(faults) = load(json).expect_err(json);
        let [fault] = &faults[..] else { panic!("{json}: {faults:?}") };
        let message = fault.to_string();
        assert!(message.starts_with(begin), "{json}: `{message}` does not begin with `{begin}`");
        assert!(!message.contains('\n'), "{json}: one line");
    }
}

#[test]
fn a_secret_has_a_header_of_its_own() {
    let rows: &[(&str, &str)] = &[
        (
            r#"{"sampling": {"force": {"header": "traceparent", "value_env": "S"}}}"#,
            r#"sampling.force.header: expected a header of its own, without a meaning in HTTP or for the filter, found "traceparent""#,
        ),
        (
            r#"{"trust": {"default": "untrusted", "trusted": [{"header": "cookie", "value_env": "S"}]}}"#,
            r#"trust.trusted[0].header: expected a header of its own, without a meaning in HTTP or for the filter, found "cookie""#,
        ),
        (
            r#"{"header": "x-mesh", "sampling": {"force": {"header": "x-mesh", "value_env": "S"}}}"#,
            r#"header: expected a header that holds no secret, found "x-mesh""#,
        ),
    ];
    for (json, begin) in rows {
        let faults = load_with(json, &[("S", "secret")]).expect_err(json).to_string();
        assert!(faults.starts_with(begin), "A15, {json}: `{faults}` does not begin with `{begin}`");
    }
}

#[test]
fn every_fault_is_reported_with_its_kind_and_place() {
    let json = r#"{
        "moed": "observe", "role": "gateway", "start": "never", "start": "always",
        "sampling": {"probability": 2, "rules": [{"probability": "x"}, {"match": {"path_regex": "("}, "probability": 1}]},
        "propagation": {"remove": ["a b", 1]},
        "export": {"otlp": {"cluster": "a", "timeout_ms": 0}},
        "parent_id": "forward"
    }"#;
    let Faults(faults) = load_with(json, &[("TRACE_SAMPLING_RATE", "10%")]).expect_err("faults");
    let found: BTreeSet<(String, &str)> =
        faults.iter().map(|fault| (fault.place(), fault.kind.label())).collect();
    let expected = [
        ("TRACE_SAMPLING_RATE", "environment"),
        ("moed", "unknown_field"),
        ("role", "unknown_word"),
        ("start", "duplicate_field"),
        ("sampling.probability", "out_of_range"),
        ("sampling.rules[0]", "missing_field"),
        ("sampling.rules[0].probability", "wrong_type"),
        ("sampling.rules[1].match.path_regex", "malformed"),
        ("propagation.remove[0]", "malformed"),
        ("propagation.remove[1]", "wrong_type"),
        ("export.otlp.timeout_ms", "out_of_range"),
    ];
    assert_eq!(found, expected.map(|(place, kind)| (place.to_owned(), kind)).into());
    assert_eq!(faults.len(), expected.len());
    let Faults(faults) =
        load(r#"{"parent_id": "forward", "export": {"otlp": {"cluster": "a"}}}"#).unwrap_err();
    assert_eq!(
        (faults[0].kind, &faults[0].path[..]),
        (FaultKind::Conflict, &[Step::Field("parent_id".into())][..])
    );
    assert_eq!(faults[0].found, "\"forward\"");
}

#[test]
fn so_many_faults_are_reported_that_a_log_can_take_them() {
    let fields: Vec<String> = (0..5_000).map(|number| format!(r#""{number}": 1"#)).collect();
    let Faults(faults) = load(&format!("{{{}}}", fields.join(","))).unwrap_err();
    assert_eq!(faults.len(), 100);
    let long = load(&format!(r#"{{"role": "{}"}}"#, "é".repeat(10_000))).unwrap_err().to_string();
    assert!(long.len() < 400 && long.ends_with("é\"…"), "{long}");
}

#[test]
fn a_tree_from_yaml_is_read_like_one_from_json() {
    let tree = Value::Object(vec![
        ("mode".to_owned(), Value::Text("observe".to_owned())),
        ("sampling".to_owned(), Value::Object(vec![("probability".to_owned(), Value::Float(0.1))])),
    ]);
    let json = r#"{"mode": "observe", "sampling": {"probability": 0.1}}"#;
    assert_eq!(Config::read(&tree, &|_| None).unwrap().config, load(json).unwrap());
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    assert!(Config::load(b"{\"mode\": \"\xff\"}", |_| None).is_err());
    assert!(Config::load(&[0xff; 64], |_| None).is_err());
}

#[test]
fn a_collector_is_called_by_its_host() {
    let authority =
        |json: &str| load(json).unwrap().export.expect("it exports").endpoint().authority().to_owned();
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
fn a_trace_id_stands_in_no_header_with_a_meaning_of_its_own() {
    let of_messages = ["Host", "set-cookie", "content-type", "location", "server", "vary", "grpc-status"];
    let of_browsers = ["access-control-expose-headers", "timing-allow-origin", "sec-fetch-site", "etag"];
    let of_envoy = ["x-envoy-upstream-service-time", "x-forwarded-for", "x-request-id", ":status", ""];
    let of_traces =
        ["traceparent", "TraceState", "baggage", "traceresponse", "server-timing", "b3", "x-b3-traceid"];
    for name in [&of_messages[..], &of_browsers, &of_envoy, &of_traces].concat() {
        let json = format!(r#"{{"response": {{"inject": [{{"header": "{name}"}}]}}}}"#);
        let refusal = load(&json).expect_err(name).to_string();
        assert!(refusal.starts_with("response.inject[0].header: expected a header name"), "{refusal}");
    }
    for name in ["x-trace-id", "Trace-Id", "x-correlation-id", "x-content", "hosts"] {
        assert!(
            load(&format!(r#"{{"response": {{"inject": [{{"header": "{name}"}}]}}}}"#)).is_ok(),
            "{name}"
        );
    }
}
