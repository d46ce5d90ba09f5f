//! What is odd is counted and named, and ends nothing.

use serde_json::{Value, json};

use crate::support::{ONE, Span, all, audit, audited, jaeger, otlp_of, span, zipkin};

const GOOD: [Span; 2] =
    [span(1, 0, "shop", "server", (1000, 9000)), span(2, 1, "shop", "client", (2000, 8000))];

/// How often something odd was counted, and the example.
fn odd(value: &Value, name: &str) -> (u64, String) {
    let count = &value["oddities"][name];
    (count["count"].as_u64().expect("a count"), count["example"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn an_id_of_a_wrong_length_is_counted_and_the_rest_is_read() {
    let rows: &[(&str, &str, &str, u64)] = &[
        ("traceId", "4bf92f3577b34da6a3ce929d0e0e473", "31 digits", 2),
        ("traceId", "", "none", 2),
        ("traceId", "00000000000000000000000000000000", "all zero", 2),
        ("id", "123", "too short", 2),
        ("id", "00000000000000011", "too long", 2),
        ("id", "+000000000000001", "a sign", 2),
        ("id", "000000000000000g", "no digit", 2),
        ("id", "S/kvNXezTaajzpKdDg5HNg==", "base64", 2),
        ("parentId", "5", "the span stays, its parent is not known", 3),
    ];
    for (field, text, reason, spans) in rows {
        let mut bad = span(7, 1, "cart", "server", (3000, 7000)).zipkin();
        bad[field] = json!(text);
        let value = audited(&json!([GOOD[0].zipkin(), bad, GOOD[1].zipkin()]).to_string());
        let (count, example) = odd(&value, "bad_ids");
        assert_eq!(
            (count, &value["spans"], &value["missing"]),
            (1, &json!(spans), &json!(0)),
            "{reason}: {value}"
        );
        assert!(
            example.contains("expected") && example.contains("hexadecimal digits"),
            "{reason}: {example}"
        );
    }
}

#[test]
fn all_zero_is_no_parent() {
    let mut root = GOOD[0].otlp();
    root["parentSpanId"] = json!("0000000000000000");
    let value = audited(&otlp_of("shop", &root).to_string());
    assert_eq!((odd(&value, "bad_ids").0, &value["missing"]), (0, &json!(0)));
}

#[test]
fn cycles_are_counted() {
    let rows: &[(&str, &[Span], u64)] = &[
        ("its own parent", &[span(1, 1, "shop", "internal", (1, 2))], 1),
        (
            "each other's",
            &[span(1, 2, "shop", "internal", (1, 2)), span(2, 1, "shop", "internal", (1, 2))],
            2,
        ),
        (
            "three, and one that hangs on them",
            &[
                span(1, 2, "shop", "internal", (1, 2)),
                span(2, 3, "shop", "internal", (1, 2)),
                span(3, 1, "shop", "internal", (1, 2)),
                span(4, 3, "shop", "internal", (1, 2)),
            ],
            3,
        ),
        ("none", &GOOD, 0),
    ];
    for (reason, spans, expected) in rows {
        for (format, input) in all(spans) {
            let value = audited(&input);
            assert_eq!(odd(&value, "cycles").0, *expected, "{format}: {reason}");
            assert_eq!(value["missing"], 0, "{format}: {reason}");
        }
    }
}

#[test]
fn duplicates_are_counted_and_count_once() {
    let twice = [GOOD[0], GOOD[1], GOOD[1], GOOD[1]];
    for (format, input) in all(&twice) {
        let value = audited(&input);
        assert_eq!((odd(&value, "duplicates").0, &value["spans"]), (2, &json!(2)), "{format}");
        assert!(odd(&value, "duplicates").1.contains("0000000000000002"), "{format}");
    }
    let taken = [GOOD[0], GOOD[1], span(2, 1, "cart", "internal", (1, 2))];
    let value = audited(&zipkin(&taken));
    assert_eq!((odd(&value, "duplicates").0, &value["spans"]), (1, &json!(3)), "an id that two spans have");
}

#[test]
fn what_is_no_span_is_counted() {
    let good = GOOD[0].zipkin();
    let value = audited(&json!([good, 1, null, "x", {"name": "y"}, [GOOD[1].zipkin()]]).to_string());
    assert_eq!((odd(&value, "not_spans").0, &value["spans"]), (3, &json!(2)), "{value}");
    let answer = jaeger(&GOOD).replace("\"spans\":[", "\"spans\":[17,[],");
    let value = audited(&answer);
    assert_eq!((odd(&value, "not_spans").0, &value["spans"]), (2, &json!(2)), "{value}");
}

#[test]
fn a_field_of_a_wrong_type_is_as_if_it_were_not_there() {
    let mut span = GOOD[1].zipkin();
    for field in ["timestamp", "duration", "kind", "tags", "localEndpoint", "remoteEndpoint", "shared"] {
        for value in [json!(null), json!([1, {}]), json!({"a": []}), json!(-1.5e300), json!("x")] {
            span[field] = value;
            let input = json!([GOOD[0].zipkin(), span]).to_string();
            let said = audit(&["--json"], &input);
            assert_eq!(said.value()["spans"], 2, "{input}: {said:?}");
        }
    }
}

#[test]
fn a_span_without_a_service_is_counted() {
    let nameless = Span { service: "", ..GOOD[1] };
    for (format, input) in all(&[GOOD[0], nameless]) {
        let (count, example) = odd(&audited(&input), "without_service");
        assert_eq!((count, example.contains(ONE)), (1, true), "{format}: {example}");
    }
}

#[test]
fn nameless_spans_have_a_pair_too() {
    let value = audited(&zipkin(&[Span { service: "", parent: 77, ..GOOD[0] }]));
    let pair = &value["pairs"][0];
    assert_eq!(
        (&pair["callee"], &pair["spans"], &pair["missing"]),
        (&json!(null), &json!(1), &json!(1)),
        "{value}"
    );
}
