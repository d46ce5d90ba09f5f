//! With `--config`: what the filter does, and which entry decides.

use serde_json::{Value, json};

use crate::command::{File, ask};

const VALID: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNDECIDED: &str = "b3: 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

/// What the filter of a configuration does.
fn filter(config: &str, arguments: &[&str]) -> Value {
    let file = File::new(config.as_bytes());
    let said = ask(&[&["--json", "--config", file.path()], arguments].concat(), "");
    assert!(said.status.is_some_and(|status| status < 2), "{config}: {}", said.complaint);
    said.json()["exchanges"][0]["filter"].clone()
}

fn text(config: &str, arguments: &[&str]) -> String {
    let file = File::new(config.as_bytes());
    ask(&[&["--config", file.path()], arguments].concat(), "").printed
}

const TRUST: &str = r#"{"trust": {"default": "untrusted", "trusted": [{"san": "spiffe://mesh/ns/shop/*"},
        {"cidr": "10.0.0.0/8"}]}}"#;
const EXCLUDE: &str = r#"{"exclude": [{"path": "/x"}, {"method": "OPTIONS"}, "default"]}"#;
const EGRESS: &str = r#"{"egress": [{"match": {"host": "a.example"}, "strip": "baggage"},
        {"match": {"host": "*.example"}, "strip": "all"}]}"#;
const RULES: &str = r#"{"sampling": {"probability": 0, "rules": [{"match": {"path": "/x"}, "probability": 1},
        {"match": {"path_prefix": "/c"}, "probability": 1}]}}"#;

/// Conditions on the very headers that are about traces.
const BY_HEADER: &str = r#"{"exclude": [{"header": {"name": "traceparent"}}],
    "egress": [{"match": {"header": {"name": "b3"}}, "strip": "tracestate"}]}"#;

