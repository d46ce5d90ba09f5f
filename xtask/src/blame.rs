//! The blame matrix: from its rows come a test for `promtool`, and the table in the documents.

mod series;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use xshell::Shell;

use series::Workload;

/// One situation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    situation: String,
    guilty: String,
    workloads: BTreeMap<String, Workload>,
    /// The workloads that each alert names.
    fires: BTreeMap<String, Vec<String>>,
    note: Option<String>,
}

/// When the rows are judged: the slowest alert looks at an hour, and waits for half of one.
const MINUTE: usize = 110;

/// The rules, as the test finds them.
const RULES: [&str; 2] = ["tracewarden.expected.yaml", "tracewarden.rules.yaml"];

/// Writes the test to `out`, and returns the table.
pub(crate) fn write(sh: &Shell, rows: &Path, out: &Path) -> anyhow::Result<String> {
    let all: Vec<Row> =
        serde_saphyr::from_str(&sh.read_file(rows)?).with_context(|| rows.display().to_string())?;
    ensure!(!all.is_empty(), "{}: there is no row", rows.display());
    let beside = sh.current_dir().join(rows.parent().context("the rows are beside the rules")?);
    let test = json!({
        "rule_files": RULES.map(|file| beside.join(file)),
        "evaluation_interval": "1m",
        "tests": all.iter().map(Row::test).chain([side_by_side(&all)]).collect::<Vec<_>>(),
    });
    sh.write_file(out, serde_json::to_string_pretty(&test)?)?;
    Ok(table(&all))
}

fn table(rows: &[Row]) -> String {
    let mut table = format!("{}| situation | named | by | |\n|---|---|---|---|\n", include_str!("blame.md"));
    for row in rows {
        let named: Vec<&str> = row.fires.values().flatten().map(String::as_str).collect();
        let alerts: Vec<String> = row.fires.keys().map(|alert| format!("`{alert}`")).collect();
        let named = match row.guilty.as_str() {
            "nobody" if named.is_empty() => "nobody".to_owned(),
            guilty if named.is_empty() => format!("nobody, though it is {guilty}"),
            "nobody" => format!("{}, though nobody is to blame", named.join(", ")),
            guilty => guilty.to_owned(),
        };
        let note = row.note.as_deref().unwrap_or_default();
        let _ = writeln!(table, "| {} | {named} | {} | {note} |", row.situation, alerts.join(", "));
    }
    table
}

/// All rows at once, each in a cluster of its own: what is in one cluster changes nothing in another.
fn side_by_side(rows: &[Row]) -> Value {
    let clusters = || rows.iter().enumerate().map(|(number, row)| (format!("row-{number}"), row));
    let series = clusters().flat_map(|(cluster, row)| row.series(&cluster)).collect();
    let expected = clusters().flat_map(|(cluster, row)| row.expected(&cluster)).collect();
    test("all of them, each in its cluster", series, expected)
}

/// A test that whatever fires is expected, and the other way round.
fn test(name: &str, series: Vec<Value>, expected: Vec<Value>) -> Value {
    json!({
        "name": name,
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{
            "expr": r#"group by (alertname, certainty, cluster, workload) (ALERTS{alertstate="firing"})"#,
            "eval_time": format!("{MINUTE}m"),
            "exp_samples": expected,
        }],
    })
}

/// Labels as in a selector. One without a value is none.
fn labels(pairs: &[(&str, &str)]) -> String {
    let stated = pairs.iter().filter(|(_, value)| !value.is_empty());
    let stated: Vec<String> = stated.map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", stated.join(", "))
}

impl Row {
    /// In a Prometheus that knows no clusters.
    fn test(&self) -> Value {
        test(&self.situation, self.series(""), self.expected(""))
    }

    fn series(&self, cluster: &str) -> Vec<Value> {
        let all = self.workloads.iter().flat_map(|(name, workload)| workload.series(cluster, name));
        all.map(|(series, values)| json!({"series": series, "values": values})).collect()
    }

    /// A sample for each alert and workload.
    fn expected(&self, cluster: &str) -> Vec<Value> {
        let sample = |alert: &str, workload: &str| {
            let (name, certainty) = alert.split_once(" (").unwrap_or((alert, ""));
            let certainty = certainty.trim_end_matches(')');
            let names =
                [("alertname", name), ("certainty", certainty), ("cluster", cluster), ("workload", workload)];
            json!({"labels": labels(&names), "value": 1})
        };
        let of_alert = |(alert, workloads): (&String, &Vec<String>)| {
            workloads.iter().map(|workload| sample(alert, workload)).collect::<Vec<_>>()
        };
        self.fires.iter().flat_map(of_alert).collect()
    }
}
