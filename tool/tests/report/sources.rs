//! Where counters come from: text of a scrape, pipes, several Envoys, clusters.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Said, Server, report, report_with, requests, stats_json};

/// An Envoy's answer to a scrape, with its labels cut out of the names of the stats.
const LABELS: &str = r#"# TYPE envoy_server_uptime gauge
envoy_server_uptime{} 3723
# TYPE tracewarden_requests_total counter
tracewarden_requests_total{listener="shop_out",direction="outbound",role="internal",mode="enforce",context="lost"} 3
tracewarden_requests_total{listener="shop_in",upstream_cluster="own",direction="inbound",role="internal",mode="enforce",context="continued"} 5
tracewarden_requests_total{listener="shop_in",upstream_cluster="other",direction="inbound",role="internal",mode="enforce",context="continued"} 4
tracewarden_enabled{listener="shop_in",direction="inbound"} 1
tracewarden_build_info{version="0.1.0",revision="abc-dirty"} 1
# TYPE tracewarden_pass_duration_ns histogram
tracewarden_pass_duration_ns_bucket{pass="request",le="+Inf"} 12
tracewarden_pass_duration_ns_sum{pass="request"} 9000
tracewarden_pass_duration_ns_count{pass="request"} 12
# TYPE envoy_http_downstream_rq_total counter
envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="admin"} 900
envoy_http_downstream_rq_total{http_conn_manager_prefix="agent"} 900
envoy_http_downstream_rq_total{http_conn_manager_prefix="inbound_0.0.0.0_8080;"} 12
"#;

/// The same from an Envoy without `stats_tags`.
const RAW: &str = r#"envoy_server_uptime{} 3723
listener___shop_out___direction___outbound___role___internal___mode___enforce___context___lost___tracewarden_requests_total{} 3
listener___shop_in___virtual_host___own___direction___inbound___role___internal___mode___enforce___context___continued___tracewarden_requests_total{} 5
listener___shop_in___virtual_host___other___direction___inbound___role___internal___mode___enforce___context___continued___tracewarden_requests_total{} 4
listener___shop_in___direction___inbound___tracewarden_enabled{} 1
version___0_1_0___revision___abc_dirty___tracewarden_build_info{} 1
listener___shop_in___pass___request___tracewarden_pass_duration_ns_bucket{le="+Inf"} 12
envoy_http_admin_downstream_rq_total{} 900
envoy_http_eg_ready_http_downstream_rq_total{} 900
envoy_http_edge_downstream_rq_total{} 12
envoy_wasm_tracewarden_vm_reload{} 1
"#;

fn of(text: &str, arguments: &[&str]) -> Said {
    report_with(&[&["-"], arguments].concat(), text, &[])
}

/// What is the same whatever the format: builds, summary, workloads and findings.
fn content(said: &Said) -> Value {
    let value = said.value();
    json!([
        value["builds"],
        value["summary"],
        value["workloads"],
        value["findings"],
        value["source"]["seconds"]
    ])
}

/// A file for a test, which is removed at its end.
struct Saved(PathBuf);

