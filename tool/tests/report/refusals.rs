//! Servers and files that are not what they should be.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::support::{Server, report, report_with, stats_json};

#[test]
fn a_server_of_another_kind_is_named_with_what_it_answered() {
    let rows: &[(u16, &str, &[&str])] = &[
        (
            200,
            "<!DOCTYPE html>",
            &["neither an Envoy's admin address nor a Prometheus'", "/stats answered no stats in JSON"],
        ),
        (200, "{}", &["neither", "missing field `stats`", "missing field `status`"]),
        (200, r#"{"status": "ok"}"#, &["neither", "/api/v1/query answered 200, no instant vector"]),
        (302, "elsewhere", &["neither", "/stats answered 302", "/api/v1/query answered 302"]),
        (404, "not here", &["neither", "/stats answered 404", "/api/v1/query answered 404"]),
        (500, "\u{1b}[31mfailed", &["neither", "/stats answered 500"]),
        (401, "who are you", &["/stats answered 401", "TRACEWARDEN_AUTHORIZATION", "--token-file"]),
        (403, "not you", &["/stats answered 403", "credentials"]),
        (
            200,
            r#"{"status": "success", "data": {"resultType": "matrix", "result": []}}"#,
            &["neither", "no instant vector"],
        ),
        (
            422,
            r#"{"status": "error", "errorType": "execution", "error": "query timed out\u001b[2J"}"#,
            &["/api/v1/query answered 422: query timed out[2J"],
        ),
    ];
    for (status, body, parts) in rows {
        let server = Server::answering(move |_| (*status, (*body).to_owned()));
        let said = report(&[&server.url()]);
        said.assert_refused(parts);
        assert!(!said.err.trim_end().contains(char::is_control), "{said:?}");
        report(&[&server.url(), "--json"]).assert_refused(parts);
    }
}

#[test]
fn what_the_server_is_can_be_told() {
    let server = Server::answering(|_| (404, String::new()));
    report(&[&server.url(), "--from", "envoy"]).assert_refused(&[
        "is not an Envoy's admin address: /stats answered 404; /stats/prometheus answered 404",
    ]);
    report(&[&server.url(), "--from", "prometheus"])
        .assert_refused(&["is not a Prometheus' address: /api/v1/query answered 404"]);
    let asked = server.asked();
    let paths: Vec<&str> = asked.iter().filter_map(|head| head.split(['?', ' ']).nth(1)).collect();
    assert_eq!(paths, ["/stats", "/stats/prometheus", "/api/v1/query"]);
}

#[test]
fn an_answer_may_not_be_long() {
    let server = Server::writing(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"stats\":[");
        while stream.write_all(&[b' '; 65_536]).is_ok() {}
    });
    report(&[&server.url()]).assert_refused(&["/stats: the answer is longer than 16 MiB"]);
    report_with(&["-"], &" ".repeat((16 << 20) + 1), &[]).assert_refused(&["-: it is longer than 16 MiB"]);
}

#[test]
fn an_answer_may_not_take_long() {
    let never = Server::writing(|_, _| std::thread::sleep(Duration::from_secs(30)));
    let drop_by_drop = Server::writing(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    for server in [never, drop_by_drop] {
        let begin = Instant::now();
        report(&[&server.url(), "--timeout", "1s"])
            .assert_refused(&["/stats: no answer in time; --timeout gives it more"]);
        assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    }
}

#[test]
fn an_answer_that_breaks_off_or_is_no_http_is_refused() {
    for bytes in
        ["", "220 mail.example.org ESMTP\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"stats\""]
    {
        let server = Server::writing(move |_, stream| drop(stream.write_all(bytes.as_bytes())));
        report(&[&server.url()]).assert_refused(&["/stats: "]);
    }
    let gone = Server::answering(|_| (200, String::new())).url();
    report(&[&gone]).assert_refused(&[&gone, "refused"]);
}

#[test]
fn a_file_is_read_and_a_bad_one_refused() {
    let lost = crate::support::requests("", "inbound", "internal", "enforce", "lost");
    let saved = stats_json(&[(&lost, 3)]);
    let path =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("stats-{}.json", std::process::id()));
    std::fs::write(&path, &saved).expect("a file");
    let of_file = report(&[path.to_str().expect("a path"), "--json"]);
    std::fs::remove_file(&path).expect("it was there");
    let of_input = report_with(&["-", "--json"], &saved, &[]);
    for said in [of_file, of_input] {
        assert_eq!(said.value().pointer("/findings/0/count"), Some(&3.into()), "{said:?}");
        assert_eq!(said.value().pointer("/source/kind"), Some(&"envoy".into()));
    }
    let unnamed = r#"{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "1"]}]}}"#;
    let rows: &[(&str, &[&str])] = &[
        ("", &["-: no stats in JSON", "no answer of a Prometheus"]),
        ("{\"stats\": [{\"name\":", &["-: no stats in JSON: EOF"]),
        (unnamed, &["its series have no names", "tracewarden_.+"]),
        (
            r#"{"status": "success", "data": {"resultType": "vector", "result": []}}"#,
            &["no series of Tracewarden"],
        ),
        (r#"{"status": "error", "error": "too many samples"}"#, &["it says: too many samples"]),
    ];
    for (input, parts) in rows {
        report_with(&["-"], input, &[]).assert_refused(parts);
    }
    report(&["no/such/file"])
        .assert_refused(&["no/such/file: No such file", "a server is named like host:port"]);
}
