//! Each format says the same.

use serde_json::{Value, json};

use crate::support::{ONE, Scratch, Span, TWO, all, audit, audited, jaeger, otlp, otlp_of, span, zipkin};

/// `shop` calls `cart`; the client span of `cart`'s call to `stock` is missing.
const SPANS: [Span; 4] = [
    span(1, 0, "shop", "server", (1000, 9000)),
    span(2, 1, "shop", "client", (2000, 8000)),
    span(3, 2, "cart", "server", (3000, 7000)),
    span(9, 4, "stock", "server", (4000, 6000)),
];

fn counts(value: &Value) -> [u64; 4] {
    ["spans", "traces", "children", "missing"].map(|name| value[name].as_u64().expect(name))
}

#[test]
fn the_same_trace_gives_the_same_in_each_format() {
    for (format, input) in all(&SPANS) {
        let said = audit(&["--json"], &input);
        assert_eq!(said.code, Some(1), "{format}: {said:?}");
        let value = said.value();
        assert_eq!(counts(&value), [4, 1, 3, 1], "{format}");
        let part = json!({"cause": "unknown", "certainty": "not_known", "spans": 1});
        let pair = json!({"caller": null, "callee": "stock", "spans": 1, "missing": 1, "causes": [part], "example": ONE});
        assert_eq!(value["pairs"], json!([pair]), "{format}");
        assert_eq!(value["started_anew"], json!([]), "{format}");
        for (odd, count) in value["oddities"].as_object().expect("an object") {
            assert_eq!(count["count"], 0, "{format}: {odd}");
        }
        let intact =
            audit(&["--json"], &all(&SPANS[..3]).iter().find(|(name, _)| *name == format).expect("it").1);
        assert_eq!((intact.code, counts(&intact.value())), (Some(0), [3, 1, 2, 0]), "{format}");
    }
}

