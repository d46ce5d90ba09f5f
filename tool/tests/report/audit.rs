//! `tracewarden audit` of files: what each format says, what is missing, and why.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::support::{Said, requests, run, stats_json};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const OTHER: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A span, whatever the format.
#[derive(Clone, Copy)]
struct Span<'a> {
    trace: &'a str,
    id: u64,
    parent: u64,
    service: &'a str,
    kind: &'a str,
    /// Milliseconds.
    time: (u64, u64),
    tags: &'a [(&'a str, &'a str)],
}

const fn span<'a>(id: u64, parent: u64, service: &'a str, kind: &'a str, time: (u64, u64)) -> Span<'a> {
    Span { trace: TRACE, id, parent, service, kind, time, tags: &[] }
}

fn hex(id: u64) -> String {
    format!("{id:016x}")
}

fn number_of(kind: &str) -> usize {
    let kinds = ["", "internal", "server", "client", "producer", "consumer"];
    kinds.iter().position(|of| *of == kind).expect("a kind")
}

fn otlp(spans: &[Span<'_>]) -> Value {
    let resource = |span: &Span<'_>| {
        let attribute = |(key, value): &(&str, &str)| json!({"key": key, "value": {"stringValue": value}});
        let nanos = |ms: u64| (ms * 1_000_000).to_string();
        let parent = if span.parent == 0 { String::new() } else { hex(span.parent) };
        let one = json!({"traceId": span.trace, "spanId": hex(span.id), "parentSpanId": parent, "kind": number_of(span.kind),
            "startTimeUnixNano": nanos(span.time.0), "endTimeUnixNano": nanos(span.time.1), "flags": 257,
            "attributes": span.tags.iter().map(attribute).collect::<Vec<_>>()});
        json!({"scopeSpans": [{"spans": [one]}],
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": span.service}}]}})
    };
    json!({"resourceSpans": spans.iter().map(resource).collect::<Vec<_>>()})
}

pub(crate) fn jaeger(spans: &[(u64, u64, &str, &str)]) -> Value {
    let spans: Vec<Span<'_>> =
        spans.iter().map(|&(id, parent, service, kind)| span(id, parent, service, kind, (0, 9))).collect();
    jaeger_of(&spans)
}

fn jaeger_of(spans: &[Span<'_>]) -> Value {
    let one = |span: &Span<'_>| {
        let reference = json!({"refType": "CHILD_OF", "traceID": span.trace, "spanID": hex(span.parent)});
        let tags = [("span.kind", span.kind)]
            .into_iter()
            .chain(span.tags.iter().copied())
            .map(|(key, value)| json!({"key": key, "value": value}));
        json!({"traceID": span.trace, "spanID": hex(span.id), "references": if span.parent == 0 { json!([]) } else { json!([reference]) },
            "startTime": span.time.0 * 1000, "duration": (span.time.1 - span.time.0) * 1000, "processID": span.service,
            "tags": tags.collect::<Vec<_>>()})
    };
    let processes: serde_json::Map<String, Value> =
        spans.iter().map(|span| (span.service.to_owned(), json!({"serviceName": span.service}))).collect();
    let trace =
        json!({"traceID": TRACE, "spans": spans.iter().map(one).collect::<Vec<_>>(), "processes": processes});
    json!({"data": [trace], "errors": null})
}

fn zipkin(spans: &[Span<'_>]) -> Value {
    let one = |span: &Span<'_>| {
        let mut one = json!({"traceId": span.trace, "id": hex(span.id), "timestamp": span.time.0 * 1000,
            "duration": (span.time.1 - span.time.0) * 1000, "localEndpoint": {"serviceName": span.service},
            "tags": span.tags.iter().copied().collect::<std::collections::BTreeMap<_, _>>()});
        if span.parent != 0 {
            one["parentId"] = hex(span.parent).into();
        }
        if span.kind != "internal" {
            one["kind"] = span.kind.to_uppercase().into();
        }
        one
    };
    spans.iter().map(one).collect()
}

fn audit(input: &str) -> Said {
    run("audit", &["--json", "-"], input, &[])
}

/// Each pair as `caller -> callee`, how many parents are missing and of how many, and why.
fn pairs(said: &Said) -> Vec<String> {
    let value = said.value();
    let pair = |pair: &Value| {
        let causes = pair["causes"].as_object().expect("causes").iter();
        let causes: Vec<String> = causes.map(|(cause, count)| format!("{count} {cause}")).collect();
        let text = |field: &str| pair[field].as_str().expect("a name").to_owned();
        let (missing, children) = (&pair["missing"], &pair["children"]);
        format!("{} -> {}: {missing} of {children}, {}", text("caller"), text("callee"), causes.join(", "))
    };
    value["pairs"].as_array().expect("pairs").iter().map(pair).collect()
}

/// The same for traces that start anew.
fn restarts(said: &Said) -> Vec<String> {
    let value = said.value();
    let restart = |one: &Value| {
        let how = if one["is_proved"] == true { "proved" } else { "suspected" };
        format!(
            "{} -> {}: {} {how}",
            one["caller"].as_str().expect("a name"),
            one["callee"].as_str().expect("a name"),
            one["count"]
        )
    };
    value["restarts"].as_array().expect("restarts").iter().map(restart).collect()
}

/// A whole trace: front calls cart.
const WHOLE: [Span<'static>; 3] = [
    span(1, 0, "front", "server", (0, 100)),
    span(2, 1, "front", "client", (10, 90)),
    span(3, 2, "cart", "server", (20, 80)),
];

#[test]
fn what_is_missing_is_told_with_its_cause_in_every_format() {
    const DECIDES: &[(&str, &str)] = &[("sampler.type", "probabilistic")];
    const REQUEST: &[(&str, &str)] = &[("guid:x-request-id", "r-1")];
    const TO_CART: &[(&str, &str)] = &[("server.address", "cart.shop.svc.cluster.local")];
    let [front, call, cart] = WHOLE;
    let elsewhere = |span: Span<'static>| Span { trace: OTHER, parent: 0, ..span };
    type Row<'a> = (&'a str, Vec<Span<'a>>, &'a [&'a str], &'a [&'a str]);
    let rows: Vec<Row<'_>> = vec![
        ("a whole trace", WHOLE.to_vec(), &[], &[]),
        (
            "a parent that nobody knows",
            vec![front, Span { parent: 9, ..cart }],
            &["(unknown) -> cart: 1 of 1, 1 unknown"],
            &[],
        ),
        (
            "a call that nobody answers encloses it: something between them wrote a parent-id",
            vec![front, call, Span { parent: 9, ..cart }],
            &["front -> cart: 1 of 1, 1 proxy"],
            &[],
        ),
        (
            "a call is over before",
            vec![front, Span { time: (0, 9), ..call }, Span { parent: 9, ..cart }],
            &["(unknown) -> cart: 1 of 1, 1 unknown"],
            &[],
        ),
        (
            "a call answers for one span only",
            vec![front, call, Span { parent: 9, ..cart }, Span { id: 4, parent: 8, ..cart }],
            &["(unknown) -> cart: 1 of 1, 1 unknown", "front -> cart: 1 of 1, 1 proxy"],
            &[],
        ),
        (
            "the service decided by itself",
            vec![Span { parent: 9, tags: DECIDES, ..cart }],
            &["(unknown) -> cart: 1 of 1, 1 not_sampled"],
            &[],
        ),
        (
            "inside of a process",
            vec![span(5, 9, "cart", "internal", (0, 1))],
            &["cart -> cart: 1 of 1, 1 unknown"],
            &[],
        ),
        (
            "the request came in with another trace",
            vec![front, Span { tags: REQUEST, ..call }, Span { tags: REQUEST, ..elsewhere(cart) }],
            &[],
            &["front -> cart: 1 proved"],
        ),
        (
            "the same request at the same service is a retry from outside",
            vec![Span { tags: REQUEST, ..front }, Span { tags: REQUEST, time: (50, 60), ..elsewhere(front) }],
            &[],
            &[],
        ),
        (
            "a call to it, which nobody answers, lasted as long",
            vec![front, Span { tags: TO_CART, ..call }, elsewhere(cart)],
            &[],
            &["front -> cart: 1 suspected"],
        ),
        ("a call to nobody by name says nothing", vec![front, call, elsewhere(cart)], &[], &[]),
        (
            "a call that was answered is not another's",
            vec![front, Span { tags: TO_CART, ..call }, cart, elsewhere(cart)],
            &[],
            &[],
        ),
    ];
    for (why, spans, missing, anew) in rows {
        for (format, document) in
            [("OTLP", otlp(&spans)), ("Jaeger", jaeger_of(&spans)), ("Zipkin", zipkin(&spans))]
        {
            let said = audit(&document.to_string());
            assert_eq!(pairs(&said), missing, "{format}: {why}");
            assert_eq!(restarts(&said), anew, "{format}: {why}");
            let broken = !missing.is_empty() || !anew.is_empty();
            assert_eq!(said.code, Some(i32::from(broken)), "{format}: {why}: {said:?}");
        }
    }
}

#[test]
fn ids_of_64_and_128_bits_are_one_trace() {
    let short = &TRACE[16..];
    let [front, call, cart] = WHOLE;
    let said = audit(&zipkin(&[front, call, Span { trace: short, ..cart }]).to_string());
    assert_eq!((pairs(&said), said.code), (vec![], Some(0)));
}

#[test]
fn a_zipkin_server_may_share_the_id_of_its_client() {
    let spans = json!([
        {"traceId": TRACE, "id": hex(1), "kind": "CLIENT", "localEndpoint": {"serviceName": "front"}},
        {"traceId": TRACE, "id": hex(1), "kind": "SERVER", "shared": true, "localEndpoint": {"serviceName": "cart"}},
        {"traceId": TRACE, "id": hex(2), "parentId": hex(1), "localEndpoint": {"serviceName": "cart"}},
    ]);
    let said = audit(&spans.to_string());
    assert_eq!((pairs(&said), said.code), (vec![], Some(0)), "{said:?}");
    assert_eq!(said.value()["oddities"]["duplicates"]["count"], 0);
}

#[test]
fn what_is_strange_is_counted_and_ends_nothing() {
    let [front, call, cart] = WHOLE;
    let mut document = otlp(&[
        front,
        call,
        cart,
        cart,
        span(6, 7, "loop", "internal", (0, 1)),
        span(7, 6, "loop", "internal", (0, 1)),
        span(8, 0, "", "server", (0, 1)),
    ]);
    for (place, id) in ["abc", "zzzzzzzzzzzzzzzz", "0000000000000000"].iter().enumerate() {
        let mut bad = otlp(&[span(1, 0, "bad", "server", (0, 1))]);
        bad["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] = (*id).into();
        let resources = document["resourceSpans"].as_array_mut().expect("resources");
        resources.insert(place, bad["resourceSpans"][0].take());
    }
    let said = audit(&document.to_string());
    let value = said.value();
    let odd = |name: &str| {
        (
            value["oddities"][name]["count"].as_u64(),
            value["oddities"][name]["first"].as_str().map(str::to_owned),
        )
    };
    assert_eq!(odd("bad_ids"), (Some(3), Some("service bad".to_owned())));
    assert_eq!(odd("duplicates"), (Some(1), Some("service cart".to_owned())));
    assert_eq!(odd("cycles"), (Some(2), Some("service loop".to_owned())));
    assert_eq!(odd("nameless").0, Some(1));
    assert_eq!((said.code, &value["spans"]), (Some(0), &6.into()));
}

#[test]
fn what_is_no_trace_is_refused_and_what_was_read_before_is_told() {
    let whole = otlp(&WHOLE).to_string();
    let refused = [
        ("", "it is empty; expected traces: OTLP's"),
        (" \n", "it is empty"),
        ("{}", "no trace in it; expected traces"),
        ("[1]", "expected a span of Zipkin's with traceId and id"),
        ("[{\"id\": \"1\"}]", "expected a span of Zipkin's"),
        ("{\"data\": 3}", "a list of Jaeger's traces"),
        ("{\"resourceSpans\": {}}", "a list, as OTLP has it"),
        ("true", "expected traces"),
        ("<html>", "expected value at line 1"),
        (&whole[..40], "it ends in the middle, at line 1, column 40"),
    ];
    for (input, problem) in refused {
        audit(input).assert_refused(&["-: ", problem]);
    }
    run("audit", &["no-such-file"], "", &[]).assert_refused(&["no-such-file: ", "begins with http://"]);
    let two = format!("{whole}\n{}", &whole[..whole.len() - 30]);
    let said = audit(&two);
    assert_eq!(said.code, Some(2), "{said:?}");
    let unread = said.value()["unread"][0].as_str().expect("a problem").to_owned();
    assert!(
        unread.contains("document 2: it ends in the middle") && unread.ends_with("read before that: 5 spans"),
        "{unread}"
    );
    let twice = audit(&format!("{whole}\n{whole}\n"));
    assert_eq!((twice.code, &twice.value()["oddities"]["duplicates"]["count"]), (Some(0), &3.into()));
}

#[test]
fn counters_beside_it_say_where_both_agree() {
    let [front, call, cart] = WHOLE;
    let spans =
        otlp(&[front, call, Span { parent: 9, ..cart }, span(5, 9, "stock", "internal", (0, 1))]).to_string();
    let lost = |listener: &str| requests(listener, "outbound", "internal", "observe", "lost");
    let received = |listener: &str| requests(listener, "inbound", "internal", "observe", "continued");
    let stats = stats_json(&[
        (&received("front_inbound"), 9),
        (&lost("front_outbound"), 9),
        (&received("mangler_inbound"), 9),
        (&lost("mangler_outbound"), 9),
    ]);
    let file = std::env::temp_dir().join(format!("tracewarden-audit-{}.json", std::process::id()));
    std::fs::write(&file, stats).expect("a file");
    let path = file.to_str().expect("a path");
    let said = run("audit", &["--json", "-", "--counters", path], &spans, &[]);
    let agreement = &said.value()["beside_counters"];
    assert_eq!(agreement["both"], json!(["front"]), "{said:?}");
    assert_eq!(
        (&agreement["traces_alone"], &agreement["counters_alone"]),
        (&json!(["stock"]), &json!(["mangler"]))
    );
    let text = run("audit", &["-", "--counters", path], &spans, &[]).out;
    assert!(text.contains("both traces and counters blame front\n"), "{text}");
    std::fs::remove_file(file).expect("the file goes");
    run("audit", &["-", "--counters", "no-such-file"], &spans, &[]).assert_refused(&["no-such-file"]);
}

#[test]
fn people_read_what_is_missing_and_what_to_do() {
    let [front, call, cart] = WHOLE;
    let hostile = "ev\u{1b}[31mil";
    let said = run(
        "audit",
        &["-"],
        &otlp(&[front, call, Span { parent: 9, ..cart }, span(5, 9, hostile, "internal", (0, 1))])
            .to_string(),
        &[],
    );
    let expected = "\
4 spans of 1 traces; 3 name a parent, and for 2 it is missing

1. inside ev[31mil: 1 of 1 parents are missing
   1: the cause is not known; the service's own exporter may drop spans

2. front -> cart: 1 of 1 parents are missing
   1: a call encloses it and has no answer, so probably a proxy between the two
      wrote a parent-id and recorded no span; let the proxy forward the
      parent-id, or export its spans
";
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed(&said.out), squeezed(expected), "{}", said.out);
}

#[test]
fn no_document_ends_it_otherwise_than_with_a_status() {
    let documents =
        [otlp(&WHOLE), jaeger_of(&WHOLE), zipkin(&WHOLE)].map(|document| document.to_string().into_bytes());
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for round in 0..150 {
        let mut bytes = documents[round % 3].clone();
        for _ in 0..random.random_range(1..6) {
            let place = random.random_range(0..bytes.len());
            match random.random_range(0..3) {
                0 => bytes[place] = b" 0\"{}[],:-"[random.random_range(0..10)],
                1 => bytes.truncate(place.max(1)),
                _ => drop(bytes.remove(place)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let said = audit(&text);
        assert!(matches!(said.code, Some(0..=2)) && !said.err.contains("panicked"), "{text}: {said:?}");
    }
}
