//! Traces that start anew in the middle of a request.

use serde_json::json;

use crate::support::{ONE, Span, TWO, all, audit};

const ROOT: Span = crate::support::span(1, 0, "shop", "server", (1000, 9000));
const CALL: Span = crate::support::span(2, 1, "shop", "client", (2000, 8000));
const ANEW: Span = crate::support::span(3, 0, "cart", "server", (3000, 7000)).of(TWO);
const ID: &[(&str, &str)] = &[("guid:x-request-id", "6f1c")];
const NAMED: &[(&str, &str)] = &[("server.address", "cart.shop")];

/// Caller, callee, and how many are proved and suspected.
type Told<'a> = (&'a str, &'a str, u64, u64);

#[test]
fn a_new_trace_is_proved_by_the_request_or_suspected_by_time() {
    let rows: &[(&str, &[Span], &[Told])] = &[
        ("the same request id", &[ROOT, CALL.tagged(ID), ANEW.tagged(ID)], &[("shop", "cart", 1, 0)]),
        (
            "the same id, as a header's attribute",
            &[ROOT, CALL.tagged(ID), ANEW.tagged(&[("http.request.header.x-request-id", "[\"6f1c\"]")])],
            &[("shop", "cart", 1, 0)],
        ),
        (
            "the same request id, within a call that names the service: it counts once",
            &[
                ROOT,
                CALL.tagged(&[("guid:x-request-id", "6f1c"), ("server.address", "cart")]),
                ANEW.tagged(ID),
            ],
            &[("shop", "cart", 1, 0)],
        ),
        (
            "by its clock, a span of the new trace is earlier than the first one",
            &[
                ROOT,
                CALL.tagged(ID),
                Span { id: 4, parent: 3, kind: "internal", time: (2900, 2950), ..ANEW }.tagged(ID),
                ANEW.tagged(ID),
            ],
            &[("shop", "cart", 1, 0)],
        ),
        ("another request id", &[ROOT, CALL.tagged(ID), ANEW.tagged(&[("guid:x-request-id", "6f1d")])], &[]),
        (
            "an open call around it names its service",
            &[ROOT, CALL.tagged(NAMED), ANEW],
            &[("shop", "cart", 0, 1)],
        ),
        (
            "the name is a URL's host",
            &[ROOT, CALL.tagged(&[("url.full", "http://cart:80/x")]), ANEW],
            &[("shop", "cart", 0, 1)],
        ),
        ("an open call around it names nobody", &[ROOT, CALL, ANEW], &[]),
        ("the call names another service", &[ROOT, CALL.tagged(&[("peer.service", "cart-db")]), ANEW], &[]),
        (
            "an Envoy of Istio calls a cluster of its service",
            &[
                ROOT,
                CALL.tagged(&[
                    ("component", "proxy"),
                    ("upstream_cluster", "outbound|80||cart.shop.svc.cluster.local"),
                ]),
                ANEW,
            ],
            &[("shop", "cart", 0, 1)],
        ),
        ("an address is no name", &[ROOT, CALL.tagged(&[("server.address", "10.0.0.7:80")]), ANEW], &[]),
        (
            "the call has an answer",
            &[ROOT, CALL.tagged(NAMED), ANEW, crate::support::span(4, 2, "cart", "server", (2100, 2200))],
            &[],
        ),
        ("the call ended before", &[ROOT, Span { time: (1500, 2900), ..CALL.tagged(NAMED) }, ANEW], &[]),
        (
            "one call explains one trace",
            &[
                ROOT,
                CALL.tagged(NAMED),
                ANEW,
                Span { trace: "00000000000000000000000000000005", id: 8, ..ANEW },
            ],
            &[("shop", "cart", 0, 1)],
        ),
        (
            "an Envoy starts a trace for the call of its application",
            &[
                ROOT.tagged(ID),
                Span { service: "shop", kind: "client", ..ANEW }
                    .tagged(&[("guid:x-request-id", "6f1c"), ("component", "proxy")]),
            ],
            &[("shop", "shop", 1, 0)],
        ),
        (
            "a client from outside sends an id twice",
            &[ROOT.tagged(ID), Span { trace: TWO, id: 8, time: (9500, 9600), ..ROOT }.tagged(ID)],
            &[],
        ),
        (
            "spans of one trace have one request id",
            &[
                ROOT.tagged(ID),
                CALL.tagged(ID),
                crate::support::span(4, 2, "cart", "server", (2100, 2200)).tagged(ID),
            ],
            &[],
        ),
        ("a job starts a trace", &[ROOT, CALL.tagged(NAMED), Span { kind: "internal", ..ANEW }], &[]),
    ];
    for (reason, spans, expected) in rows {
        for (format, input) in all(spans) {
            let said = audit(&["--json"], &input);
            let value = said.value();
            let told: Vec<_> = value["started_anew"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|row| {
                    let name = |side: &str| row[side].as_str().unwrap_or_default();
                    (
                        name("caller"),
                        name("callee"),
                        row["proved"].as_u64().expect("a count"),
                        row["suspected"].as_u64().expect("a count"),
                    )
                })
                .collect();
            assert_eq!(told, *expected, "{format}: {reason}");
            assert_eq!(said.code, Some(i32::from(!expected.is_empty())), "{format}: {reason}: {said:?}");
        }
    }
}

#[test]
fn an_example_names_both_traces() {
    for (format, input) in all(&[ROOT, CALL.tagged(ID), ANEW.tagged(ID)]) {
        let value = audit(&["--json"], &input).value();
        let row = &value["started_anew"][0];
        assert_eq!(row["example"], json!({"trace": TWO, "of_trace": ONE}), "{format}");
        assert_eq!(row["roots"], 1, "{format}");
    }
}
