//! What a Prometheus is asked, and what is made of its answers. Whether it understands the questions, `real` shows.

use serde_json::{Value, json};

use crate::support::{Server, report, report_with};

type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

const MESH: &[(&str, &str)] = &[("namespace", "demo"), ("workload", "cart")];

/// The clock of a Prometheus.
const NOW: f64 = 1_700_000_000.5;

/// A Prometheus that has these series of these metrics.
pub(crate) fn answering(rows: &[Row<'_>]) -> Server {
    let rows: Vec<(String, Value)> = rows.iter().map(|row| (row.0.to_owned(), series(row))).collect();
    Server::answering(move |head| {
        if !head.starts_with("GET /api/v1/query?query=") {
            return (404, "404 page not found".to_owned());
        }
        if head.contains("query=vector(time())") {
            return (200, vector(&json!([{"metric": {}, "value": [NOW, NOW.to_string()]}])));
        }
        assert!(head.contains("&time=1699999999 "), "all questions are of one moment: {head}");
        let is_named = !head.contains("workload%3D%22%22");
        let has = |metric: &str| head.contains(&format!("{metric}%7B"));
        // Who has any is asked for by the metrics of requests and of bypassed ones.
        let is_presence = head.contains("query=group%20by%20") && has("tracewarden_bypassed_total");
        let wanted = rows.iter().filter(|(metric, row)| {
            let ours = metric.starts_with("tracewarden_") && metric != "tracewarden_build_info";
            row["metric"].get("workload").is_some() == is_named
                && if is_presence { ours } else { has(metric) }
        });
        let result: Vec<&Value> = wanted.map(|(_, row)| row).collect();
        (200, vector(&json!(result)))
    })
}

fn series((metric, labels, value): &Row<'_>) -> Value {
    let mut labels: serde_json::Map<String, Value> =
        labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).into())).collect();
    labels.insert("__name__".to_owned(), (*metric).into());
    json!({"metric": labels, "value": [NOW, value.to_string()]})
}

fn vector(result: &Value) -> String {
    json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string()
}

/// The labels of requests, beside those of the scrape.
fn requests<'a>(
    owner: &[(&'a str, &'a str)],
    direction: &'a str,
    context: &'a str,
) -> Vec<(&'a str, &'a str)> {
    let labels = [("direction", direction), ("role", "internal"), ("mode", "enforce"), ("context", context)];
    owner.iter().copied().chain(labels).collect()
}

