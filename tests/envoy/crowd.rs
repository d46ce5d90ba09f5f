//! The dashboard and 300 workloads, each with something to show in every panel: a real Prometheus answers what the panels ask,
//! over two clusters, and what is shown can be read.

use std::time::{Duration, Instant};

use crate::dashboards::{Panel, panels};
use crate::support::prometheus::Prometheus;
use crate::support::upstream::{Upstream, ok_with};
use crate::support::wait_for;

const WORKLOADS: usize = 300;

/// How many series a reader can tell apart in a graph, and rows that he can go through.
const LINES: usize = 25;
const ROWS: usize = 100;
/// A tile shows one number or a few.
const TILES: usize = 4;

/// Counters, each with its labels and how much it grows in a second.
const COUNTERS: &[(&str, &str, f64)] = &[
    ("envoy_http_downstream_rq_total", r#"envoy_http_conn_manager_prefix="in""#, 20.0),
    ("istio_agent_wasm_config_conversion_count", r#"result="fetch_failure""#, 0.1),
    ("tracewarden_bypassed_total", "", 1.0),
    ("tracewarden_call_evidence_total", r#"mode="observe",context="lost",evidence="in_flight""#, 2.0),
    ("tracewarden_corrupt_total", r#"direction="inbound",header="traceparent",reason="empty""#, 1.0),
    ("tracewarden_corrupt_total", r#"direction="outbound",header="b3",reason="shape""#, 1.0),
    ("tracewarden_export_batches_total", r#"result="exported""#, 1.0),
    ("tracewarden_export_duration_ms_bucket", r#"le="5""#, 1.0),
    ("tracewarden_export_duration_ms_bucket", r#"le="+Inf""#, 2.0),
    ("tracewarden_formats_total", r#"format="tracecontext""#, 5.0),
    ("tracewarden_host_errors_total", r#"call="get_property""#, 1.0),
    ("tracewarden_pass_duration_ns_bucket", r#"pass="request",le="1000""#, 1.0),
    ("tracewarden_pass_duration_ns_bucket", r#"pass="request",le="+Inf""#, 2.0),
    ("tracewarden_pass_duration_ns_bucket", r#"pass="response",le="1000""#, 1.0),
    ("tracewarden_pass_duration_ns_bucket", r#"pass="response",le="+Inf""#, 2.0),
    ("tracewarden_repairs_total", r#"direction="inbound",by="new""#, 1.0),
    (
        "tracewarden_requests_total",
        r#"direction="inbound",role="edge",mode="observe",context="started""#,
        5.0,
    ),
    (
        "tracewarden_requests_total",
        r#"direction="inbound",role="internal",mode="observe",context="continued""#,
        5.0,
    ),
    (
        "tracewarden_requests_total",
        r#"direction="inbound",role="internal",mode="observe",context="corrupt""#,
        1.0,
    ),
    (
        "tracewarden_requests_total",
        r#"direction="inbound",role="internal",mode="observe",context="lost""#,
        3.0,
    ),
    (
        "tracewarden_requests_total",
        r#"direction="outbound",role="internal",mode="observe",context="continued""#,
        5.0,
    ),
    (
        "tracewarden_requests_total",
        r#"direction="outbound",role="internal",mode="observe",context="corrupt""#,
        1.0,
    ),
    (
        "tracewarden_requests_total",
        r#"direction="outbound",role="internal",mode="observe",context="lost""#,
        2.0,
    ),
    ("tracewarden_responses_total", r#"context="match""#, 5.0),
    ("tracewarden_sampled_total", r#"decision="record",by="parent""#, 3.0),
    ("tracewarden_sampled_total", r#"decision="drop",by="probability""#, 5.0),
    ("tracewarden_spans_dropped_total", r#"cause="queue_full""#, 1.0),
    ("tracewarden_spans_exported_total", "", 2.0),
    ("tracewarden_spans_recorded_total", "", 3.0),
];

const GAUGES: &[(&str, &str)] = &[
    ("tracewarden_build_info", r#"version="0.1.0",revision="0123abcd""#),
    ("tracewarden_enabled", r#"direction="inbound""#),
    ("tracewarden_export_queue_spans", ""),
    ("tracewarden_traced_requests_in_flight", ""),
];

/// What all of them have counted after so many seconds. A workload is the busier, the higher its number is.
fn exposition(seconds: f64) -> String {
    let mut page = String::new();
    for number in 0..WORKLOADS {
        let cluster = if number % 2 == 0 { "east" } else { "west" };
        let who =
            format!(r#"cluster="{cluster}",namespace="team-{}",workload="service-{number}""#, number % 7);
        let busy = 1.0 + f64::from(u32::try_from(number).expect("a small number")) / 100.0;
        let mut line = |name: &str, labels: &str, value: f64| {
            page.push_str(&format!("{name}{{{who},{labels}}} {value}\n"));
        };
        COUNTERS.iter().for_each(|(name, labels, growth)| line(name, labels, seconds * growth * busy));
        // A third of the proxies could not get the module.
        let has = |name: &str| number % 3 != 0 || name != "tracewarden_build_info";
        GAUGES.iter().filter(|(name, _)| has(name)).for_each(|(name, labels)| line(name, labels, 1.0));
    }
    page
}

fn crowd() -> (Upstream, Prometheus) {
    let begin = Instant::now();
    let exporter = Upstream::answering(move |_| {
        ok_with("text/plain; version=0.0.4", exposition(begin.elapsed().as_secs_f64()).as_bytes())
    });
    let config = format!(
        "global: {{ scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 2s }}\n\
         rule_files: [tracewarden.expected.yaml, tracewarden.rules.yaml]\n\
         scrape_configs:\n  \
           - job_name: crowd\n    \
             honor_labels: true\n    \
             static_configs: [{{ targets: ['127.0.0.1:{}'] }}]\n",
        exporter.port
    );
    let prometheus = Prometheus::start("crowd", &config);
    (exporter, prometheus)
}

#[test]
fn three_hundred_workloads_can_be_read() {
    let (_exporter, prometheus) = crowd();
    // All of them are there, and alerts fire at them: more than a panel could show.
    wait_for("alerts at every workload", || {
        let firing =
            prometheus.query(r#"count(ALERTS{alertname=~"Tracewarden.*", alertstate="firing"}) > 600"#);
        std::thread::sleep(Duration::from_millis(500));
        (!firing.is_empty()).then_some(())
    });
    for Panel { title, kind, questions, .. } in panels() {
        let most = match kind.as_str() {
            "stat" => TILES,
            "table" => ROWS,
            _ => LINES,
        };
        let mut shown = 0;
        for (question, _) in &questions {
            let series = wait_for(&format!("{title}: {question}"), || {
                let series = if kind == "table" {
                    prometheus.query(question)
                } else {
                    prometheus.query_range(question)
                };
                (!series.is_empty()).then_some(series)
            });
            shown += series.len();
        }
        assert!(shown <= most, "{title}: {shown} of at most {most}");
        println!("{shown:3} {title}");
    }
}
