//! A Jaeger that answers as it should, and ones that do not.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{ONE, Server, Span, TWO, audit, jaeger, span};

const ROOT: Span = span(1, 0, "shop", "server", (1000, 9000));
const CALL: Span = span(2, 1, "shop", "client", (2000, 8000));
const ANSWER: Span = span(3, 2, "cart", "server", (3000, 7000));

/// The path of a request, and the value of a parameter.
fn path(head: &str) -> &str {
    let target = head.split(' ').nth(1).unwrap_or_default();
    target.split('?').next().unwrap_or_default()
}

fn parameter<'a>(head: &'a str, name: &str) -> &'a str {
    let target = head.split(' ').nth(1).unwrap_or_default();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next().unwrap_or_default()
}

fn services(names: &[&str]) -> (u16, String) {
    (200, json!({"data": names, "total": names.len(), "errors": null}).to_string())
}

/// A Jaeger with two services, which answers a search so.
fn server(search: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Server {
    Server::answering(move |head| match path(head) {
        "/api/services" => services(&["cart", "shop"]),
        "/api/traces" => search(head),
        _ => (404, json!({"errors": [{"code": 404, "msg": "trace not found"}]}).to_string()),
    })
}

#[test]
fn every_service_is_asked_and_a_trace_counts_once() {
    let server = server(|_| (200, jaeger(&[ROOT, CALL, ANSWER])));
    let said = audit(&["--json", &server.url(), "--lookback", "2h", "--limit", "50"], "");
    let value = said.value();
    assert_eq!((said.code, &value["spans"], &value["missing"]), (Some(0), &json!(3), &json!(0)), "{said:?}");
    assert_eq!(value["oddities"]["duplicates"]["count"], 0);
    let asked = server.asked();
    assert_eq!(
        asked.iter().map(|head| path(head)).collect::<Vec<_>>(),
        ["/api/services", "/api/traces", "/api/traces"]
    );
    for (head, service) in asked[1..].iter().zip(["cart", "shop"]) {
        let number = |name| parameter(head, name).parse::<u64>().expect("a number");
        assert_eq!((parameter(head, "service"), number("limit")), (service, 50));
        assert_eq!(number("end") - number("start"), 7_200_000_000, "microseconds");
        assert!(number("end") > 1_600_000_000_000_000);
    }
}

#[test]
fn services_can_be_named_and_an_address_may_have_a_path() {
    let server = Server::answering(|head| match path(head) {
        "/jaeger/api/traces" => (200, jaeger(&[ROOT])),
        _ => (404, String::new()),
    });
    let said =
        audit(&["--json", &format!("{}/jaeger/", server.url()), "--service", "a b", "--service", "c"], "");
    assert_eq!(said.code, Some(0), "{said:?}");
    let asked: Vec<String> =
        server.asked().iter().map(|head| parameter(head, "service").to_owned()).collect();
    assert_eq!(asked, ["a%20b", "c"]);
}

#[test]
fn a_full_answer_is_asked_for_in_parts() {
    // A trace at each of 64 times in the hour; an answer has three of them at most, the latest.
    let server = Server::answering(|head| {
        if path(head) == "/api/services" {
            return services(&["shop"]);
        }
        let number = |name| parameter(head, name).parse::<u64>().expect("a number");
        let (start, end) = (number("start"), number("end"));
        let step = 3_600_000_000 / 64;
        let times = (start.div_ceil(step)..=end / step).rev().take(3);
        let traces = times.map(|time| {
            let id = format!("{time:032x}");
            let mut root = ROOT.jaeger();
            root["traceID"] = json!(id);
            json!({"traceID": id, "spans": [root], "processes": {"shop": {"serviceName": "shop"}}})
        });
        (200, json!({"data": traces.collect::<Vec<_>>()}).to_string())
    });
    let said = audit(&["--json", &server.url(), "--limit", "3"], "");
    let traces = said.value()["traces"].as_u64().expect("a number");
    assert!((64..=65).contains(&traces), "{traces}: {said:?}");
    assert_eq!(said.value()["notes"], json!([]));
    assert!(server.asked().len() < 200, "{}", server.asked().len());
}

#[test]
fn what_does_not_fit_into_a_second_is_noted() {
    let many: Vec<Value> = (1..=3)
        .map(|number| {
            let id = format!("{number:032x}");
            let mut root = ROOT.jaeger();
            root["traceID"] = json!(id);
            json!({"traceID": id, "spans": [root], "processes": {"shop": {"serviceName": "shop"}}})
        })
        .collect();
    let answer = json!({"data": many}).to_string();
    let server = server(move |_| (200, answer.clone()));
    let said = audit(&["--json", &server.url(), "--service", "shop", "--limit", "3", "--lookback", "4s"], "");
    assert_eq!((said.code, &said.value()["traces"]), (Some(0), &json!(3)));
    assert!(said.value()["notes"][0].as_str().expect("a note").contains("--limit"), "{said:?}");
}

/// A Jaeger that has the call only when it is asked for the trace itself.
fn late(status: u16) -> Server {
    Server::answering(move |head| match path(head) {
        "/api/services" => services(&["cart"]),
        "/api/traces" => (200, jaeger(&[ROOT, ANSWER])),
        by_id if by_id.ends_with(ONE) => (status, jaeger(&[ROOT, CALL, ANSWER])),
        _ => (404, String::new()),
    })
}

#[test]
fn a_parent_that_is_there_when_asked_again_was_late() {
    let rows = [("1s", "late", "proved", "shop", 3), ("0s", "unknown", "not_known", "", 2)];
    for (wait, cause, certainty, caller, questions) in rows {
        let server = late(200);
        let begin = Instant::now();
        let said = audit(&["--json", &server.url(), "--wait", wait], "");
        assert_eq!(said.code, Some(1), "{said:?}");
        let value = said.value();
        assert_eq!(
            value["pairs"][0]["causes"],
            json!([{"cause": cause, "certainty": certainty, "spans": 1}])
        );
        assert_eq!(value["pairs"][0]["caller"].as_str().unwrap_or_default(), caller);
        assert_eq!(server.asked().len(), questions, "{wait}");
        assert_eq!(begin.elapsed() >= Duration::from_secs(1), wait == "1s", "{:?}", begin.elapsed());
    }
    let said = audit(&["--json", &late(500).url(), "--wait", "100ms"], "");
    assert_eq!((said.code, &said.value()["missing"]), (Some(2), &json!(1)), "{said:?}");
    assert!(said.err.contains("answered 500 when asked again"), "{said:?}");
}

#[test]
fn what_fails_is_told_with_what_was_read() {
    let error =
        json!({"data": null, "errors": [{"code": 500, "msg": "storage is \u{1b}[31mdown"}]}).to_string();
    let cut = jaeger(&[ROOT.of(TWO), CALL.of(TWO)]);
    let cut = cut[..cut.len() - 200].to_owned();
    let rows: &[(&str, u16, &str, &[&str])] = &[
        (
            "an error in Jaeger's form",
            500,
            &error,
            &["service cart: /api/traces answered 500: storage is [31mdown"],
        ),
        (
            "an error in words",
            503,
            "no healthy upstream",
            &["service cart: /api/traces answered 503: no healthy upstream"],
        ),
        ("no JSON", 200, "<!DOCTYPE html>", &["service cart: the answer of /api/traces", "no span was read"]),
        (
            "an error with status 200",
            200,
            &error,
            &["service cart: /api/traces answered an error: storage is [31mdown"],
        ),
        (
            "broken off",
            200,
            &cut,
            &["service cart", "it ends in the middle of span 2", "no span was read before that"],
        ),
        ("other credentials", 401, "", &["answered 401", "TRACEWARDEN_AUTHORIZATION", "--token-file"]),
        ("elsewhere", 302, "", &["/api/traces answered 302"]),
    ];
    for (reason, status, body, parts) in rows {
        let (status, body) = (*status, (*body).to_owned());
        let server = server(move |head| match parameter(head, "service") {
            "cart" => (status, body.clone()),
            _ => (200, jaeger(&[ROOT, ANSWER])),
        });
        let said = audit(&["--json", &server.url(), "--wait", "0s"], "");
        assert_eq!((said.code, &said.value()["missing"]), (Some(2), &json!(1)), "{reason}: {said:?}");
        let unread = said.value()["unread"][0].as_str().expect("a problem").to_owned();
        for part in *parts {
            assert!(
                unread.contains(part) && said.err.contains(part),
                "{reason}: {part:?} is not in {said:?}"
            );
        }
        assert!(!said.err.trim_end().contains('\u{1b}'), "{reason}: {said:?}");
    }
}

#[test]
fn who_is_no_jaeger_is_told_so() {
    let rows =
        [(404, "not here"), (200, "<html>"), (500, "{}"), (200, "{\"errors\": [{\"msg\": \"down\"}]}")];
    for (status, body) in rows {
        let server = Server::answering(move |_| (status, body.to_owned()));
        audit(&[&server.url()], "").assert_refused(&[
            "expected a Jaeger's query address",
            &format!("/api/services answered {status}"),
        ]);
    }
    let gone = Server::answering(|_| (200, String::new())).url();
    audit(&[&gone], "").assert_refused(&[&gone, "refused"]);
    audit(&["http://user:secret@127.0.0.1:9"], "")
        .assert_refused(&["credentials do not belong into an address"]);
    let empty = Server::answering(|_| (200, "{\"data\": null, \"errors\": null}".to_owned()));
    audit(&[&empty.url()], "").assert_refused(&["no span was found", "--lookback"]);
}

#[test]
fn a_slow_server_ends_nothing_but_itself() {
    let slow = Server::writing(|head, stream| {
        let body = match (path(head), parameter(head, "service")) {
            ("/api/services", _) => services(&["shop", "slow"]).1,
            (_, "shop") => jaeger(&[ROOT]),
            _ => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{\"data\": [");
                while stream.write_all(b" ").is_ok() {
                    std::thread::sleep(Duration::from_millis(50));
                }
                return;
            }
        };
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
    });
    let begin = Instant::now();
    let said = audit(&["--json", &slow.url(), "--timeout", "1s"], "");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!((said.code, &said.value()["spans"]), (Some(2), &json!(1)), "{said:?}");
    assert!(said.err.contains("service slow") && said.err.contains("--timeout gives it more"), "{said:?}");
}

