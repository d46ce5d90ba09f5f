//! What is in `docs` is what the command prints, and the tables have all that the schema has.

use crate::schema::{Schema, Step};
use crate::{file, printed};

#[test]
fn the_documents_are_those_that_the_command_prints() {
    let rows: &[(&str, &[&str])] = &[
        ("docs/configuration.schema.json", &["schema"]),
        ("docs/configuration.md", &["reference", "configuration"]),
        ("docs/metrics.md", &["reference", "metrics"]),
        ("docs/check-codes.md", &["reference", "codes"]),
    ];
    for (path, arguments) in rows {
        let (committed, due) = (file(path), printed(arguments));
        let differs = committed.lines().zip(due.lines()).position(|(one, other)| one != other);
        let line = differs.unwrap_or_else(|| committed.lines().count().min(due.lines().count())) + 1;
        assert!(
            committed == due,
            "{path} is out of date from line {line} on: `make reference` writes it anew"
        );
        assert!(!due.contains("{{"), "{path}: a piece of its template is left");
    }
}

#[test]
fn the_tables_have_every_field_with_its_words_and_bounds() {
    let text = printed(&["reference", "configuration"]);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect())
        .collect();
    for place in Schema::read().places() {
        let Some(Step::Field(name)) = place.steps.last() else { continue };
        let (path, json) = (place.path(), &place.schema.json);
        let description = json["description"].as_str().unwrap_or_default().replace('|', r"\|");
        let bounds = json.get("minimum").map(|least| {
            format!("{} to {}", grouped(&least.to_string()), grouped(&json["maximum"].to_string()))
        });
        let default = json.get("default").filter(|_| !place.is_required);
        let default = default.map(|value| format!("`{value}`").replace(' ', ""));
        let fits = |row: &&Vec<&str>| {
            // What can stand at several places is told once, by its name.
            (row[0] == format!("`{path}`") || row[0] == format!("`{name}`"))
                && row[3].contains(&description)
                && place.schema.words().iter().all(|word| row[3].contains(&word.to_string()))
                && bounds.as_ref().is_none_or(|bounds| row[1].contains(bounds))
                && default.as_ref().is_none_or(|default| row[2].replace(' ', "") == *default)
        };
        assert!(rows.iter().any(|row| fits(&row)), "{path} is in no table as the schema has it");
    }
}

/// A number with a comma between groups of three digits.
fn grouped(digits: &str) -> String {
    match digits.split_at_checked(digits.len().saturating_sub(3)) {
        Some((rest, last)) if !rest.is_empty() => format!("{},{last}", grouped(rest)),
        _ => digits.to_owned(),
    }
}
