//! Asking again and again.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Server, report, requests, stats_json};

fn lost(count: u64) -> (String, u64) {
    (requests("cart", "inbound", "internal", "enforce", "lost"), count)
}

fn continued(count: u64) -> (String, u64) {
    (requests("cart", "inbound", "internal", "enforce", "continued"), count)
}

/// An Envoy that answers these stats one after the other, and then the last ones; none is an error.
fn envoy(readings: Vec<Option<Vec<(String, u64)>>>) -> Server {
    let asked = AtomicUsize::new(0);
    Server::answering(move |head| {
        if !head.starts_with("GET /stats?") {
            return (404, String::new());
        }
        let place = asked.fetch_add(1, Ordering::SeqCst).min(readings.len() - 1);
        match &readings[place] {
            None => (503, String::new()),
            Some(stats) => {
                let stats: Vec<(&str, u64)> =
                    stats.iter().map(|(name, count)| (name.as_str(), *count)).collect();
                (200, stats_json(&stats))
            }
        }
    })
}

#[test]
fn each_time_says_what_was_counted_in_between() {
    let server = envoy(vec![
        Some(vec![continued(100), lost(50)]),
        Some(vec![continued(107), lost(50)]),
        Some(vec![continued(110), lost(54)]),
        Some(vec![continued(120), lost(56)]),
        Some(vec![continued(130), lost(56)]),
    ]);
    let said = report(&[&server.url(), "--watch", "1", "--count", "4"]);
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""), "{said:?}");
    let blocks: Vec<String> =
        said.out.split_terminator("\n\n").map(|block| block.replace("\n        ", " ")).collect();
    assert_eq!(blocks.len(), 4, "{said:?}");
    let expected: [&[&str]; 4] = [
        &["7 of 7 contexts intact", "nothing is lost or corrupt"],
        &["3 of 7 contexts intact", "new   cart: its callers", ": 4 of 7 requests"],
        &["10 of 12 contexts intact", "cart: its callers", ": 2 of 12 requests, before 4"],
        &["10 of 10 contexts intact", "nothing is lost or corrupt", "gone  cart: its callers"],
    ];
    for (block, parts) in blocks.iter().zip(expected) {
        assert!(
            block.contains("Z, the last ") && parts.iter().all(|part| block.contains(part)),
            "{parts:?}: {block}"
        );
    }
    assert!(!blocks[2].contains("new") && !said.out.contains('\u{1b}'), "{said:?}");
}

#[test]
fn the_status_is_that_of_the_worst_time() {
    let fine = || Some(vec![continued(5)]);
    let quiet = report(&[&envoy(vec![fine()]).url(), "--watch=1", "--count", "1"]);
    assert_eq!(quiet.code, Some(0));
    assert!(quiet.out.contains(": no request\n\n"), "{quiet:?}");
    let hidden = envoy(vec![fine(), Some(vec![continued(5), lost(1), continued(999)])]);
    let said = report(&[&hidden.url(), "--watch", "1", "--count", "1", "--min-share", "5"]);
    assert!(
        said.code == Some(0) && said.out.contains("        1 finding hidden (--min-share)\n"),
        "{said:?}"
    );
}

#[test]
fn json_is_one_line_for_each_time() {
    let server = envoy(vec![Some(vec![lost(1)]), Some(vec![lost(3)]), Some(vec![lost(6)])]);
    let said = report(&[&server.url(), "--watch", "1", "--count", "2", "--json"]);
    let counts: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["findings"][0]["count"].clone())
        .collect();
    assert_eq!(counts, [2, 3]);
    let source: Value = serde_json::from_str(said.out.lines().next().expect("a line")).expect("JSON");
    assert_eq!(source["source"]["since"], "window");
}

#[test]
fn an_answer_that_fails_is_said_and_asked_for_again() {
    let server = envoy(vec![Some(vec![lost(1)]), None, Some(vec![lost(4)])]);
    let said = report(&[&server.url(), "--watch", "1", "--count", "2"]);
    assert!(said.err.contains("/stats answered 503") && said.code == Some(1), "{said:?}");
    assert!(said.out.contains("3 of 3 requests"), "what was counted meanwhile is not lost: {said:?}");
    let failing = envoy(vec![Some(vec![lost(1)]), None]);
    assert_eq!(report(&[&failing.url(), "--watch", "1", "--count", "1"]).code, Some(2));
    report(&[&envoy(vec![None]).url(), "--watch"]).assert_refused(&["/stats answered 503"]);
}

#[test]
fn a_prometheus_answers_at_once() {
    let labels = [
        ("workload", "cart"),
        ("direction", "inbound"),
        ("role", "internal"),
        ("mode", "enforce"),
        ("context", "lost"),
    ];
    let server = crate::prometheus::answering(&[("tracewarden_requests_total", &labels, 3.0)]);
    let said = report(&[&server.url(), "--watch", "3600", "--count", "1"]);
    assert!(said.out.contains("the last 5m: 0 of 3 contexts intact") && said.code == Some(1), "{said:?}");
    assert!(server.asked().concat().contains("%5B300s%5D"));
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let url = envoy(vec![Some(vec![lost(1)])]).url();
    report(&["-", "--watch"]).assert_refused(&["-: --watch needs servers"]);
    for (arguments, part) in [
        (&["--watch", "0"][..], "expected seconds"),
        (&["--watch", "127.0.0.1:9901"], "name the sources before --watch"),
        (&["--watch", "--for", "1s"], "cannot be used with"),
        (&["--watch", "--baseline", "a"], "cannot be used with"),
        (&["--count", "1"], "--watch"),
    ] {
        report(&[&[url.as_str()], arguments].concat()).assert_refused(&[part]);
    }
}

#[test]
fn it_ends_when_nobody_reads_it_or_wants_it_any_more() {
    let server = envoy((0..100).map(|number| Some(vec![lost(number)])).collect());
    for is_interrupted in [false, true] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tracewarden"))
            .args(["report", &server.url(), "--watch", "1", "--count", "1000000"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output"));
        let mut first = String::new();
        lines.read_line(&mut first).expect("a line");
        if is_interrupted {
            let id = child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
        } else {
            drop(lines);
        }
        let status = ended(&mut child);
        let mut complaints = String::new();
        child.stderr.take().expect("its complaints").read_to_string(&mut complaints).expect("text");
        // That traces broke is known by then, and it is neither a panic nor a signal.
        assert_eq!((status.code(), complaints.as_str()), (Some(1), ""), "{is_interrupted}: {first}");
    }
}

/// Its exit status, for which nobody waits longer than this.
fn ended(child: &mut Child) -> ExitStatus {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is asked") {
            return status;
        }
        if begin.elapsed() > Duration::from_secs(60) {
            child.kill().expect("it is killed");
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
