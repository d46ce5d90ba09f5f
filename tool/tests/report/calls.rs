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
    assert!(said.out.contains("it is no JSON: 1 line."), "a line without end is none: {said:?}");
}

/// A broken call with the names that Envoy gives its destination and its route.
fn routed(path: &str, cluster: Option<&str>, route: Option<&str>) -> String {
    json!({"trace_context": "lost", "caller": "cart", "method": "GET", "authority": "stock", "path": path,
        "cluster": cluster, "route": route})
    .to_string()
}

#[test]
fn a_call_has_the_destination_and_the_route_that_envoy_chose() {
    let stock = Some("outbound|80||stock.shop.svc.cluster.local");
    let log = [
        routed("/a", stock, Some("canary")),
        routed("/a", stock, Some("canary")),
        routed("/a", stock, Some("stable")),
        routed("/a", stock, None),
        routed("/a", None, Some("-")),
        routed("/a", Some("\u{1b}[2J"), Some("\r\u{202e}x")),
    ];
    let said = report_with(&["--log", "-"], &log.join("\n"), &[]).out.replace("\n  ", " ");
    for expected in [
        "6 broken calls in the log, and 0 other lines",
        "2 lost: cart -> GET stock/a (cluster outbound|80||stock.shop.svc.cluster.local, route canary)",
        "1 lost: cart -> GET stock/a (cluster outbound|80||stock.shop.svc.cluster.local, route stable)",
        "1 lost: cart -> GET stock/a (cluster outbound|80||stock.shop.svc.cluster.local) ",
        "1 lost: cart -> GET stock/a 1 lost",
        "(cluster [2J, route x)",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
    let value = report_with(&["--json", "--log", "-"], &log.join("\n"), &[]).value();
    let first = &value["groups"][0];
    assert_eq!((&first["cluster"], &first["route"]), (&json!(stock), &json!("canary")));
}

#[test]
fn lines_are_found_behind_what_kubectl_writes_and_among_those_of_others() {
    let lost = line("lost", Some("cart"), "/a");
    let log = [
        format!("[pod/stock-1/istio-proxy] {lost}"),
        format!("2026-11-26T10:00:00.000000001Z stdout F {lost}"),
        r#"{"path": {"nested": 1}, "trace_context": "lost"}"#.to_owned(),
        r#"{"path": "/a", "path": "/b"}"#.to_owned(),
        "2026-11-26T10:00:00Z info no {json} at all".to_owned(),
    ];
    let said = report_with(&["--json", "--log", "-"], &log.join("\n"), &[]);
    assert_eq!(groups(&said), ["2 lost cart stock/a"]);
    let value = said.value();
    let counts = ["broken", "others", "unread"].map(|field| value[field].as_u64());
    assert_eq!(counts, [Some(2), Some(2), Some(1)], "{value}");
}

#[test]
fn what_top_leaves_out_is_summed() {
    let paths = ["/a", "/a", "/a", "/b", "/b", "/c"].map(|path| line("lost", None, path));
    let said = report_with(&["--top", "1", "--log", "-"], &paths.join("\n"), &[]).out;
    assert!(said.contains("and 2 more kinds (3 calls): --all shows all"), "{said}");
    assert!(!said.contains("/b"), "{said}");
    let alone = report_with(&["--log", "-"], &line("lost", None, "/a"), &[]).out;
    assert!(alone.starts_with("1 broken call in the log, and 0 other lines"), "{alone}");
}
