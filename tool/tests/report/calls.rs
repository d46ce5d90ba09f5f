//! Which calls a log of broken calls names.

use serde_json::{Value, json};

use crate::support::{Said, Server, report, report_with, requests};

fn line(verdict: &str, caller: Option<&str>, path: &str) -> String {
    json!({"time": "2026-11-26T10:00:00Z", "trace_context": verdict, "caller": caller, "address": "10.0.0.7", "method": "GET",
        "authority": "stock", "path": path, "route": "default", "status": 200, "port": 15006})
    .to_string()
}

fn groups(said: &Said) -> Vec<String> {
    let value = said.value();
    let calls = value.get("calls").unwrap_or(&value);
    let group = |group: &Value| {
        let text = |field: &str| group[field].as_str().expect("a text").to_owned();
        format!(
            "{} {} {} {}{}",
            group["count"],
            text("verdict"),
            text("caller"),
            text("authority"),
            text("path")
        )
    };
    calls["groups"].as_array().expect("groups").iter().map(group).collect()
}

#[test]
fn calls_that_are_alike_are_named_once_the_most_first() {
    let cart = Some("spiffe://cluster.local/ns/shop/sa/cart");
    let log = [
        line("lost", cart, "/items/17"),
        line("lost", cart, "/items/18?a=1"),
        line("lost", cart, "/v1/items"),
        line("corrupt", None, "/a/b/c/d/e/f"),
        line("unlinked", Some("-"), "/"),
        line("continued", cart, "/"),
        r#"{"level": "info", "msg": "another line"}"#.to_owned(),
        String::new(),
        "no json".to_owned(),
    ];
    let said = report_with(&["--json", "--log", "-"], &log.join("\n"), &[]);
    let expected = [
        "2 lost spiffe://cluster.local/ns/shop/sa/cart stock/items/*",
        "1 corrupt 10.0.0.7 stock/a/b/c/d/…",
        "1 lost spiffe://cluster.local/ns/shop/sa/cart stock/v1/items",
        "1 unlinked 10.0.0.7 stock/",
    ];
    assert_eq!(groups(&said), expected);
    let value = said.value();
    let counts = ["broken", "others", "unread", "left_out"].map(|field| value[field].as_u64());
    assert_eq!((counts, said.code), ([Some(5), Some(2), Some(1), Some(0)], Some(1)));
}

#[test]
fn a_log_that_names_nobody_says_that_its_filter_may_be_silent() {
    let said = report_with(&["--log", "-"], &line("continued", None, "/"), &[]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("the log's filter matches nothing, and is silent"), "{said:?}");
    report(&["--log", "no-such-file"]).assert_refused(&["no-such-file"]);
    assert_eq!(report(&[]).code, Some(2), "something has to be named");
}

#[test]
fn calls_stand_beside_counters() {
    let lost = requests("", "inbound", "internal", "observe", "lost");
    let envoy = Server::envoy(&[(&lost, 3)]);
    let input = line("lost", None, "/cart");
    let said = report_with(&["--json", &envoy.url(), "--log", "-"], &input, &[]);
    assert_eq!(groups(&said), ["1 lost 10.0.0.7 stock/cart"]);
    assert_eq!(said.value()["findings"][0]["kind"], "lost_by_caller");
    let text = report_with(&[&envoy.url(), "--log", "-"], &input, &[]).out;
    assert!(text.contains("1 lost: 10.0.0.7 -> GET stock/cart"), "{text}");
}

#[test]
fn no_line_makes_it_grow_or_reaches_the_terminal_as_it_is() {
    let many: Vec<String> =
        (0..6_000).map(|number| line("lost", Some(&format!("caller-{}", number)), "/")).collect();
    let said = report_with(&["--json", "--log", "-"], &many.join("\n"), &[]);
    assert_eq!((groups(&said).len(), said.value()["left_out"].as_u64()), (5_000, Some(1_000)));
    let hostile = [
        line("lost", Some("\u{1b}[2Jx"), "/\u{202e}y"),
        format!("{{\"path\": \"{}\"}}", "a".repeat(1 << 20)),
    ];
    let said = report_with(&["--log", "-"], &hostile.join("\n"), &[]);
    assert!(said.out.contains("[2Jx -> GET stock/y") && !said.out.contains('\u{1b}'), "{said:?}");
    assert!(said.out.contains("1 lines are no JSON"), "a line without end is none: {said:?}");
}
