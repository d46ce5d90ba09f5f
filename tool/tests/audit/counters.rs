//! What the counters say, beside the traces.

use serde_json::{Value, json};

use crate::support::{Scratch, Server, Span, audit, span, zipkin};

const SPANS: [Span; 3] = [
    span(1, 0, "shop.demo", "server", (1000, 9000)),
    span(2, 1, "shop.demo", "client", (2000, 8000)),
    span(3, 77, "cart", "server", (3000, 7000)),
];

/// A Prometheus' answer with one counter of lost contexts.
fn counted(direction: &str, workload: &str, lost: u64) -> Value {
    let row = |context: &str, way: &str, count: u64| {
        json!({"metric": {"__name__": "tracewarden_requests_total", "namespace": "demo", "workload": workload, "direction": way,
            "role": "internal", "mode": "observe", "context": context}, "value": [0, count.to_string()]})
    };
    let rows = [row("continued", "inbound", 40), row("lost", direction, lost)];
    json!({"status": "success", "data": {"resultType": "vector", "result": rows}})
}

/// Which pairs both know, which counters stand alone, and which pairs.
fn beside(value: &Value) -> [usize; 3] {
    ["both", "only_counters", "only_traces"]
        .map(|name| value["counters"][name].as_array().map_or(99, Vec::len))
}

#[test]
fn counters_and_traces_agree_about_a_service() {
    let rows = [
        ("the caller loses what it receives", counted("outbound", "shop", 7), [1, 0, 0]),
        ("the callee receives nothing", counted("inbound", "cart", 7), [1, 0, 0]),
        ("the callee's own calls are another matter", counted("outbound", "cart", 7), [0, 1, 1]),
        ("another service", counted("outbound", "till", 7), [0, 1, 1]),
        ("nothing is counted", counted("outbound", "shop", 0), [0, 0, 1]),
    ];
    for (reason, answer, expected) in rows {
        let file = Scratch::new("counters.json", answer.to_string());
        let said = audit(&["--json", "--counters", file.path(), "-"], &zipkin(&SPANS));
        assert_eq!((said.code, beside(&said.value())), (Some(1), expected), "{reason}: {said:?}");
    }
    let file = Scratch::new("counters-text.json", counted("outbound", "shop", 7).to_string());
    let said = audit(&["--counters", file.path()], &zipkin(&SPANS));
    assert!(said.out.contains("both agree:   shop.demo -> cart; counted at demo/shop: "), "{said:?}");
}

#[test]
fn what_is_missing_within_a_service_is_no_matter_of_counters() {
    let file = Scratch::new("counters-within.json", counted("outbound", "till", 7).to_string());
    let within = span(3, 77, "till", "internal", (3000, 7000));
    let said = audit(&["--json", "--counters", file.path(), "-"], &zipkin(&[within]));
    assert_eq!((said.code, beside(&said.value())), (Some(1), [0, 1, 0]), "{said:?}");
}

#[test]
fn an_envoy_names_services_by_its_listeners() {
    let stat = |listener: &str| {
        let labels = "direction=.=outbound;.;role=.=internal;.;mode=.=observe;.;context=.=lost";
        json!({"name": format!("wasmcustom.listener=.={listener};.;{labels};.;tracewarden_requests_total"), "value": 3})
    };
    for (listener, expected) in [("shop_outbound", [1, 0, 0]), ("shop", [1, 0, 0]), ("shopping", [0, 1, 1])] {
        let file = Scratch::new("counters-listener.json", json!({"stats": [stat(listener)]}).to_string());
        let said = audit(&["--json", "--counters", file.path(), "-"], &zipkin(&SPANS));
        assert_eq!((said.code, beside(&said.value())), (Some(1), expected), "{listener}: {said:?}");
    }
}

#[test]
fn counters_that_cannot_be_read_are_told() {
    let said = audit(&["--json", "--counters", "no/such/file"], &zipkin(&SPANS));
    assert_eq!((said.code, &said.value()["missing"]), (Some(2), &json!(1)), "{said:?}");
    assert!(said.err.contains("counters: no/such/file"), "{said:?}");
}

#[test]
fn credentials_for_the_backend_go_nowhere_else() {
    let lost = "direction=.=outbound;.;role=.=internal;.;mode=.=observe;.;context=.=lost;.;tracewarden_requests_total";
    let stats = json!({"stats": [{"name": format!("wasmcustom.{lost}"), "value": 3}]}).to_string();
    let envoy = Server::answering(move |_| (200, stats.clone()));
    let backend = Server::answering(|head| match head.contains("/api/services") {
        true => (200, json!({"data": ["shop"]}).to_string()),
        false => (200, crate::support::jaeger(&SPANS)),
    });
    let (from, beside) = (backend.url(), envoy.url());
    let arguments =
        ["audit", "--json", "--wait", "0s", "--header", "X-Scope-OrgID: shop", "--counters", &beside, &from];
    let said = crate::server::run(&arguments, "", &[("TRACEWARDEN_AUTHORIZATION", "Basic c2VjcmV0")]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let knows = |server: &Server| {
        let heads = server.asked().concat().to_ascii_lowercase();
        [heads.contains("c2vjcmv0"), heads.contains("x-scope-orgid")]
    };
    assert_eq!((knows(&backend), knows(&envoy)), ([true, true], [false, false]));
}
