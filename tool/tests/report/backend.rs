//! `tracewarden audit` of a Jaeger.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::audit::jaeger;
use crate::support::{Server, run};

const SERVICES: &str = r#"{"data": ["front", "cart"], "total": 2}"#;

fn path(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

fn parameter(head: &str, name: &str) -> u64 {
    let query = path(head).split_once('?').map_or("", |(_, query)| query);
    let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    found.and_then(|value| value.parse().ok()).expect(name)
}

/// A trace whose parent is missing.
fn broken() -> Value {
    jaeger(&[(3, 2, "cart", "server")])
}

#[test]
fn a_parent_that_comes_late_is_late() {
    let server = Server::answering(|head| match path(head) {
        "/api/services" => (200, SERVICES.to_owned()),
        path if path.starts_with("/api/traces?") => (200, broken().to_string()),
        path if path.starts_with("/api/traces/0af7651916cd43dd8448eb211c80319c") => {
            (200, jaeger(&[(2, 0, "front", "client"), (3, 2, "cart", "server")]).to_string())
        }
        path => (404, path.to_owned()),
    });
    let url = server.url();
    let said = run("audit", &["--json", &url, "--wait", "1ms"], "", &[]);
    let value = said.value();
    let pair = &value["pairs"][0];
    assert_eq!(
        (pair["caller"].as_str(), pair["causes"].clone()),
        (Some("front"), json!({"late": 1})),
        "{said:?}"
    );
    assert_eq!(said.code, Some(1));
    // The same trace comes for both services, and counts once.
    assert_eq!((&value["spans"], &value["oddities"]["duplicates"]["count"]), (&1.into(), &1.into()));
    let hasty = run("audit", &["--json", &url, "--wait", "0s", "--service", "cart"], "", &[]);
    assert_eq!(hasty.value()["pairs"][0]["causes"], json!({"unknown": 1}));
    assert!(!server.asked().last().expect("a request").contains("/api/traces/"));
}

#[test]
fn more_traces_than_the_limit_are_asked_for_in_parts() {
    // One trace in each of 64 seconds; a page has four.
    let asked = AtomicUsize::new(0);
    let server = Server::answering(move |head| {
        if path(head) == "/api/services" {
            return (200, r#"{"data": ["cart"]}"#.to_owned());
        }
        asked.fetch_add(1, Ordering::SeqCst);
        let (start, end, limit) =
            (parameter(head, "start"), parameter(head, "end"), parameter(head, "limit"));
        let second = 1_000_000;
        let seconds = (start.div_ceil(second)..end.div_ceil(second)).rev().take(limit as usize);
        let traces = seconds.map(|second| {
            json!({"spans": [{"traceID": format!("{second:x}"), "spanID": "1", "processID": "p"}],
                "processes": {"p": {"serviceName": "cart"}}})
        });
        (200, json!({"data": traces.collect::<Vec<_>>()}).to_string())
    });
    let said = run("audit", &["--json", &server.url(), "--limit", "4", "--lookback", "64s"], "", &[]);
    let value = said.value();
    assert_eq!((said.code, value["traces"].as_u64()), (Some(0), Some(64)), "{said:?}");
    assert_eq!(value["oddities"]["duplicates"]["count"], 0, "the parts do not overlap");
}

#[test]
fn a_backend_that_fails_is_told_with_what_was_read() {
    // What it does for the second service; what is said of it.
    let rows: [(&str, &[&str]); 4] = [
        ("500", &["/api/traces answered 500", "read before that: 1 of 2 services, 1 spans"]),
        ("slow", &["no answer in time; --timeout gives it more", "1 of 2 services"]),
        ("cut", &["1 of 2 services"]),
        ("html", &["/api/traces: ", "1 of 2 services"]),
    ];
    for (does, parts) in rows {
        let server = Server::writing(move |head, stream| {
            let is_second = path(head).contains("service=cart");
            let (status, length, body) = match (path(head), does) {
                ("/api/services", _) => (200, None, SERVICES.to_owned()),
                (_, "500") if is_second => (500, None, "no".to_owned()),
                (_, "html") if is_second => (200, None, "<html>".to_owned()),
                (_, "cut") if is_second => (200, Some(9_999), "{\"data\": [".to_owned()),
                (_, "slow") if is_second => return std::thread::sleep(Duration::from_secs(3)),
                _ => (200, None, broken().to_string()),
            };
            let length = length.unwrap_or(body.len());
            let _ = write!(
                stream,
                "HTTP/1.1 {status} Told\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        });
        let said = run("audit", &["--json", &server.url(), "--timeout", "1s", "--wait", "0s"], "", &[]);
        assert_eq!(said.code, Some(2), "{does}: {said:?}");
        let value = said.value();
        let unread = value["unread"][0].as_str().expect("a problem");
        assert!(parts.iter().all(|part| unread.contains(part)), "{does}: {unread}");
        assert_eq!(value["pairs"][0]["missing"], 1, "{does}: what was read is judged");
    }
}

#[test]
fn what_is_no_jaeger_or_knows_nothing_is_refused() {
    let rows = [
        ((200, "{}"), "it knows no service"),
        ((200, r#"{"data": null}"#), "it knows no service"),
        ((200, "<html>"), "is no Jaeger"),
        ((404, "no"), "/api/services answered 404"),
        ((401, "no"), "TRACEWARDEN_AUTHORIZATION"),
    ];
    for ((status, body), problem) in rows {
        let server = Server::answering(move |_| (status, body.to_owned()));
        run("audit", &[&server.url()], "", &[]).assert_refused(&[problem]);
    }
    run("audit", &["http://127.0.0.1:1"], "", &[]).assert_refused(&["http://127.0.0.1:1"]);
}

#[test]
fn errors_that_jaeger_reports_are_noted() {
    let answer = json!({"data": [], "errors": [{"code": 500, "msg": "a shard is down"}]}).to_string();
    let said = run("audit", &["--json", "-"], &answer, &[]);
    assert_eq!(
        (said.code, &said.value()["notes"]),
        (Some(0), &json!(["Jaeger reports an error: a shard is down."]))
    );
}
