//! The Grafana dashboard: what each panel asks, answered by a real Prometheus that scrapes the demo mesh.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::mesh::Mesh;
use crate::support::client::get;
use crate::support::prometheus::Prometheus;
use crate::support::{in_repository, wait_for};

/// What Grafana puts in the place of its variables.
const VARIABLES: &[(&str, &str)] = &[
    ("$__rate_interval", "10s"),
    ("$__range", "15s"),
    ("$cluster", ".*"),
    ("$namespace", ".*"),
    ("$workload", ".*"),
];

/// What a healthy mesh has no series of.
const OF_TROUBLE: &[&str] = &[
    "(tracewarden_host_errors_total{",
    "(tracewarden_bypassed_total{",
    "count(tracewarden:not_pulled{",
    "count(tracewarden:rejected_at{",
    "count(ALERTS{alertname=~\"Tracewarden",
];

fn dashboard() -> Value {
    let text = std::fs::read_to_string(in_repository("envoy/grafana/tracewarden.json")).expect("the file");
    serde_json::from_str(&text).expect("JSON")
}

fn list<'a>(value: &'a Value, place: &str) -> &'a [Value] {
    value.pointer(place).and_then(Value::as_array).expect(place)
}

fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value.pointer(place).and_then(Value::as_str).expect(place)
}

/// A panel that asks something.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) kind: String,
    /// Each expression, with the labels that its legend shows.
    pub(crate) questions: Vec<(String, Vec<String>)>,
    json: Value,
}

/// All of them, with something in the place of each variable.
pub(crate) fn panels() -> Vec<Panel> {
    let dashboard = dashboard();
    let panels = list(&dashboard, "/panels").iter().filter(|panel| text(panel, "/type") != "row");
    panels
        .map(|panel| Panel {
            title: text(panel, "/title").to_owned(),
            kind: text(panel, "/type").to_owned(),
            questions: list(panel, "/targets").iter().map(question).collect(),
            json: panel.clone(),
        })
        .collect()
}

fn question(target: &Value) -> (String, Vec<String>) {
    let expression = text(target, "/expr").to_owned();
    let expression = VARIABLES.iter().fold(expression, |e, (name, value)| e.replace(name, value));
    let legend = text(target, "/legendFormat").split("{{").skip(1);
    (expression, legend.filter_map(|rest| Some(rest.split_once("}}")?.0.to_owned())).collect())
}

#[test]
fn every_panel_has_something_to_show_of_the_demo_mesh() {
    let mesh = Mesh::new("dashboards");
    mesh.up();
    let prometheus = Prometheus::scraping("dashboards-prometheus", mesh.admin);
    let all = panels().into_iter();
    let questions =
        all.flat_map(|Panel { title, questions, .. }| questions.into_iter().map(move |q| (title.clone(), q)));
    for (title, (expression, labels)) in questions {
        assert!(!expression.contains('$'), "{title}: a variable is left in {expression}");
        if let Some(zero) = expression.strip_suffix(" or vector(0)") {
            assert!(
                OF_TROUBLE.iter().any(|metric| zero.contains(metric)),
                "{title}: 0 stands in for anything"
            );
        }
        let series = wait_for(&format!("{title}: {expression}"), || {
            for path in ["/checkout", "/lossy", "/mangler"] {
                assert_eq!(get(mesh.port, path, &[]).status(), 200, "{path}");
            }
            std::thread::sleep(Duration::from_millis(50));
            // A quotient of nothing by nothing is a series, and shows nothing.
            let shows = |series: &Value| series.pointer("/value/1") != Some(&"NaN".into());
            let all: Vec<Value> = prometheus.query(&expression).into_iter().filter(shows).collect();
            let is_whole = |series: &&Value| {
                let is_optional = |label: &str| ["cluster", "listener"].contains(&label);
                labels
                    .iter()
                    .all(|label| is_optional(label) || series.pointer(&format!("/metric/{label}")).is_some())
            };
            all.iter().any(|series| is_whole(&series)).then_some(all)
        });
        assert!(!series.is_empty(), "{title}");
    }
    let causes = r#"sum by (workload, reason) (tracewarden_corrupt_total)"#;
    let [cause] = &prometheus.query(causes)[..] else { panic!("one cause") };
    assert_eq!((text(cause, "/metric/workload"), text(cause, "/metric/reason")), ("mangler", "upper_case"));
}

#[test]
fn the_variables_are_labels_that_the_scrape_gives() {
    let dashboard = dashboard();
    for variable in list(&dashboard, "/templating/list").iter().filter(|v| text(v, "/type") == "query") {
        let (metric, label) = text(variable, "/definition")
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'))
            .and_then(|rest| rest.rsplit_once(", "))
            .expect("label_values(metric, label)");
        assert!(metric.starts_with("tracewarden_requests_total"), "{metric}");
        assert_eq!(label, text(variable, "/name"));
    }
}

#[test]
fn every_workload_that_is_shown_leads_to_its_own_view() {
    let dashboard = dashboard();
    let own = format!("/d/{}?", text(&dashboard, "/uid"));
    let mut with_workloads = 0;
    for Panel { title, kind, questions, json } in panels() {
        let (links, value) = match kind.as_str() {
            "table" => {
                let overrides = list(&json, "/fieldConfig/overrides");
                let of = |column: &str| {
                    let found = overrides.iter().find(|one| text(one, "/matcher/options") == column);
                    found.map(|one| text(one, "/properties/0/value/0/url").to_owned())
                };
                ([of("workload"), of("cluster")].into_iter().flatten().collect::<Vec<_>>(), "__data.fields")
            }
            _ if questions.iter().any(|(_, labels)| labels.iter().any(|label| label == "workload")) => {
                (vec![text(&json, "/fieldConfig/defaults/links/0/url").to_owned()], "__field.labels")
            }
            _ => continue,
        };
        // The one table that has no workloads is that of the builds.
        assert_eq!(links.is_empty(), title == "Builds", "{title}");
        with_workloads += usize::from(!links.is_empty());
        for link in links {
            let sets = |name: &str| link.contains(&format!("&var-{name}=${{{value}.{name}}}"));
            assert!(link.starts_with(&own) && sets("namespace") && sets("workload"), "{title}: {link}");
        }
    }
    assert!(with_workloads >= 10, "{with_workloads}");
}

#[test]
fn the_panels_have_ids_of_their_own_and_do_not_overlap() {
    let dashboard = dashboard();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard, "/panels") {
        let title = text(panel, "/title");
        assert!(ids.insert(panel.pointer("/id").and_then(Value::as_u64)), "{title}");
        let [x, y, w, h] = ["x", "y", "w", "h"]
            .map(|side| panel.pointer(&format!("/gridPos/{side}")).and_then(Value::as_u64).expect(side));
        assert!(x + w <= 24, "{title}");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{title} lies over another panel");
        }
    }
}
