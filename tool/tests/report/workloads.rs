//! One line for each workload, each cause once, and what is hidden.

use serde_json::Value;

use crate::support::{Said, Server, report, report_with, requests};

/// A metric in the text of a scrape, with the labels of many workloads.
fn scraped(workload: &str, direction: &str, context: &str, count: u64) -> String {
    let labels = format!(r#"direction="{direction}",role="internal",mode="enforce",context="{context}""#);
    format!("tracewarden_requests_total{{namespace=\"shop\",workload=\"{workload}\",{labels}}} {count}\n")
}

/// So many workloads. Each third one loses, each fifth one corrupts in one of three ways, and each seventh one has jobs.
fn mesh(workloads: u64) -> String {
    let of = |number: u64| {
        let name = format!("service-{number:03}");
        let mut text = scraped(&name, "inbound", "continued", 1000 + number);
        text += &scraped(&name, "outbound", "continued", 500);
        if number.is_multiple_of(3) {
            text += &scraped(&name, "outbound", "lost", 1 + number);
        }
        if number.is_multiple_of(5) {
            let reason = ["upper_case", "flags", "too_short"][usize::try_from(number % 3).expect("a number")];
            text += &scraped(&name, "inbound", "corrupt", 7);
            text += &format!(
                "tracewarden_corrupt_total{{namespace=\"shop\",workload=\"{name}\",direction=\"inbound\",\
                 header=\"traceparent\",reason=\"{reason}\"}} 7\n"
            );
        }
        text
    };
    (0..workloads).map(of).collect()
}

fn of_text(text: &str, arguments: &[&str]) -> Said {
    report_with(&[&["-"], arguments].concat(), text, &[])
}

#[test]
fn three_hundred_workloads_are_read_at_a_glance() {
    let text = mesh(300);
    let said = of_text(&text, &[]).out;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() <= 75, "{} lines:\n{said}", lines.len());
    assert!(lines.iter().all(|line| line.chars().count() <= 90), "{said}");
    let table = lines.iter().position(|line| line.starts_with("workload ")).expect("a table");
    let first_cause = lines.iter().position(|line| line.starts_with("1. ")).expect("a cause");
    assert!(table < 8 && first_cause < table + 15, "{said}");
    for part in [
        "\nand 290 more workloads (130 with something wrong): --all shows them\n",
        "1. its own application calls out without the trace context that it receives\n   14,950 of 64,950 requests, 23.0 % in 100 \
         workloads (outbound, enforce)\n   who    shop/service-297 298 of 798, 37.3 %\n",
        "          and 95 more\n",
    ] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    // A cause, its fix and its section are there once.
    assert_eq!(said.matches("calls out without the trace context").count(), 1, "{said}");
    let all = of_text(&text, &["--all"]).out;
    assert_eq!(all.lines().filter(|line| line.starts_with("shop/service-")).count(), 300);
    assert_eq!(all.lines().filter(|line| line.starts_with("          shop/service-")).count(), 156);
    assert!(!all.contains("--all") && !all.contains("          and "), "{all}");
}

