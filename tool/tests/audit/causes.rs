//! Why a parent is missing, and how sure that is.

use serde_json::{Value, json};

use crate::support::{ONE, Span, all, audited, otlp, otlp_of, span, zipkin};

const ROOT: Span = span(1, 0, "shop", "server", (1000, 9000));
const CALL: Span = span(2, 1, "shop", "client", (2000, 8000));
const LOST: Span = span(3, 77, "cart", "server", (3000, 7000));

/// Caller, callee, cause and certainty of the only pair.
fn only(value: &Value, reason: &str) -> [Value; 4] {
    let pairs = value["pairs"].as_array().expect("pairs");
    assert_eq!(pairs.len(), 1, "{reason}: {value}");
    let causes = pairs[0]["causes"].as_array().expect("causes");
    assert_eq!(causes.len(), 1, "{reason}: {value}");
    [&pairs[0]["caller"], &pairs[0]["callee"], &causes[0]["cause"], &causes[0]["certainty"]].map(Value::clone)
}

#[test]
fn a_cause_has_evidence() {
    const ID: &[(&str, &str)] = &[("guid:x-request-id", "6f1c")];
    let rows: &[(&str, &[Span], [&str; 4])] = &[
        ("nothing else is there", &[LOST], ["", "cart", "unknown", "not_known"]),
        (
            "an open call of another service is around it",
            &[ROOT, CALL, LOST],
            ["shop", "cart", "proxy", "suspected"],
        ),
        (
            "the call is of the same request",
            &[ROOT, CALL.tagged(ID), LOST.tagged(ID)],
            ["shop", "cart", "proxy", "proved"],
        ),
        (
            "of two calls, the one that names the service counts",
            &[
                ROOT,
                CALL.tagged(&[("server.address", "cart.shop.svc.cluster.local:8080")]),
                span(4, 1, "shop", "client", (2500, 8000)),
                span(5, 1, "till", "client", (2600, 8000)),
                LOST,
            ],
            ["shop", "cart", "proxy", "suspected"],
        ),
        (
            "the call has an answer in another service",
            &[ROOT, CALL, LOST, span(4, 2, "cart", "server", (2500, 2600))],
            ["", "cart", "unknown", "not_known"],
        ),
        (
            "the call ended before",
            &[ROOT, span(2, 1, "shop", "client", (1500, 2500)), LOST],
            ["", "cart", "unknown", "not_known"],
        ),
        (
            "a call of the service itself is no caller",
            &[span(1, 0, "cart", "server", (1000, 9000)), span(2, 1, "cart", "client", (2000, 8000)), LOST],
            ["", "cart", "unknown", "not_known"],
        ),
        (
            "a sampler of the service decided under a parent",
            &[ROOT, CALL, LOST.tagged(&[("sampler.type", "probabilistic")])],
            ["shop", "cart", "not_sampled", "suspected"],
        ),
        (
            "the request passed an Envoy, and none has a span",
            &[LOST.tagged(&[("http.request.header.x-envoy-attempt-count", "1")])],
            ["", "cart", "proxy", "suspected"],
        ),
        (
            "the request passed an Envoy that has spans",
            &[
                LOST.tagged(&[("http.request.header.x-envoy-attempt-count", "1")]),
                span(4, 3, "cart", "client", (3100, 3200)).tagged(&[("component", "proxy")]),
            ],
            ["", "cart", "unknown", "not_known"],
        ),
        (
            "a span within a service misses its own service's span",
            &[ROOT, span(4, 77, "shop", "internal", (2000, 2100))],
            ["shop", "shop", "unknown", "not_known"],
        ),
        (
            "the server names its caller",
            &[LOST.tagged(&[("peer.service", "till")])],
            ["till", "cart", "unknown", "not_known"],
        ),
        (
            "the address in a server's span is its own",
            &[LOST.tagged(&[("server.address", "cart.example.org")])],
            ["", "cart", "unknown", "not_known"],
        ),
    ];
    for (reason, spans, expected) in rows {
        for (format, input) in all(spans) {
            let told =
                only(&audited(&input), reason).map(|value| value.as_str().unwrap_or_default().to_owned());
            assert_eq!(told, *expected, "{format}: {reason}");
        }
    }
}