impl Saved {
    fn new(name: &str, text: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("a file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path")
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn each_format_of_an_envoy_says_the_same() {
    let stats = stats_json(&[
        ("server.uptime", 3723),
        (&requests("shop_out", "outbound", "internal", "enforce", "lost"), 3),
        (&requests("shop_in", "inbound", "internal", "enforce", "continued"), 9),
        ("version=.=0.1.0;.;revision=.=abc-dirty;.;tracewarden_build_info", 1),
        ("http.inbound_0.0.0.0_8080;.downstream_rq_total", 12),
        ("http.admin.downstream_rq_total", 900),
    ]);
    let [json, labels, raw] = [&stats, LABELS, RAW].map(|text| of(text, &["--json"]));
    assert_eq!(content(&labels), content(&json));
    assert_eq!(content(&raw), content(&json));
    assert_eq!(json.value()["findings"][0]["kind"], "lost_by_application");
    assert_eq!(json.value()["source"]["kind"], "envoy");
    assert_eq!(json.value()["source"]["seconds"], 3723);
}

#[test]
fn metrics_of_others_in_between_change_nothing() {
    let others = "# HELP http_requests_total Says \"{}\" \\n\n\
        http_requests_total{path=\"/a\\\"b}\\\\\",code=\"200\"} 5 1700000000000\n\
        http_requests_total{code=\"500\"} 1.5e3 # {trace_id=\"abc\"} 0.5 1700000000.5\n\
        go_gc_duration_seconds{quantile=\"0\"} NaN\n\
        queue_limit +Inf\n\
        istio_requests_total{reporter=\"source\"} 7\n";
    let mixed: String = LABELS.lines().map(|line| format!("{others}{line}\n")).collect();
    assert_eq!(content(&of(&mixed, &["--json"])), content(&of(LABELS, &["--json"])));
    assert_eq!(of(&mixed, &["--json"]).value()["notes"], of(LABELS, &["--json"]).value()["notes"]);
}

#[test]
fn what_kubectl_and_terminals_add_changes_nothing() {
    let stats = stats_json(&[(&requests("shop_out", "outbound", "internal", "enforce", "lost"), 3)]);
    let vector = json!({"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {"__name__": "tracewarden_bypassed_total", "workload": "cart"}, "value": [0, "3"]}]}});
    for text in [stats.as_str(), LABELS, RAW, &vector.to_string()] {
        let plain = content(&of(text, &["--json"]));
        let crlf = text.replace('\n', "\r\n");
        let notice = format!(
            "Defaulted container \"istio-proxy\" out of: istio-proxy, istio-init (init)\r\n{crlf}\r\n"
        );
        for piped in [crlf, notice, format!("\u{feff}{text}")] {
            assert_eq!(content(&of(&piped, &["--json"])), plain, "{piped}");
        }
    }
    let cut = format!("{LABELS}tracewarden_requests_total{{listener=\"x");
    let said = of(&cut, &[]);
    assert!(said.out.contains("no metric of Prometheus' text format: 1 line."), "{said:?}");
}

#[test]
fn what_is_no_known_format_says_what_was_expected() {
    let rows: &[(&str, &[&str])] = &[
        (
            "server.uptime: 5\nhttp.edge.downstream_rq_total: 3\n",
            &["as plain text; save /stats?format=json or /stats/prometheus"],
        ),
        ("# a comment alone\n", &["no metrics in the text format of Prometheus"]),
        ("go_goroutines 7\n", &["no series of Tracewarden, nor of any Envoy"]),
    ];
    for (text, parts) in rows {
        of(text, &[]).assert_refused(parts);
    }
    // An Envoy without the filter is no error.
    let said = of("envoy_server_uptime{} 3\n", &[]);
    assert!(
        said.code == Some(1) && said.out.contains("this Envoy: Envoy serves without Tracewarden"),
        "{said:?}"
    );
}

#[test]
fn a_long_text_is_read_to_its_end() {
    let filler = "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"a-cluster-with-a-name\"} 17\n";
    let text = format!("{}{LABELS}", filler.repeat((17 << 20) / filler.len()));
    assert!(text.len() > 16 << 20);
    assert_eq!(content(&of(&text, &["--json"])), content(&of(LABELS, &["--json"])));
    let endless = format!("a{{b=\"{}\"}} 1\n{LABELS}", "x".repeat(1 << 20));
    assert_eq!(
        content(&of(&endless, &["--json"])),
        content(&of(LABELS, &["--json"])),
        "a line without end is none"
    );
}

#[test]
fn numbers_that_are_none_count_nothing() {
    for (value, count) in
        [("NaN", None), ("+Inf", None), ("-5", None), ("3", Some(3)), ("1e300", Some(1_u64 << 53))]
    {
        let text = LABELS.replace("context=\"lost\"} 3", &format!("context=\"lost\"}} {value}"));
        let found = of(&text, &["--json"]).value();
        assert_eq!(found.pointer("/findings/0/count").and_then(Value::as_u64), count, "{value}");
    }
}

#[test]
fn a_host_and_a_port_are_an_address() {
    let envoy = Server::envoy(&[(&requests("", "inbound", "internal", "enforce", "lost"), 3)]);
    let address = envoy.url().replace("http://", "");
    let said = report(&[&address]);
    assert!(said.code == Some(1) && said.out.starts_with(&format!("Envoy at {address}, since")), "{said:?}");
    let gone = report(&["127.0.0.1:1"]);
    gone.assert_refused(&["http://127.0.0.1:1/stats", "refused"]);
}

#[test]
fn ports_for_scrapes_are_read() {
    let agent = Server::answering(|head| match head.starts_with("GET /stats/prometheus?") {
        true => (200, LABELS.to_owned()),
        false => (404, String::new()),
    });
    let expected = content(&of(LABELS, &["--json"]));
    for url in [agent.url(), format!("{}/stats/prometheus", agent.url())] {
        assert_eq!(content(&report(&[&url, "--json"])), expected, "{url}");
    }
    let scrape = format!("{}/stats/prometheus", Server::answering(|_| (200, "{}".to_owned())).url());
    assert_eq!(report(&[&scrape]).code, Some(2));
}

#[test]
fn several_envoys_are_told_apart_by_their_names() {
    let lost = requests("shop_out", "outbound", "internal", "enforce", "lost");
    let continued = requests("shop_in", "inbound", "internal", "enforce", "continued");
    let server = Server::envoy(&[(&lost, 5), (&continued, 5)]);
    let file = Saved::new("cart.prom", LABELS);
    let cart = format!("cart={}", file.path());
    let said = report(&[&cart, &format!("stock={}", server.url()), file.path(), "--json"]);
    let value = said.value();
    let who: Vec<&Value> =
        value["workloads"].as_array().expect("rows").iter().map(|row| &row["who"]["source"]).collect();
    assert_eq!(who, ["stock", file.path(), "cart"].map(Value::from).iter().collect::<Vec<_>>());
    assert_eq!(value["findings"][0]["who"], json!({"source": "stock", "listener": "shop_out"}));
    assert_eq!(value["sources"][0]["name"], "cart");
    assert!(value.get("source").is_none(), "{value}");
    let text = report(&[&cart, &format!("stock={}", server.url())]).out;
    assert!(text.starts_with("2 Envoys: cart, stock, since Envoy's start\n"), "{text}");
    assert!(
        text.contains("\nstock ")
            && text.contains("who    stock shop_out 5 of 5\n          cart shop_out 3 of 3\n"),
        "{text}"
    );

    // One that has a name keeps it.
    let one = report(&[&cart, "--json"]).value();
    assert_eq!(
        (&one["source"]["name"], &one["workloads"][0]["who"]["source"]),
        (&"cart".into(), &"cart".into())
    );
    report(&[file.path(), file.path()]).assert_refused(&["two sources are called", "NAME="]);
    report(&[&cart, "stock=no/such/file"]).assert_refused(&["no/such/file: No such file"]);
}

#[test]
fn few_requests_without_the_filter_say_something_of_an_envoy_that_was_named() {
    let [with, without] = [("with", LABELS), ("without", "envoy_http_edge_downstream_rq_total 3\n")]
        .map(|(name, text)| Saved::new(name, text));
    let of_two = report(&[with.path(), without.path(), "--json"]).value();
    assert_eq!(of_two["findings"][1]["kind"], "not_running", "{of_two}");
    // A Prometheus may well know one that has next to no requests.
    let scraped = Saved::new("scraped", "envoy_http_downstream_rq_total{workload=\"idle\"} 3\n");
    let value = report(&[with.path(), scraped.path(), "--json"]).value();
    assert_eq!(value["findings"].as_array().map(Vec::len), Some(1), "{value}");
}

#[test]
fn two_envoys_are_asked_at_the_same_times() {
    let asked = std::sync::atomic::AtomicU64::new(0);
    let lost = requests("", "inbound", "internal", "enforce", "lost");
    let counting = Server::answering(move |_| {
        (200, stats_json(&[(&lost, 10 * (1 + asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst)))]))
    });
    let steady = Server::envoy(&[(&requests("", "inbound", "internal", "enforce", "lost"), 7)]);
    let said =
        report(&[&format!("a={}", counting.url()), &format!("b={}", steady.url()), "--for", "1s", "--json"]);
    let value = said.value();
    assert_eq!(value["findings"].as_array().map(Vec::len), Some(1), "{value}");
    assert_eq!(
        (&value["findings"][0]["count"], &value["findings"][0]["who"]["source"]),
        (&10.into(), &"a".into())
    );
}

/// A workload of that name in a cluster.
fn in_cluster(cluster: &str, count: u64) -> String {
    format!(
        "tracewarden_requests_total{{{cluster}namespace=\"shop\",workload=\"cart\",direction=\"inbound\",role=\"internal\",\
         mode=\"enforce\",context=\"lost\"}} {count}\n"
    )
}

#[test]
fn clusters_are_not_added_together() {
    let text =
        [in_cluster("cluster=\"eu\",", 3), in_cluster("cluster=\"us\",", 4), in_cluster("", 5)].concat();
    let said = of(&text, &[]);
    for part in ["Prometheus at -", "\nus/shop/cart ", "\neu/shop/cart ", "\nshop/cart "] {
        assert!(said.out.contains(part), "{part}: {said:?}");
    }
    let value = of(&text, &["--json"]).value();
    assert_eq!(
        value["findings"][1]["who"],
        json!({"cluster": "us", "namespace": "shop", "workload": "cart"})
    );
    let together = of(&text, &["--json", "--by", "namespace,workload"]).value();
    assert_eq!(together["findings"].as_array().map(Vec::len), Some(1));
    assert_eq!(together["findings"][0]["count"], 12);
    of(&text, &["--by", "source"]).assert_refused(&["--by source: that is a label of Tracewarden's own"]);

    let server = crate::prometheus::answering(&[]);
    let _ = report(&[&server.url()]);
    let asked = server.asked().concat();
    assert!(asked.contains("by%20(cluster%2Cnamespace%2Cworkload)"), "{asked}");
}

#[test]
fn what_a_prometheus_gathered_is_not_taken_for_one_envoy() {
    let lost = |instance: &str| {
        format!(
            "tracewarden_requests_total{{job=\"envoy\",instance=\"{instance}\",direction=\"inbound\",role=\"internal\",\
             mode=\"enforce\",context=\"lost\"}} 3 1700000000000\n"
        )
    };
    let said = of(&[lost("a:1"), lost("b:1")].concat(), &[]).out;
    for part in ["Prometheus at -", "\nenvoy/a:1 ", "\nenvoy/b:1 ", "have no label workload"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn one_prometheus_for_each_cluster_is_as_good() {
    let [eu, us] = [3, 4].map(|count| Saved::new(&format!("cluster-{count}"), &in_cluster("", count)));
    let value = report(&[&format!("eu={}", eu.path()), &format!("us={}", us.path()), "--json"]).value();
    assert_eq!(value["findings"][0]["who"], json!({"source": "us", "namespace": "shop", "workload": "cart"}));
    assert_eq!(value["findings"].as_array().map(Vec::len), Some(2));
}