#[test]
fn columns_are_aligned_whatever_is_in_them() {
    let stats = [
        (requests("日本", "outbound", "internal", "enforce", "continued"), 1_234_567),
        (requests("a", "inbound", "internal", "enforce", "lost"), 5),
        (requests("a-long-name\u{1b}[2J\u{202e}", "inbound", "internal", "enforce", "unlinked"), 1),
        (requests("edge", "inbound", "edge", "enforce", "started"), 1),
        ("listener=.=off;.;tracewarden_bypassed_total".to_owned(), 3),
    ];
    let stats: Vec<(&str, u64)> = stats.iter().map(|(stat, count)| (stat.as_str(), *count)).collect();
    let said = report(&[&Server::envoy(&stats).url()]).out;
    let expected = "
workload         expected   intact  lost  corrupt  unlinked  uncounted  repaired  wrong
off                     0        -                                   3            bypassed
a                       5    0.0 %     5                                          callers lose
a-long-name[2J          1    0.0 %                        1                       unlinked
日本            1,234,567  100.0 %
edge                    0        -
";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn json_has_a_row_for_each_workload() {
    let value = of_text(&mesh(16), &["--json"]).value();
    let rows = value["workloads"].as_array().expect("workloads");
    assert_eq!(rows.len(), 16);
    let row = rows.iter().find(|row| row["who"]["workload"] == "service-015").expect("a row");
    let numbers = ["requests", "due", "intact", "lost", "corrupt", "unlinked", "repaired", "uncounted"];
    let numbers = numbers.map(|field| row[field].as_u64().expect(field));
    assert_eq!(numbers, [1538, 1538, 1515, 16, 7, 0, 0, 0]);
    assert_eq!(row["causes"], serde_json::json!(["lost_by_application", "corrupt"]));
    assert_eq!(row["who"], serde_json::json!({"namespace": "shop", "workload": "service-015"}));
    let sum = |field: &str| rows.iter().filter_map(|row| row[field].as_u64()).sum::<u64>();
    let due: u64 =
        value["summary"].as_array().expect("a summary").iter().filter_map(|row| row["due"].as_u64()).sum();
    assert_eq!(sum("due"), due, "the rows are the summary in parts");
}

#[test]
fn what_is_worse_comes_first() {
    let lines = [
        scraped("many", "inbound", "lost", 50),
        scraped("few", "inbound", "lost", 2),
        scraped("jobs", "outbound", "lost", 900),
        scraped("fine", "inbound", "continued", 9000),
        "tracewarden_bypassed_total{namespace=\"shop\",workload=\"blind\"} 1\n".to_owned(),
    ];
    let value = of_text(&lines.concat(), &["--json"]).value();
    let names: Vec<&str> = value["workloads"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["who"]["workload"].as_str())
        .collect();
    assert_eq!(names, ["blind", "many", "few", "jobs", "fine"]);
}

#[test]
fn what_differs_in_its_advice_is_no_one_cause() {
    let corrupt = |workload: &str| {
        format!(
            "tracewarden_corrupt_total{{workload=\"{workload}\",direction=\"outbound\",header=\"traceparent\",reason=\"flags\"}} 3\n"
        )
    };
    let inbound = scraped("a", "inbound", "continued", 9).replace("namespace=\"shop\",", "");
    let said = of_text(&[corrupt("a"), corrupt("b"), inbound].concat(), &[]).out;
    assert!(
        said.contains("\n1. a: its own application sends")
            && said.contains("\n2. b: its own application, or"),
        "{said}"
    );
}

#[test]
fn small_shares_are_hidden_and_do_not_decide() {
    let lines = [
        scraped("a", "inbound", "continued", 990),
        scraped("a", "inbound", "lost", 10),
        "tracewarden_bypassed_total{namespace=\"shop\",workload=\"a\"} 5\n".to_owned(),
    ];
    let text = lines.concat();
    let kinds = |said: &Said| -> Vec<String> {
        let value = said.value();
        let findings = value["findings"].as_array().expect("findings").clone();
        findings.iter().filter_map(|finding| finding["kind"].as_str().map(str::to_owned)).collect()
    };
    let rows: &[(&str, &[&str], u64, i32)] = &[
        ("0", &["bypassed", "lost_by_caller"], 0, 1),
        ("0.4", &["bypassed", "lost_by_caller"], 0, 1),
        // 5 of 1005 requests pass uncounted, and 10 of 1000 are lost.
        ("0.6", &["lost_by_caller"], 1, 1),
        ("1", &["lost_by_caller"], 1, 1),
        ("1%", &["lost_by_caller"], 1, 1),
        ("1.1 %", &[], 2, 0),
    ];
    for (least, expected, hidden, code) in rows {
        let said = of_text(&text, &["--json", "--min-share", least]);
        assert_eq!((kinds(&said).as_slice(), said.code), (&expected.map_owned()[..], Some(*code)), "{least}");
        assert_eq!(said.value()["hidden"], *hidden);
    }
    let said = of_text(&text, &["--min-share", "2"]).out;
    assert!(
        said.contains("\nHidden: 2 findings that concern less than 2 % of their requests (--min-share).\n"),
        "{said}"
    );
    assert!(!said.contains("Nothing is lost") && said.contains("shop/a     "), "{said}");
    for bad in ["-1", "101", "few", "NaN", ""] {
        let option = format!("--min-share={bad}");
        assert_eq!(of_text(&text, &[&option]).code, Some(2), "{bad}");
    }
}

/// Texts as they are compared.
trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[test]
fn the_heading_stays_short() {
    let build =
        |number: u32| format!("tracewarden_build_info{{version=\"0.1.{number}\",revision=\"a\"}} 1\n");
    let text: String = (0..50).map(build).chain([scraped("a", "inbound", "continued", 1)]).collect();
    let said = of_text(&text, &[]).out;
    assert!(said.contains("Tracewarden 0.1.0 (a), 0.1.1 (a), 0.1.10 (a) and 47 more\n"), "{said}");
    let value: Value = of_text(&text, &["--json"]).value();
    assert_eq!(value["builds"].as_array().map(Vec::len), Some(50));
}
