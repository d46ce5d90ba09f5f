//! Whether workloads got worse than an earlier report says.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Said, report_with};

/// The text of a scrape: workloads by how many contexts were intact, lost, and bypassed.
fn mesh(workloads: &[(&str, [u64; 3])]) -> String {
    let of = |(name, [intact, lost, bypassed]): &(&str, [u64; 3])| {
        let requests = |context: &str, count: &u64| {
            format!(
                "tracewarden_requests_total{{namespace=\"shop\",workload=\"{name}\",direction=\"inbound\",role=\"internal\",\
                 mode=\"enforce\",context=\"{context}\"}} {count}\n"
            )
        };
        let bypassed =
            format!("tracewarden_bypassed_total{{namespace=\"shop\",workload=\"{name}\"}} {bypassed}\n");
        [requests("continued", intact), requests("lost", lost), bypassed].concat()
    };
    workloads.iter().map(of).collect()
}

/// A file with what a report said earlier.
struct Earlier(PathBuf);

impl Earlier {
    fn of(name: &str, text: &str) -> Self {
        let path =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}.json", std::process::id()));
        std::fs::write(&path, report_with(&["-", "--json"], text, &[]).out).expect("a file");
        Self(path)
    }

    fn compared(&self, text: &str, arguments: &[&str]) -> Said {
        let file = self.0.to_str().expect("a path");
        report_with(&[&["-", "--baseline", file], arguments].concat(), text, &[])
    }
}