#[test]
fn each_way_to_write_a_format_is_read() {
    let lists = format!("[{},{}]", zipkin(&SPANS[..2]), zipkin(&SPANS[2..]));
    let answer: Value = serde_json::from_str(&jaeger(&SPANS)).expect("JSON");
    let one_trace = answer["data"][0].to_string();
    let all_spans: Vec<Value> = SPANS.iter().map(|span| otlp_of(span.service, &span.otlp())).collect();
    let resources: Vec<Value> =
        all_spans.iter().map(|document| document["resourceSpans"][0].clone()).collect();
    let one_document = json!({"resourceSpans": resources}).to_string();
    // A map of serde_json's sorts its fields: `resource` comes before `scopeSpans`. Here it does not.
    let resource_last = resources.iter().map(|resource| {
        let [name, scopes] = [&resource["resource"], &resource["scopeSpans"]];
        format!(r#"{{"resourceSpans":[{{"scopeSpans":{scopes},"resource":{name}}}]}}"#)
    });
    let named = otlp(&SPANS).replace("\"kind\":2", "\"kind\":\"SPAN_KIND_SERVER\"");
    let names = named.replace("\"kind\":3", "\"kind\":\"SPAN_KIND_CLIENT\"");
    let rows = [
        ("Zipkin: a list of traces", lists),
        ("Jaeger: one trace, its processes first", one_trace),
        ("OTLP: one document", one_document.clone()),
        (
            "OTLP: one document, in many lines",
            serde_json::to_string_pretty(&all_spans[0]).expect("JSON") + &otlp(&SPANS[1..]),
        ),
        ("OTLP: the resource last", resource_last.collect::<Vec<_>>().join("\n\n")),
        ("OTLP: kinds by name", names),
        ("OTLP: numbers as numbers", one_document.replace("\"1000000\"", "1000000")),
    ];
    for (reason, input) in rows {
        let value = audited(&input);
        assert_eq!(counts(&value), [4, 1, 3, 1], "{reason}");
        assert_eq!(value["pairs"][0]["callee"], "stock", "{reason}");
        assert_eq!(value["oddities"]["without_service"]["count"], 0, "{reason}");
    }
}

#[test]
fn files_and_formats_add_up() {
    let [one, two] =
        [Scratch::new("one.json", otlp(&SPANS[..2])), Scratch::new("two.json", zipkin(&SPANS[2..]))];
    let said = audit(&["--json", one.path(), two.path(), "-"], &jaeger(&[SPANS[0].of(TWO)]));
    assert_eq!(counts(&said.value()), [5, 2, 3, 1], "{said:?}");
}

#[test]
fn an_id_of_64_bits_is_the_one_that_is_padded_to_128() {
    const SHORT: &str = "a3ce929d0e0e4736";
    const PADDED: &str = "0000000000000000a3ce929d0e0e4736";
    let upper = "A3CE929D0E0E4736";
    let rows = [(SHORT, PADDED, 1), (PADDED, SHORT, 1), (SHORT, upper, 1), (SHORT, ONE, 2), (ONE, SHORT, 2)];
    for (first, second, traces) in rows {
        let input = json!([SPANS[0].of(first).zipkin(), SPANS[1].of(second).zipkin()]).to_string();
        let value = audited(&input);
        assert_eq!(value["traces"], traces, "{first} and {second}");
        assert_eq!(value["missing"], traces - 1, "{first} and {second}");
        assert_eq!(value["oddities"]["cut_trace_ids"]["count"], traces - 1, "{first} and {second}");
    }
}

#[test]
fn an_old_jaeger_writes_ids_without_zeros() {
    let input = jaeger(&SPANS[..2]).replace("000000000000000", "");
    assert!(input.contains(r#""spanID":"1""#), "{input}");
    let value = audited(&input);
    assert_eq!(counts(&value), [2, 1, 1, 0]);
    assert_eq!(value["oddities"]["bad_ids"]["count"], 0);
}

#[test]
fn a_reference_into_another_trace_is_no_parent() {
    let mut linked = SPANS[0].jaeger();
    linked["references"] = json!([{"refType": "FOLLOWS_FROM", "traceID": TWO, "spanID": "00000000000000aa"}]);
    let mut follows = SPANS[2].jaeger();
    follows["references"] =
        json!([{"refType": "FOLLOWS_FROM", "traceID": ONE, "spanID": "0000000000000001"}]);
    let spans = [linked, follows];
    let input = json!({"data": [{"traceID": ONE, "spans": spans, "processes": {}}]}).to_string();
    assert_eq!(counts(&audited(&input)), [2, 1, 1, 0]);
    let missing = json!({"refType": "FOLLOWS_FROM", "traceID": ONE, "spanID": "00000000000000aa"});
    let mut both = SPANS[1].jaeger();
    both["references"] = json!([missing, both["references"][0]]);
    let spans = [SPANS[0].jaeger(), both];
    let input = json!({"data": [{"traceID": ONE, "spans": spans, "processes": {}}]}).to_string();
    assert_eq!(counts(&audited(&input)), [2, 1, 1, 0], "CHILD_OF is the parent, wherever it stands");
}

#[test]
fn a_server_may_share_the_span_of_its_client() {
    let server = |shared: bool, parent: u64| {
        let mut half = Span { id: 2, parent, ..SPANS[2] }.zipkin();
        if shared {
            half["shared"] = json!(true);
        }
        half
    };
    let envoy = |shared: bool| {
        let mut outer = server(shared, 0);
        outer["localEndpoint"] = json!({"serviceName": "shop"});
        [outer["timestamp"], outer["duration"]] = [json!(2900), json!(4200)];
        outer
    };
    let [root, client] = [SPANS[0].zipkin(), SPANS[1].zipkin()];
    let inner = Span { id: 5, parent: 2, ..span(5, 2, "cart", "internal", (3100, 3200)) }.zipkin();
    let rows = [
        ("both halves", json!([root, client, server(true, 1), inner]), [4, 1, 3, 0]),
        ("the backend kept no `shared`", json!([root, client, server(false, 1), inner]), [4, 1, 3, 0]),
        ("the client's half is missing", json!([root, server(true, 1), inner]), [3, 1, 2, 1]),
        (
            "an Envoy says `shared` of the first span of a trace, so a client that is missing there is not proved",
            json!([server(true, 0), inner]),
            [2, 1, 1, 0],
        ),
        (
            "two Envoys share an id, both say `shared`",
            json!([server(true, 0), envoy(true), inner]),
            [3, 1, 2, 0],
        ),
        (
            "the backend kept no `shared` of two Envoys",
            json!([server(false, 0), envoy(false), inner]),
            [3, 1, 2, 0],
        ),
    ];
    for (reason, input, expected) in rows {
        let value = audited(&input.to_string());
        assert_eq!(counts(&value), expected, "{reason}: {value}");
        assert_eq!(value["oddities"]["duplicates"]["count"], 0, "{reason}");
    }
}

#[test]
fn of_two_halves_the_server_has_the_children() {
    let server = Span { id: 2, parent: 1, ..SPANS[2] };
    let answered = span(5, 2, "stock", "server", (3100, 3200));
    let lost = Span { id: 6, parent: 77, ..answered }.tagged(&[("peer.service", "cart")]);
    let value = audited(&zipkin(&[SPANS[0], SPANS[1], server, answered, lost]));
    let pair = &value["pairs"][0];
    assert_eq!(
        (&pair["caller"], &pair["spans"], &pair["missing"]),
        (&json!("cart"), &json!(2), &json!(1)),
        "{value}"
    );
}