#[test]
fn siblings_tell_whose_span_is_missing() {
    let spans = [ROOT, CALL, span(4, 77, "till", "internal", (2100, 2200)), LOST];
    for (format, input) in all(&spans) {
        let value = audited(&input);
        let pairs: Vec<[&str; 2]> = value["pairs"]
            .as_array()
            .expect("pairs")
            .iter()
            .map(|pair| {
                assert_eq!(
                    pair["causes"][0]["cause"], "unknown",
                    "{format}: the service is known, not a proxy"
                );
                [pair["caller"].as_str().unwrap_or_default(), pair["callee"].as_str().unwrap_or_default()]
            })
            .collect();
        assert_eq!(pairs, [["till", "cart"], ["till", "till"]], "{format}");
    }
}

#[test]
fn flags_prove_only_what_they_say() {
    let not_sampled = ["not_sampled", "proved"];
    let unknown = ["unknown", "not_known"];
    let link = |flags: u64, id: &str| json!([{"traceId": ONE, "spanId": id, "flags": flags}]);
    let parent = "000000000000004d";
    let rows = [
        ("the whole byte is zero, as Go's SDK leaves it", json!(0x300), json!([]), unknown),
        ("no flags", Value::Null, json!([]), unknown),
        ("sampled", json!(0x301), json!([]), unknown),
        ("random, and not sampled", json!(0x302), json!([]), not_sampled),
        ("the same as text", json!("770"), json!([]), not_sampled),
        ("a link to the parent says so", json!(0x301), link(0x302, parent), not_sampled),
        ("a link to another span does not", json!(0x301), link(0x302, "00000000000000aa"), unknown),
    ];
    for (reason, flags, links, expected) in rows {
        let mut lost = LOST.otlp();
        lost["flags"] = flags;
        lost["links"] = links;
        let [_, _, cause, certainty] = only(&audited(&otlp_of("cart", &lost).to_string()), reason);
        assert_eq!([cause, certainty], expected.map(Value::from), "{reason}");
    }
}

#[test]
fn flags_tell_in_which_process_the_parent_is() {
    let rows = [
        ("remote, though the kind is inner", 0x301, "internal", ""),
        ("local, though it is a server", 0x101, "server", "cart"),
        ("not said: the kind tells", 0x001, "client", "cart"),
    ];
    for (reason, flags, kind, caller) in rows {
        let mut lost = Span { kind, ..LOST }.otlp();
        lost["flags"] = json!(flags);
        let [told, ..] = only(&audited(&otlp_of("cart", &lost).to_string()), reason);
        assert_eq!(told.as_str().unwrap_or_default(), caller, "{reason}");
    }
}

#[test]
fn an_envoy_calls_for_an_application() {
    let egress = span(3, 77, "cart", "client", (3000, 7000)).tagged(&[("component", "proxy")]);
    let value = audited(&otlp(&[egress]));
    assert_eq!(value["pairs"][0]["caller"], Value::Null, "{value}");
}

#[test]
fn zipkin_names_the_other_side() {
    let mut lost = LOST.zipkin();
    lost["remoteEndpoint"] = json!({"serviceName": "till"});
    let value = audited(&json!([lost]).to_string());
    assert_eq!(value["pairs"][0]["caller"], "till");
}

#[test]
fn a_share_is_of_the_spans_between_the_same_services() {
    let good = [
        ROOT,
        CALL,
        span(4, 2, "cart", "server", (2100, 2200)),
        span(5, 4, "cart", "internal", (2110, 2120)),
    ];
    let spans: Vec<Span> =
        good.into_iter().chain([span(6, 1, "shop", "client", (2900, 7100)), LOST]).collect();
    let value = audited(&zipkin(&spans));
    assert_eq!((&value["children"], &value["missing"]), (&json!(5), &json!(1)));
    let pair = &value["pairs"][0];
    assert_eq!(
        (&pair["caller"], &pair["spans"], &pair["missing"]),
        (&json!("shop"), &json!(2), &json!(1)),
        "{value}"
    );
}

#[test]
fn the_worst_pair_comes_first() {
    let spans = [
        LOST,
        span(10, 77, "stock", "server", (1, 2)),
        span(11, 78, "stock", "server", (1, 2)),
        span(12, 79, "stock", "server", (1, 2)),
    ];
    let value = audited(&zipkin(&spans));
    let callees: Vec<&Value> =
        value["pairs"].as_array().expect("pairs").iter().map(|pair| &pair["callee"]).collect();
    assert_eq!(callees, ["stock", "cart"]);
}
