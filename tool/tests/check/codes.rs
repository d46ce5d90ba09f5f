//! Every code has an example in the reference, which gives exactly that code, and docs/check-codes.md is that reference.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{judged, messages, repository, run};

#[test]
fn each_example_gives_its_code_and_no_other() {
    let text = run(&["reference", "codes"], "").1;
    let sections: Vec<&str> = text.split("\n## ").skip(1).collect();
    assert!(sections.len() > 20, "{text}");
    let mut ids = BTreeSet::new();
    for section in sections {
        let id = section.lines().next().expect("a heading");
        let fenced = section
            .split("\n```")
            .nth(1)
            .and_then(|block| block.split_once('\n'))
            .map(|(_, input)| format!("{input}\n"));
        let command =
            section.split("*Example*: `tracewarden ").nth(1).and_then(|rest| rest.split('`').next());
        let value: Value = match command {
            Some(command) => {
                let arguments: Vec<&str> = command.split(' ').chain(["--json"]).collect();
                serde_json::from_str(&run(&arguments, "").1).expect("JSON")
            }
            None => judged(&fenced.unwrap_or_default()).1,
        };
        let codes: BTreeSet<String> = messages(&value).into_iter().map(|(code, ..)| code).collect();
        assert_eq!(codes, BTreeSet::from([id.to_owned()]), "{section}\n{value}");
        let list = if section.contains("** (warning).") {
            "warnings"
        } else if section.contains("** (note).") {
            "notes"
        } else {
            "errors"
        };
        assert_ne!(value[list].as_array().map(Vec::len), Some(0), "{id} is no part of {list}: {value}");
        assert!(section.contains("\n*Fix*: "), "{section}");
        assert!(ids.insert(id), "{id} is there twice");
        assert!(text.contains(&format!("| [{id}](#{}) |", id.to_lowercase())), "{id} is not in the overview");
    }
    assert!(ids.iter().zip(ids.iter().skip(1)).all(|(one, next)| one < next));
}

#[test]
fn every_link_of_the_reference_leads_somewhere() {
    let text = run(&["reference", "codes"], "").1;
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links.filter(|link| !link.starts_with('#')) {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let document = std::fs::read_to_string(repository().join("docs").join(file)).expect(link);
        let anchors = document.lines().filter(|line| line.starts_with('#')).map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            heading
                .replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-' && letter != '_', "")
        });
        assert!(anchor.is_empty() || anchors.into_iter().any(|known| known == anchor), "{link}");
    }
}