impl Drop for Earlier {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What was printed, whatever the width of its lines.
fn words(said: &Said) -> String {
    said.out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn verdict(said: &Said) -> String {
    said.value()["baseline"]["workloads"][0]["verdict"].as_str().expect("a verdict").to_owned()
}

#[test]
fn worse_is_a_share_that_grew_or_a_new_cause() {
    let corrupt = "tracewarden_corrupt_total{namespace=\"shop\",workload=\"a\",direction=\"inbound\",header=\"traceparent\",\
        reason=\"flags\"} 1\n";
    let spans = "tracewarden_spans_dropped_total{namespace=\"shop\",workload=\"a\",cause=\"queue_full\"} 9\n";
    let rows: &[(&str, [u64; 3], [u64; 3], &str, &[&str], &str)] = &[
        ("the same", [900, 100, 0], [90, 10, 0], "", &[], "same"),
        ("within the tolerance", [900, 100, 0], [890, 110, 0], "", &[], "same"),
        ("beyond it", [900, 100, 0], [889, 111, 0], "", &[], "worse"),
        ("beyond it, and that is allowed", [900, 100, 0], [889, 111, 0], "", &["--tolerance", "2"], "same"),
        ("beyond it the other way", [900, 100, 0], [911, 89, 0], "", &[], "better"),
        ("more requests, the same share", [90, 10, 0], [9000, 1000, 0], "", &[], "same"),
        ("nothing is lost any more", [900, 1, 0], [900, 0, 0], "", &[], "better"),
        ("a new cause, however small", [1000, 0, 0], [9999, 1, 0], "", &[], "worse"),
        ("a new cause that is hidden", [1000, 0, 0], [9999, 1, 0], "", &["--min-share", "0.1"], "same"),
        ("a new cause next to an old one", [900, 100, 0], [900, 100, 0], corrupt, &[], "worse"),
        ("what breaks no trace is not worse", [900, 100, 0], [900, 100, 0], spans, &[], "same"),
        ("few requests say nothing", [19, 0, 0], [0, 19, 0], "", &[], "too_few"),
        ("few requests now", [900, 0, 0], [0, 19, 0], "", &[], "too_few"),
        ("few requests then, with the same cause", [10, 1, 0], [0, 900, 0], "", &[], "too_few"),
        ("enough of them", [0, 1, 0], [0, 20, 0], "", &[], "too_few"),
        ("fewer are enough", [5, 5, 0], [0, 10, 0], "", &["--min-requests", "10"], "worse"),
        ("bypassed, at any number", [900, 0, 0], [3, 0, 1], "", &[], "worse"),
        ("bypassed as before", [900, 0, 5], [900, 0, 9], "", &[], "same"),
        ("most of them bypassed now", [900, 0, 50], [50, 0, 900], "", &[], "worse"),
        ("no longer bypassed", [900, 0, 5], [900, 0, 0], "", &[], "better"),
        ("no request is expected", [0, 0, 5], [0, 0, 5], "", &[], "same"),
    ];
    for (place, (name, before, now, more, arguments, expected)) in rows.iter().enumerate() {
        let earlier = Earlier::of(&format!("row-{place}"), &mesh(&[("a", *before)]));
        let said = earlier.compared(&(mesh(&[("a", *now)]) + more), &[&["--json"], *arguments].concat());
        assert_eq!(verdict(&said), *expected, "{name}: {said:?}");
        assert_eq!(said.code, Some(i32::from(*expected == "worse")), "{name}");
    }
}

#[test]
fn a_filter_that_no_longer_runs_is_worse() {
    let served =
        |count: u64| format!("envoy_http_downstream_rq_total{{namespace=\"shop\",workload=\"a\"}} {count}\n");
    let earlier = Earlier::of("runs", &(mesh(&[("a", [900, 0, 0])]) + &served(900)));
    let said = earlier.compared(&(mesh(&[("a", [900, 0, 0])]) + &served(1800)), &["--json"]);
    assert_eq!((verdict(&said).as_str(), said.code), ("worse", Some(1)), "{said:?}");
    assert_eq!(said.value()["baseline"]["workloads"][0]["new_causes"][0], "partly_running");
}

#[test]
fn what_is_known_passes_and_what_changed_is_said() {
    let before = [("known", [0, 90, 0]), ("better", [50, 50, 0]), ("gone", [9, 0, 0]), ("worse", [99, 1, 0])];
    let now = [("known", [0, 80, 0]), ("better", [100, 0, 0]), ("new", [0, 70, 0])];
    let earlier = Earlier::of("known", &mesh(&before));
    let said = earlier.compared(&mesh(&now), &[]);
    assert_eq!(said.code, Some(0), "losses that are known, and those of new workloads, pass: {said:?}");
    let text = words(&said);
    for part in [
        ": 0 worse, 1 better, 1 the same, 1 new, 2 gone better ",
        " better shop/better: intact 100.0 % of 100 requests, before 50.0 % of 100 requests; no longer: lost by caller ",
        " new shop/new ",
        " gone shop/gone, shop/worse ",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let worse = [now.as_slice(), &[("worse", [60, 40, 0])]].concat();
    let said = earlier.compared(&mesh(&worse), &[]);
    assert!(words(&said).contains(": 1 worse, ") && said.code == Some(1), "{said:?}");
    let text = words(&said);
    assert!(
        text.contains(" worse shop/worse: intact 60.0 % of 100 requests, before 99.0 % of 100 requests "),
        "{text}"
    );
    let value = earlier.compared(&mesh(&worse), &["--json"]).value();
    let first: &Value = &value["baseline"]["workloads"][0];
    assert_eq!((&value["baseline"]["worse"], &first["verdict"]), (&1.into(), &"worse".into()));
    assert_eq!((&first["before"]["due"], &first["now"]["intact"]), (&100.into(), &60.into()));
}

#[test]
fn three_hundred_comparisons_are_short() {
    let names: Vec<String> = (0..300).map(|number| format!("s{number:03}")).collect();
    let of = |counts: [u64; 3]| -> Vec<(&str, [u64; 3])> {
        names.iter().map(|name| (name.as_str(), counts)).collect()
    };
    let earlier = Earlier::of("many", &mesh(&of([100, 0, 0])));
    let said = earlier.compared(&mesh(&of([50, 50, 0])), &[]);
    assert!(said.out.lines().count() < 70, "{said:?}");
    assert!(
        words(&said).contains(": 300 worse ") && said.out.contains("and 290 more: --all shows them"),
        "{said:?}"
    );
    let all = earlier.compared(&mesh(&of([50, 50, 0])), &["--all"]);
    assert_eq!(all.out.lines().filter(|line| line.starts_with("  worse   ")).count(), 300);
}

#[test]
fn what_is_no_earlier_report_is_refused() {
    let earlier = Earlier::of("bad", &mesh(&[("a", [1, 0, 0])]));
    for (text, part) in [
        ("", "expected what `tracewarden report --json` printed"),
        ("{}", "found no `workloads`"),
        ("{\"workloads\": [{\"who\": 1}]}", "expected what `tracewarden report --json` printed"),
    ] {
        std::fs::write(&earlier.0, text).expect("a file");
        earlier.compared(&mesh(&[("a", [1, 0, 0])]), &[]).assert_refused(&["--baseline", part]);
    }
    let said = report_with(&["-", "--baseline", "no/such/file"], &mesh(&[("a", [1, 0, 0])]), &[]);
    said.assert_refused(&["--baseline no/such/file: No such file"]);
    assert_eq!(report_with(&["-", "--tolerance", "2"], "", &[]).code, Some(2), "it needs a baseline");
    // Names from the file cannot write to the terminal.
    let hostile = r#"{"workloads": [{"who": {"workload": "\u001b[2Jx\u202e"}, "due": 1, "intact": 1, "uncounted": 0, "causes": []}]}"#;
    std::fs::write(&earlier.0, hostile).expect("a file");
    let said = earlier.compared(&mesh(&[("a", [1, 0, 0])]), &[]);
    assert!(said.out.contains("  gone    [2Jx\n") && !said.out.contains('\u{1b}'), "{said:?}");
}
