//! The documents: their links lead somewhere, the README is short, an index names them all, and its commands can be pasted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let documents = documents();
    let mut problems = Vec::new();
    let mut links = 0;
    for (path, text) in &documents {
        for link in links_in(text).filter(|link| !link.contains("://")) {
            links += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = resolve(path, file);
            let headings = documents.get(&target).map(|text| headings(text));
            if !root().join(&target).exists() {
                problems.push(format!("{}: there is no {link}", path.display()));
            } else if !heading.is_empty() && !headings.is_some_and(|all| all.contains(heading)) {
                problems.push(format!("{}: {link} has no such heading", path.display()));
            }
        }
    }
    assert!(links > 200, "{links} links were found");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn headings_become_anchors_as_on_github() {
    let text = "# `traceparent`: how it reads\n## A, b & c_d\n```\n# not one\n```\n## A, b & c_d\n";
    let found: Vec<String> = headings(text).into_iter().collect();
    assert_eq!(found, ["a-b--c_d", "a-b--c_d-1", "traceparent-how-it-reads"]);
}

#[test]
fn the_readme_is_short_and_an_index_names_every_document() {
    let documents = documents();
    let readme = &documents[Path::new("README.md")];
    let words = readme.split_whitespace().count();
    assert!(words <= 1200, "README.md has {words} words");
    assert!(links_in(readme).any(|link| link == "docs/README.md"), "README.md does not link to the index");
    let index = Path::new("docs/README.md");
    let linked: BTreeSet<PathBuf> = links_in(&documents[index]).map(|link| resolve(index, link)).collect();
    let others = documents.keys().filter(|path| path.parent() == index.parent() && *path != index);
    for path in others {
        assert!(linked.contains(path), "docs/README.md does not link to {}", path.display());
    }
}

#[test]
fn the_commands_of_the_readme_can_be_pasted_whole() {
    let readme = &documents()[Path::new("README.md")];
    let blocks: Vec<&str> =
        readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    // By default, zsh takes a comment behind a command for arguments.
    assert!(blocks.len() > 2 && blocks.iter().all(|block| !block.contains('#')), "{blocks:?}");
    assert!(blocks[0].starts_with("make envoy-up\n") && !blocks[0].contains("envoy-down"), "{}", blocks[0]);
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let tests: Vec<String> = ["tests/istio", "tests/gateway"]
        .iter()
        .flat_map(|folder| files(folder, "py"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut named = 0;
    for (path, text) in documents() {
        for name in text.split('`').filter(|word| word.starts_with("test_")) {
            named += 1;
            let definition = format!("    def {name}(self)");
            assert!(
                tests.iter().any(|text| text.contains(&definition)),
                "{}: there is no {name}",
                path.display()
            );
        }
    }
    assert!(named > 40, "{named} tests are named");
}

#[test]
fn the_versions_are_those_that_are_run() {
    let versions = &documents()[Path::new("docs/versions.md")];
    let after = |path: &str, name: &str| {
        let line = read(path).lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        line.unwrap_or_else(|| panic!("{path}: {name}")).trim_matches(['"', ' ']).to_owned()
    };
    let envoys = after("make/measure.mk", "ENVOY_VERSIONS ?= ").replace(' ', ", ");
    assert!(versions.contains(&format!("| Envoy | {envoys} |")), "docs/versions.md: Envoy {envoys}");
    let istio = after("make/istio.mk", "ISTIO_VERSION := ");
    let (istio, _) = istio.rsplit_once('.').unwrap();
    let others = [
        format!("| Istio | {istio}:"),
        format!("| Rust | {},", after("rust-toolchain.toml", "channel = ")),
        format!("| kubectl, and kustomize in it | {} |", after("make/borrowed.mk", "KUBECTL_VERSION ?= ")),
    ];
    for row in others {
        assert!(versions.contains(&row), "docs/versions.md has no row {row}");
    }
}

/// A tag can be moved to other code, a commit cannot.
#[test]
fn every_action_of_a_workflow_is_pinned_by_its_commit() {
    let mut pinned = 0;
    for path in files(".github/workflows", "yml") {
        for line in fs::read_to_string(&path).unwrap().lines() {
            let Some((_, action)) = line.split_once("uses: ") else { continue };
            let commit =
                action.split_once('@').and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
            let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_commit && action.contains(" # v"), "{}: {action}", path.display());
            pinned += 1;
        }
    }
    assert!(pinned > 2, "{pinned} actions");
}

#[test]
fn every_target_of_make_that_a_document_names_is_there() {
    let included = ["make", "tests"].iter().flat_map(|folder| files(folder, "mk"));
    let makefiles = included.chain([root().join("Makefile")]);
    let rules: String = makefiles.map(|path| fs::read_to_string(path).unwrap()).collect();
    let targets: BTreeSet<&str> = rules
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', ' ']))
        .filter_map(|line| line.split_once(':'))
        .flat_map(|(names, _)| names.split_whitespace())
        .collect();
    let mut named = 0;
    for (path, text) in documents() {
        let lines = text.lines().filter_map(|line| line.strip_prefix("make "));
        for command in lines.chain(text.split('`').filter_map(|code| code.strip_prefix("make "))) {
            let words = command.split_whitespace().take_while(|word| !word.starts_with(['#', '|', '>']));
            for target in words.filter(|word| !word.contains(['=', '/', '.'])) {
                named += 1;
                assert!(targets.contains(target), "{}: there is no target {target}", path.display());
            }
        }
    }
    assert!(named > 60, "{named} targets are named");
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The files in a folder whose names end so.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|other| other == extension)).collect()
}

/// Each document by its path from the root.
pub(crate) fn documents() -> BTreeMap<PathBuf, String> {
    let paths = ["", "docs", "tests/interop"].into_iter().flat_map(|folder| files(folder, "md"));
    paths
        .map(|path| (path.strip_prefix(root()).unwrap().to_owned(), fs::read_to_string(path).unwrap()))
        .collect()
}

fn links_in(text: &str) -> impl Iterator<Item = &str> {
    let markdown = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let html = ["src=\"", "srcset=\""].into_iter();
    markdown.chain(html.flat_map(|name| text.split(name).skip(1).filter_map(|rest| rest.split('"').next())))
}

/// The file that a link in a document is to, from the root.
fn resolve(document: &Path, link: &str) -> PathBuf {
    if link.is_empty() {
        return document.to_owned();
    }
    let mut target = document.parent().unwrap_or(Path::new("")).to_owned();
    for part in link.split('/') {
        match part {
            ".." => assert!(target.pop(), "{}: {link} leads out of the repository", document.display()),
            _ => target.push(part),
        }
    }
    target
}

/// The anchors of a document's headings.
fn headings(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut is_code = false;
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        let title = line.trim_start_matches('#');
        if is_code || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
        let again = (1..).map(|n| format!("{anchor}-{n}"));
        let free = std::iter::once(anchor.clone()).chain(again).find(|anchor| !anchors.contains(anchor));
        anchors.extend(free);
    }
    anchors
}