#[test]
fn a_server_that_fails_again_and_again_is_left_alone() {
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&asked);
    let server = Server::answering(move |head| match path(head) {
        "/api/services" => services(&["a", "b", "c", "d", "e"]),
        _ => {
            counter.fetch_add(1, Ordering::SeqCst);
            (500, String::new())
        }
    });
    audit(&[&server.url()], "").assert_refused(&[
        "service a: ",
        "service c: ",
        "2 more services were not read",
    ]);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[test]
fn a_trace_that_breaks_off_is_read_whole_from_another_answer() {
    let whole = jaeger(&[ROOT, CALL, ANSWER]);
    let cut = jaeger(&[ANSWER, CALL, ROOT]);
    let cut = cut[..cut.len() - 200].to_owned();
    let server = server(move |head| match parameter(head, "service") {
        "cart" => (200, cut.clone()),
        _ => (200, whole.clone()),
    });
    let said = audit(&["--json", &server.url(), "--wait", "0s"], "");
    let value = said.value();
    assert_eq!((said.code, &value["spans"], &value["missing"]), (Some(2), &json!(3), &json!(0)), "{said:?}");
    for odd in ["duplicates", "without_service"] {
        assert_eq!(value["oddities"][odd]["count"], 0, "{odd}");
    }
}