#[test]
fn workloads_are_named_and_fractions_become_whole() {
    let lost = requests(MESH, "inbound", "lost");
    let other =
        requests(&[("namespace", "demo"), ("workload", "stock"), ("listener", "in")], "inbound", "lost");
    let continued = requests(MESH, "inbound", "continued");
    let server = answering(&[
        ("tracewarden_requests_total", &lost, 3.04),
        ("tracewarden_requests_total", &other, 7.9),
        ("tracewarden_requests_total", &continued, f64::NAN),
        ("tracewarden_build_info", &[("version", "0.1.0"), ("revision", "abc"), ("workload", "cart")], 1.0),
    ]);
    let said = report(&[&server.url()]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for part in [
        "the last 1h\nTracewarden 0.1.0 (abc)",
        "1. its callers send no trace context",
        "11 of 11 requests in 2 workloads (inbound, enforce)",
        "who    demo/stock in 8 of 8\n          demo/cart 3 of 3\n",
    ] {
        assert!(said.out.contains(part), "{part}: {said:?}");
    }
    let value = report(&[&server.url(), "--json", "--window", "30m"]).value();
    assert_eq!(value["source"]["seconds"], 1800);
    let who = json!({"namespace": "demo", "workload": "stock", "listener": "in"});
    assert_eq!(value["findings"][0]["who"], who);
    assert!(server.asked().iter().any(|head| head.contains("%5B1800s%5D")), "the window is asked for");
}

#[test]
fn series_without_a_workload_are_told_by_what_they_have() {
    let lost = requests(&[("job", "envoy"), ("instance", "10.0.0.1:15090")], "inbound", "lost");
    let said = report(&[&answering(&[("tracewarden_requests_total", &lost, 3.0)]).url()]);
    assert!(said.out.contains("1. envoy/10.0.0.1:15090: "), "{said:?}");
    assert!(said.out.contains("have no label workload") && said.out.contains("docs/runbook.md"), "{said:?}");
}

#[test]
fn others_labels_can_say_whose_it_is() {
    let server = answering(&[]);
    report(&[&server.url(), "--by", "cluster,app", "--match", "cluster=\"eu\""])
        .assert_refused(&["no series of Tracewarden"]);
    let asked = server.asked();
    let questions: Vec<&String> = asked.iter().filter(|head| head.contains("query?query=")).collect();
    let mut of_envoy = questions.iter().filter(|head| head.contains("envoy_http_downstream_rq_total"));
    let unseen = "%7Benvoy_http_conn_manager_prefix!~%22admin%7Ceg-ready-http%7Ceg-stats-http%7Ctrace_health%22%2C\
                  http_conn_manager_prefix!~%22admin%7Cagent%7C\
                  stats%7Ctrace_health%22%2C";
    assert!(of_envoy.all(|head| head.matches(unseen).count() == 3), "{questions:#?}");
    assert!(questions.iter().any(|head| head.contains("by%20(cluster%2Capp)")), "{questions:#?}");
    assert!(
        questions.iter().all(|head| head.contains("cluster%3D%22eu%22") || head.contains("=vector(time())")),
        "{questions:#?}"
    );
}

#[test]
fn an_envoy_without_tracewarden_is_the_last_of_the_findings() {
    let lost = requests(MESH, "inbound", "lost");
    let rows: &[Row<'_>] = &[
        ("tracewarden_requests_total", &lost, 1.0),
        ("envoy_http_downstream_rq_total", &[("workload", "stock")], 100_000.0),
        ("envoy_http_downstream_rq_total", &[("workload", "idle")], 100.0),
    ];
    let value = report(&[&answering(rows).url(), "--json"]).value();
    let findings = value["findings"].as_array().expect("findings");
    let told: Vec<_> =
        findings.iter().map(|finding| (&finding["kind"], &finding["who"]["workload"])).collect();
    assert_eq!(told, [(&"lost_by_caller".into(), &"cart".into()), (&"not_running".into(), &"stock".into())]);
}

#[test]
fn status_1_is_for_where_traces_break_or_nobody_sees_them() {
    let continued = requests(MESH, "inbound", "continued");
    let seen = ("tracewarden_requests_total", continued.as_slice(), 1.0);
    let without: Row<'_> = ("envoy_http_downstream_rq_total", &[("workload", "stock")], 100_000.0);
    for (rows, code) in [(&[seen, without][..], 0), (&[without], 1)] {
        let said = report(&[&answering(rows).url(), "--json"]);
        assert_eq!(said.value()["findings"][0]["kind"], "not_running");
        assert_eq!(said.code, Some(code), "{said:?}");
        assert_eq!(said.value()["notes"], json!([]), "it is no Envoy since its start");
    }
}

#[test]
fn what_is_no_number_of_requests_is_none() {
    let [lost, corrupt] = ["lost", "unlinked"].map(|context| requests(MESH, "inbound", context));
    let rows: &[(f64, &[u64])] =
        &[(1e300, &[1 << 53]), (f64::INFINITY, &[]), (-4.0, &[]), (f64::NAN, &[]), (2.0, &[2])];
    for (value, counts) in rows {
        let rows =
            [("tracewarden_requests_total", &*lost, *value), ("tracewarden_requests_total", &corrupt, 0.0)];
        let said = report(&[&answering(&rows).url(), "--json"]).value();
        let told = said["findings"].as_array().expect("findings").iter();
        assert_eq!(
            told.filter_map(|finding| finding["count"].as_u64()).collect::<Vec<_>>(),
            *counts,
            "{value}"
        );
    }
}

#[test]
fn labels_that_envoy_left_in_the_names_are_named() {
    let server = Server::answering(|head| {
        let has = head.contains(".%2B_tracewarden_requests_total");
        let found = if has { json!([{"metric": {}, "value": [0, "1"]}]) } else { json!([]) };
        if head.starts_with("GET /stats") { (404, String::new()) } else { (200, vector(&found)) }
    });
    report(&[&server.url()]).assert_refused(&["no series of Tracewarden", "stats_tags", "extraStatTags"]);
}

#[test]
fn warnings_are_passed_on_once() {
    let answer = json!({
        "status": "success",
        "warnings": ["a store did not answer\u{1b}[2J"],
        "data": {"resultType": "vector", "result": [series(&("tracewarden_bypassed_total", MESH, 1.0))]},
    });
    let server = Server::answering(move |head| {
        if head.starts_with("GET /stats") { (404, String::new()) } else { (200, answer.to_string()) }
    });
    let value = report(&[&server.url(), "--json"]).value();
    let notes: Vec<&str> =
        value["notes"].as_array().expect("notes").iter().filter_map(Value::as_str).collect();
    let warnings: Vec<&&str> = notes.iter().filter(|note| note.contains("did not answer")).collect();
    assert_eq!(warnings, [&"Prometheus warns: a store did not answer[2J"]);
}

#[test]
fn a_saved_answer_has_the_counters_themselves() {
    let scrape = &[("namespace", "demo"), ("workload", "cart"), ("job", "envoy"), ("instance", "a")];
    let other = &[("namespace", "demo"), ("workload", "cart"), ("job", "envoy"), ("instance", "b")];
    let of = |prefix| [scrape.as_slice(), &[("envoy_http_conn_manager_prefix", prefix)]].concat();
    let of_istio = |prefix| [scrape.as_slice(), &[("http_conn_manager_prefix", prefix)]].concat();
    let rows: &[Row<'_>] = &[
        ("tracewarden_requests_total", &requests(scrape, "inbound", "lost"), 3.0),
        // From an Envoy without `stats_tags`.
        (
            "direction___inbound___role___internal___mode___enforce___context___lost___tracewarden_requests_total",
            other,
            4.0,
        ),
        ("tracewarden_pass_duration_ns_sum", scrape, 4.0),
        ("envoy_http_downstream_rq_total", scrape, 7.0),
        ("envoy_http_downstream_rq_total", &of("admin"), 900.0),
        ("envoy_http_downstream_rq_total", &of("trace_health"), 900.0),
        ("envoy_http_downstream_rq_total", &of("eg-ready-http"), 900.0),
        ("envoy_http_downstream_rq_total", &of("eg-stats-http"), 900.0),
        ("envoy_http_downstream_rq_total", &of_istio("admin"), 900.0),
        ("envoy_http_downstream_rq_total", &of_istio("trace_health"), 900.0),
        ("envoy_http_downstream_rq_total", &of_istio("agent"), 900.0),
        ("envoy_http_downstream_rq_total", &of_istio("stats"), 900.0),
    ];
    let saved = vector(&json!(rows.iter().map(series).collect::<Vec<_>>()));
    let said = report_with(&["-"], &saved, &[]);
    assert!(said.out.starts_with("Prometheus at -, since Envoy's start\n"), "{said:?}");
    assert!(
        said.out.contains("1. demo/cart: its callers") && said.out.contains("7 of 7 requests"),
        "{said:?}"
    );
    let value = report_with(&["-", "--json", "--by", "instance"], &saved, &[]).value();
    assert_eq!(value["findings"].as_array().map(Vec::len), Some(2), "{value}");
}
