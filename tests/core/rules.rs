//! `docs/rules.md` and the repository name the same rules, and each rule has a test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

const TABLE: &str = "docs/rules.md";
/// Folders that hold nothing that we wrote by hand.
const PASSED_OVER: [&str; 3] = ["target", "node_modules", "corpus"];
const TEXTS: [&str; 6] = ["rs", "py", "js", "json", "md", "wat"];
/// Looks like the id of a rule, and is none.
const NO_RULE: &str = "UTF-16";

/// A row of the table: the id, and the files that its last column links to.
struct Row {
    id: String,
    tests: Vec<String>,
}

#[test]
fn every_rule_has_a_row_and_every_row_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = rows(&fs::read_to_string(root.join(TABLE)).unwrap());
    let named = named(root);
    assert!(rows.len() > 100 && named.len() > 20, "{} rows, {} files with ids", rows.len(), named.len());
    let problems: Vec<String> = without_row(&rows, &named).chain(without_test(&rows, &named)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn ids_are_told_from_what_looks_like_them() {
    let text =
        "(AB-01 to AB-02), A1B-10. XAB-99x UTF-16 00-T-P7-01 ABCD-01 A-01 AB-1 AB-012 aB-03 \u{e9}AB-04";
    let found: Vec<&str> = ids(text).into_iter().collect();
    assert_eq!(found, ["A1B-10", "AB-01", "AB-02", "AB-04"]);
}

/// Ids that a file names and no row has, and ids that two rows have.
fn without_row(rows: &[Row], named: &BTreeMap<String, BTreeSet<String>>) -> impl Iterator<Item = String> {
    let mut known = BTreeSet::new();
    let twice: Vec<String> = rows
        .iter()
        .filter(|row| !known.insert(row.id.as_str()))
        .map(|row| format!("{TABLE}: {} has two rows", row.id))
        .collect();
    let missing: Vec<String> = named
        .iter()
        .flat_map(|(file, ids)| ids.iter().map(move |id| (file, id)))
        .filter(|(_, id)| !known.contains(id.as_str()))
        .map(|(file, id)| format!("{file} names {id}, which has no row in {TABLE}"))
        .collect();
    missing.into_iter().chain(twice)
}

/// Rows that link to no test or to a file that does not name the rule, and rules that no test names.
fn without_test(rows: &[Row], named: &BTreeMap<String, BTreeSet<String>>) -> impl Iterator<Item = String> {
    let names = |file: &str, id: &str| named.get(file).is_some_and(|ids| ids.contains(id));
    let mut problems = Vec::new();
    for Row { id, tests } in rows {
        if tests.is_empty() {
            problems.push(format!("{TABLE}: the row of {id} links to no test"));
        }
        for test in tests.iter().filter(|test| !names(test, id)) {
            problems.push(format!("{TABLE}: the row of {id} links to {test}, which does not name it"));
        }
        if !named.keys().any(|file| file.starts_with("tests/") && names(file, id)) {
            problems.push(format!("no test names {id}"));
        }
    }
    problems.into_iter()
}

fn rows(table: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for line in table.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let (Some(id), Some(tests)) = (cells.first(), cells.last()) else { continue };
        if ids(id).contains(id) {
            rows.push(Row { id: (*id).to_owned(), tests: links(tests) });
        }
    }
    rows
}

/// The paths of the links to tests, from the root of the repository.
fn links(cell: &str) -> Vec<String> {
    let targets = cell.split("](../").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|path| path.starts_with("tests/")).map(str::to_owned).collect()
}

/// Each file that names rules but the table and this test, with the ids that it names.
fn named(root: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut named = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with('.') || PASSED_OVER.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Some(ids) = ids_of(&path) {
                named.insert(path.strip_prefix(root).unwrap().to_string_lossy().into_owned(), ids);
            }
        }
    }
    named.remove(TABLE);
    named.remove(file!());
    named
}

fn ids_of(path: &PathBuf) -> Option<BTreeSet<String>> {
    let extension = path.extension()?.to_str()?;
    if !TEXTS.contains(&extension) {
        return None;
    }
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let ids: BTreeSet<String> = ids(&text).into_iter().map(str::to_owned).collect();
    (!ids.is_empty()).then_some(ids)
}

/// An id is two or three capitals or digits, a letter first, then `-` and two digits, in a word of its own.
fn ids(text: &str) -> BTreeSet<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = text.split(|c| !is_word(c));
    words.filter(|word| is_id(word) && *word != NO_RULE).collect()
}

fn is_id(word: &str) -> bool {
    let Some((family, number)) = word.split_once('-') else { return false };
    matches!(family.len(), 2 | 3)
        && family.starts_with(|c: char| c.is_ascii_uppercase())
        && family.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
        && number.len() == 2
        && number.chars().all(|c| c.is_ascii_digit())
}