#[test]
fn a_long_reading_says_how_far_it_is() {
    let slow = server(|_| {
        std::thread::sleep(Duration::from_millis(2200));
        (200, jaeger(&[ROOT]))
    });
    let said = audit(&[&slow.url(), "--service", "a", "--service", "b"], "");
    let line = "a (1 of 2 services): 1 spans read so far…\n";
    assert!(
        said.code == Some(0) && said.err.contains(line) && said.err.contains("b (2 of 2 services): "),
        "{said:?}"
    );
    let quick = server(|_| (200, jaeger(&[ROOT])));
    assert_eq!(audit(&[&quick.url()], "").err, "");
}

#[test]
fn one_failure_between_others_leaves_no_service_out() {
    let server = Server::answering(|head| match (path(head), parameter(head, "service")) {
        ("/api/services", _) => services(&["a", "b", "c", "d", "e"]),
        (_, "b" | "e") => (200, jaeger(&[ROOT])),
        _ => (500, String::new()),
    });
    let said = audit(&["--json", &server.url()], "");
    let asked: Vec<String> =
        server.asked().iter().map(|head| parameter(head, "service").to_owned()).collect();
    assert_eq!(asked, ["", "a", "b", "c", "d", "e"]);
    assert_eq!(said.value()["unread"].as_array().map(Vec::len), Some(3), "{said:?}");
}

#[test]
fn a_server_is_asked_again_only_for_what_it_gave() {
    let server = server(|_| (200, jaeger(&[ROOT.of(TWO)])));
    let said = audit(&["--json", "--wait", "20s", &server.url(), "-"], &jaeger(&[ANSWER]));
    assert_eq!((said.code, &said.value()["missing"]), (Some(1), &json!(1)), "{said:?}");
    assert_eq!(server.asked().len(), 3, "{:?}", server.asked());
}