/// A configuration, what is asked, a place in the answer, and what must be there.
type Row = (&'static str, &'static [&'static str], &'static str, &'static str);

const ENTRIES: &[Row] = &[
    (TRUST, &[VALID], "/trusted", "false"),
    (TRUST, &[VALID], "/context", r#""untrusted""#),
    (TRUST, &[VALID, "--source-address", "10.1.2.3"], "/trusted_by", r#""trust.trusted[1]""#),
    (TRUST, &[VALID, "--source-address", "10.1.2.3:80"], "/context", r#""continued""#),
    (TRUST, &[VALID, "--peer-uri", "spiffe://mesh/ns/shop/sa/a"], "/trusted_by", r#""trust.trusted[0]""#),
    (TRUST, &[VALID, "--peer-principal", "spiffe://mesh/ns/pay/sa/a"], "/trusted", "false"),
    ("{}", &[VALID], "/trusted_by", "null"),
    (EXCLUDE, &[VALID, "--method", "OPTIONS"], "/excluded_by", r#""exclude[1]""#),
    (EXCLUDE, &[VALID, "--method", "GET"], "/excluded_by", "null"),
    (EXCLUDE, &["user-agent: kube-probe/1.30"], "/excluded_by", r#""exclude[2], the known requests""#),
    ("{}", &["user-agent: kube-probe/1.30"], "/excluded_by", r#""exclude, the known requests""#),
    (EGRESS, &[VALID, "--authority", "b.example:80"], "/egress", r#"{"entry": "egress[1]", "strip": "all"}"#),
    (EGRESS, &[VALID, "--authority", "a.example"], "/egress/entry", r#""egress[0]""#),
    (EGRESS, &[VALID, "--authority", "shop"], "/egress", "null"),
    (RULES, &["--path", "/cart?a", "accept: a"], "/sampling/rule", r#""sampling.rules[1]""#),
    (RULES, &["--path", "/cart", "accept: a"], "/sampling/sampled", "true"),
    (RULES, &["--path", "/other", "accept: a"], "/sampling/by", r#""probability""#),
    (RULES, &["--path", "/other", "accept: a"], "/sampling/sampled", "false"),
    (RULES, &["--path", "/cart", VALID], "/sampling/rule", "null"),
    (BY_HEADER, &["accept: a"], "/excluded_by", "null"),
    (BY_HEADER, &[VALID], "/excluded_by", r#""exclude[0]""#),
    (BY_HEADER, &["accept: a"], "/egress", "null"),
    (BY_HEADER, &["b3: 0"], "/egress/entry", r#""egress[0]""#),
];

#[test]
fn the_entry_that_decides_is_named() {
    for (config, arguments, place, expected) in ENTRIES {
        let arguments = [&["--direction", "outbound"], *arguments].concat();
        let answer = filter(config, &arguments);
        let expected: Value = serde_json::from_str(expected).expect("JSON");
        assert_eq!(answer.pointer(place), Some(&expected), "{config} {arguments:?}: {answer:#}");
    }
}

#[test]
fn what_chance_decides_is_a_probability() {
    let config = r#"{"direction": "inbound", "sampling": {"probability": 0.25}}"#;
    let answer = filter(config, &["accept: a"]);
    let sampling = &answer["sampling"];
    assert_eq!((&sampling["sampled"], &sampling["probability"]), (&Value::Null, &json!(0.25)));
    let outcomes = answer["outcomes"].as_array().expect("outcomes");
    let of = |place: usize, name: &str| outcomes[place][name].clone();
    assert_eq!([of(0, "probability"), of(0, "sampled")], [json!(0.25), json!(true)]);
    assert_eq!([of(1, "probability"), of(1, "sampled")], [json!(0.75), json!(false)]);
    let sent = |place: usize| outcomes[place]["request"]["changes"][0]["after"][0].clone();
    assert_eq!(
        [sent(0), sent(1)],
        ["00-<new trace-id>-<new parent-id>-03", "00-<new trace-id>-<new parent-id>-02"]
    );
    let text = text(config, &["accept: a"]);
    assert!(text.contains("Chance decides: it is recorded with probability 0.25."), "{text}");
    assert!(text.contains(", if it is not recorded\n"), "{text}");
    for probability in [0.1, 0.001, 0.999, 1e-9] {
        let config = format!(r#"{{"direction": "inbound", "sampling": {{"probability": {probability}}}}}"#);
        let told = filter(&config, &["accept: a"])["sampling"]["probability"].as_f64().expect("a number");
        assert!((told / probability - 1.0).abs() < 1e-3, "{probability}: {told}");
    }
    for (probability, sampled) in [(0, false), (1, true)] {
        let config = format!(r#"{{"direction": "inbound", "sampling": {{"probability": {probability}}}}}"#);
        let answer = filter(&config, &["accept: a"]);
        assert_eq!(answer["sampling"]["sampled"], sampled, "nothing is open: {answer}");
        assert_eq!(answer["outcomes"].as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn an_id_that_came_makes_the_decision_certain() {
    // The last 14 digits are the randomness: eb211c80319c… is 0.28 of all.
    for (probability, sampled) in [(0.5, false), (0.75, true)] {
        let config = format!(
            r#"{{"direction": "inbound", "propagation": {{"extract": ["b3"]}}, "sampling": {{"probability": {probability}}}}}"#
        );
        let answer = filter(&config, &[UNDECIDED]);
        let sampling = &answer["sampling"];
        assert_eq!((&sampling["sampled"], &sampling["probability"]), (&json!(sampled), &json!(probability)));
        let text = text(&config, &[UNDECIDED]);
        assert!(text.contains("the trace-id that came makes"), "{text}");
        assert!(text.contains("sampled        not decided: the filter decides"), "{text}");
    }
    // What an outsider chose does not.
    let config = r#"{"direction": "inbound", "trust": {"default": "untrusted", "untrusted": "ignore_sampled"},
        "sampling": {"probability": 0.5}}"#;
    assert_eq!(filter(config, &[VALID])["sampling"]["sampled"], Value::Null);
}

#[test]
fn a_decision_without_a_trace_is_obeyed() {
    let config =
        r#"{"direction": "inbound", "propagation": {"extract": ["b3"]}, "sampling": {"probability": 0.5}}"#;
    let answer = filter(config, &["b3: 0"]);
    assert_eq!((&answer["context"], &answer["sampling"]["by"]), (&json!("lost"), &json!("parent")));
    assert_eq!(answer["sampling"]["sampled"], false);
    let said = ask(&["b3: 0"], "");
    assert!(
        said.status == Some(0) && said.printed.contains("Do not sample. The filter obeys it"),
        "{}",
        said.printed
    );
    let unread = filter("{}", &["b3: 0", "--direction", "inbound"]);
    assert_eq!(unread["sampling"]["by"], "probability", "b3 is not read");
}

#[test]
fn a_new_parent_id_has_a_reason() {
    let outsider = r#"{"trust": {"default": "untrusted", "untrusted": "ignore_sampled"}}"#;
    let rows = [
        (r#"{"parent_id": "new"}"#, VALID, "new: parent_id: new\n"),
        (r#"{"sampling": {"parent": "ignore", "probability": 0}}"#, VALID, "(TP-32)\n"),
        (r#"{"export": {"otlp": {"cluster": "c"}}}"#, VALID, "new: a span of this hop can have it\n"),
        (outsider, VALID, "new: the sender is not trusted\n"),
        (
            r#"{"propagation": {"extract": ["xray"]}}"#,
            "x-amzn-trace-id: Root=1-0af76519-16cd43dd8448eb211c80319c",
            "new: what came names no parent\n",
        ),
    ];
    for (config, header, says) in rows {
        let text = text(config, &[header]);
        assert!(text.contains(says), "{config}: {text}");
    }
    assert!(!text("{}", &[VALID]).contains("  parent-id      new"));
    assert!(!text(r#"{"parent_id": "new"}"#, &["accept: a"]).contains("  parent-id      new"));
}

#[test]
fn a_rate_leaves_it_open() {
    for limit in [
        r#""max_traces_per_second_per_worker": 5"#,
        r#""max_traces_per_second": 0.5"#,
        r#""max_traces_per_second": 5, "max_traces_per_second_per_worker": 5"#,
        r#""rules": [{"match": {"path": "/"}, "probability": 1, "max_traces_per_second": 5}]"#,
    ] {
        let config = format!(r#"{{"direction": "inbound", "sampling": {{{limit}}}}}"#);
        let config = config.as_str();
        let answer = filter(config, &["accept: a", ":path: /"]);
        let sampling = &answer["sampling"];
        let said = (&sampling["sampled"], &sampling["can_exceed_rate"]);
        assert_eq!(said, (&Value::Null, &json!(true)), "{limit}");
        let last = &answer["outcomes"][1];
        assert_eq!((&last["probability"], &last["by"]), (&Value::Null, &json!("rate_limit")), "{limit}");
        assert!(text(config, &["accept: a", ":path: /"]).contains(", over the rate\n"), "{limit}");
        assert_eq!(filter(config, &[VALID])["sampling"]["can_exceed_rate"], false, "its parent decides");
    }
    let none = r#"{"direction": "inbound", "sampling": {"max_traces_per_second": 0}}"#;
    let sampling = &filter(none, &["accept: a"])["sampling"];
    assert_eq!((&sampling["sampled"], &sampling["by"]), (&json!(false), &json!("rate_limit")));
}

#[test]
fn secrets_are_not_shown() {
    let config = r#"{"direction": "inbound", "trust": {"default": "untrusted",
        "trusted": [{"header": "X-Trust", "value_env": "TRUST_SECRET"}]},
        "sampling": {"force": {"header": "x-force", "value_env": "TRUST_SECRET"}}}"#;
    let file = File::new(config.as_bytes());
    let environment = [("TRUST_SECRET".to_owned(), "friend".to_owned())].into();
    let lines =
        ["x-trust: friend", "x-force: friend", "authorization: Bearer friend", "cookie: a=friend", VALID];
    for form in ["--json", "--config"] {
        let arguments =
            [&[form][..], if form == "--json" { &["--config"] } else { &[] }, &[file.path()], &lines];
        let arguments: Vec<_> = arguments.concat().iter().map(std::ffi::OsString::from).collect();
        let said = crate::command::explain(&arguments, b"", &environment);
        let text = said.printed;
        assert!(said.status == Some(0) && !text.contains("friend"), "{text}");
        assert!(text.contains("trust.trusted[0]") && text.contains("<not shown>"), "{text}");
    }
}

#[test]
fn a_configuration_may_be_yaml_and_must_be_the_filters() {
    let yaml = "role: edge\ndirection: inbound\nheader: x-trace\n";
    let answer = filter(yaml, &["x-trace: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]);
    assert_eq!((&answer["role"], &answer["context"]), (&json!("edge"), &json!("continued")));
    let bare = filter(yaml, &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]);
    assert_eq!(bare["context"], "continued", "a value alone is that of the renamed header");
    assert_eq!(filter("", &[VALID])["mode"], "enforce", "an empty configuration is valid");
    for (config, says) in [
        (r#"{"mode": "perhaps"}"#, "mode: expected one of"),
        ("{", "expected valid JSON"),
        ("mode: [", "expected valid YAML"),
        ("\u{1b}", ""),
    ] {
        let file = File::new(config.as_bytes());
        let said = ask(&["--config", file.path(), VALID], "");
        assert_eq!(said.status, Some(2), "{config}");
        assert!(
            said.complaint.contains(says) && said.complaint.contains("tracewarden check"),
            "{}",
            said.complaint
        );
    }
}

#[test]
fn what_is_not_known_is_said_to_be_open() {
    let rows = [
        ("{}", "The direction is not known."),
        (r#"{"direction": "outbound", "correlation": {}}"#, "the memory is empty here"),
        (r#"{"exclude": [{"path": "/x"}]}"#, "State it with --path."),
        (r#"{"egress": [{"match": {"host": "a"}, "strip": "all"}]}"#, "State it with --authority."),
        (r#"{"egress": [{"match": {"route": "a"}, "strip": "all"}]}"#, "State it with --route."),
        (r#"{"exclude": [{"cluster": "a"}]}"#, "State it with --cluster."),
        (r#"{"trust": {"default": "untrusted", "trusted": [{"cidr": "10.0.0.0/8"}]}}"#, "--source-address"),
        (r#"{"trust": {"default": "untrusted", "trusted": [{"san": "a"}]}}"#, "--peer-uri"),
        (r#"{"mode": "observe", "hop": "after"}"#, "judges no request"),
    ];
    for (config, says) in rows {
        let notes = filter(config, &[VALID])["notes"].to_string();
        assert!(notes.contains(says), "{config}: {notes}");
    }
    let notes =
        filter(r#"{"direction": "inbound"}"#, &[VALID, "--direction", "outbound"])["notes"].to_string();
    assert!(notes.contains("has no effect"), "{notes}");
    assert_eq!(filter(r#"{"direction": "inbound"}"#, &[VALID])["notes"], json!([]));
    let off = filter(r#"{"enabled": false}"#, &[VALID]);
    assert_eq!((&off["context"], &off["trusted"]), (&Value::Null, &Value::Null));
}
