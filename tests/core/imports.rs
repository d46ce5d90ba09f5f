//! Imports run one way: no top-level module of a crate leads back to itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Of each top-level module, those that it names.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The items of the crate's root file, which is above all its modules.
const ROOT: &str = "lib";

#[test]
fn no_module_of_the_core_leads_back_to_itself() {
    assert_no_cycle("src");
}

#[test]
fn no_module_of_the_filter_leads_back_to_itself() {
    assert_no_cycle("edges/proxy-wasm/src");
}

fn assert_no_cycle(folder: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut sources = Vec::new();
    read(&folder, &mut Vec::new(), &mut sources);
    let graph = graph(&sources);
    assert!(graph.len() > 5, "{} has modules", folder.display());
    if let Some(cycle) = cycle(&graph) {
        panic!("{}: {}", folder.display(), cycle.join(" imports "));
    }
}

/// The files of a folder, each with the path of its module.
fn read(folder: &Path, place: &mut Vec<String>, sources: &mut Vec<(Vec<String>, String)>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        place.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        if path.is_dir() {
            read(&path, place, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push((place.clone(), fs::read_to_string(&path).unwrap()));
        }
        place.pop();
    }
}

fn graph(sources: &[(Vec<String>, String)]) -> Graph {
    let tops: BTreeSet<&str> =
        sources.iter().filter_map(|(place, _)| Some(place.first()?.as_str())).collect();
    let mut graph = Graph::new();
    for (place, source) in sources {
        let [top, ..] = place.as_slice() else { panic!("a file without a name") };
        let code = without_tests(&code_of(source));
        let named: Vec<String> = if top == ROOT {
            paths(&code)
                .into_iter()
                .filter_map(|path| path.into_iter().next())
                .filter(|name| tops.contains(&**name))
                .collect()
        } else {
            paths(&code).iter().filter_map(|path| from_root(path, place.len())).collect()
        };
        let known = named.into_iter().map(|name| if tops.contains(&*name) { name } else { ROOT.to_owned() });
        graph.entry(top.clone()).or_default().extend(known.filter(|name| name != top));
    }
    graph
}

/// The name that a path begins with below the root, if it goes by the root: `crate::a::B`, or as many `super` as the
/// module is deep.
fn from_root(path: &[String], depth: usize) -> Option<String> {
    let up = path.iter().take_while(|piece| *piece == "super").count();
    let below = match path.first().map(String::as_str) {
        Some("crate") => 1,
        Some("super") if up >= depth => up,
        _ => return None,
    };
    path.get(below).cloned()
}

/// A way from a module back to it.
fn cycle(graph: &Graph) -> Option<Vec<String>> {
    fn visit<'a>(
        graph: &'a Graph,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        let here = *way.last()?;
        for next in graph.get(here).into_iter().flatten() {
            if let Some(begin) = way.iter().position(|module| module == next) {
                return Some(
                    way.iter().skip(begin).copied().chain([next.as_str()]).map(str::to_owned).collect(),
                );
            }
            if !done.contains(next.as_str()) {
                way.push(next);
                let found = visit(graph, way, done);
                way.pop();
                if found.is_some() {
                    return found;
                }
            }
        }
        done.insert(here);
        None
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|module| visit(graph, &mut vec![module], &mut done))
}

/// Every path in the code, those in braces one by one.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(begin) = rest.find(is_word) {
        rest = path(&rest[begin..], &mut Vec::new(), &mut found);
    }
    found
}

/// Reads the path that the code begins with, below `prefix`, and returns what follows it.
fn path<'a>(code: &'a str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let depth = prefix.len();
    let mut rest = code;
    loop {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        prefix.push(rest[..end].to_owned());
        rest = &rest[end..];
        let Some(after) = rest.strip_prefix("::") else { break };
        if let Some(mut group) = after.strip_prefix('{') {
            while !group.starts_with('}') {
                let begin = group.find(|c| is_word(c) || c == '}').unwrap();
                group = &group[begin..];
                if !group.starts_with('}') {
                    group = path(group, prefix, found);
                }
            }
            prefix.truncate(depth);
            return &group[1..];
        }
        rest = after;
        if !rest.starts_with(is_word) {
            break;
        }
    }
    found.push(prefix.clone());
    prefix.truncate(depth);
    rest
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The source without comments and literals.
fn code_of(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let raw = rest.strip_prefix('r').map(|raw| (raw.trim_start_matches('#'), raw));
        let hashes = raw.map_or(0, |(quote, raw)| raw.len() - quote.len());
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if raw.is_some_and(|(quote, _)| quote.starts_with('"')) && !code.ends_with(is_word) {
            let end = format!("\"{}", "#".repeat(hashes));
            let inside = &rest[hashes + 2..];
            rest = &inside[inside.find(&end).unwrap() + end.len()..];
        } else if first == '"' {
            rest = after_quote(&rest[1..], '"');
        } else if first == '\'' && is_character(rest) {
            rest = after_quote(&rest[1..], '\'');
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// Whether a quote begins a character, and no lifetime.
fn is_character(code: &str) -> bool {
    let mut after = code.chars().skip(1);
    after.next() == Some('\\') || after.next() == Some('\'')
}

fn after_quote(code: &str, quote: char) -> &str {
    let mut escaped = false;
    for (place, character) in code.char_indices() {
        if character == quote && !escaped {
            return &code[place + quote.len_utf8()..];
        }
        escaped = character == '\\' && !escaped;
    }
    ""
}

/// The code without the items that are compiled for unit tests alone.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some((before, item)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let begin = item.find(['{', ';']).unwrap();
        let mut depth = 0;
        let end = item[begin..].find(|character| {
            depth += i32::from(character == '{') - i32::from(character == '}');
            depth == 0
        });
        rest = &item[begin + end.unwrap() + 1..];
    }
    kept + rest
}

#[test]
fn a_cycle_is_found_and_shown() {
    let of = |rows: &[(&str, &str)]| {
        let place = |path: &str| path.split('/').map(str::to_owned).collect();
        let sources: Vec<(Vec<String>, String)> =
            rows.iter().map(|(path, source)| (place(path), (*source).to_owned())).collect();
        cycle(&graph(&sources)).map(|way| way.join(" "))
    };
    let back = ("b", "use crate::a::A;");
    for (forth, why) in [
        ("use crate::b::B;", "a use"),
        ("use crate::{c::{C, D}, b};", "one of several"),
        ("fn f() -> crate::b::B { todo!() }", "a path"),
        ("use super::b::B;", "by way of the root"),
        ("fn f<'a>(c: char) -> &'a str { if c == '\"' { crate::b::B } else { \"\" } }", "next to literals"),
    ] {
        assert_eq!(of(&[("a", forth), back]).as_deref(), Some("a b a"), "{why}");
    }
    for (forth, why) in [
        ("// use crate::b::B;\n/// [`crate::b`]", "a comment"),
        ("const C: &str = \"crate::b::B\";", "a text"),
        ("const C: &str = r#\"\"crate::b::B\"#;", "a raw text"),
        ("#[cfg(test)]\nmod tests { use crate::b::B; mod m {} }", "a unit test"),
        ("use crate::c::b::B; use super::c;", "a name further down"),
        ("use b::B; use std::b;", "another crate"),
    ] {
        assert_eq!(of(&[("a", forth), back, ("c", "")]), None, "{why}");
    }
    assert_eq!(of(&[("a/x", "use super::super::b::B;"), back]).as_deref(), Some("a b a"), "two levels up");
    assert_eq!(of(&[("a/x", "use super::b::B;"), back]), None, "one level up is the module's own");
    assert_eq!(
        of(&[("a", "use crate::b::B;"), ("b", "use crate::c::C;"), ("c", "use crate::a::A;")]).as_deref(),
        Some("a b c a")
    );
    let root = of(&[("lib", "mod a;\npub use a::A;"), ("a", "use crate::Root;")]);
    assert_eq!(root.as_deref(), Some("a lib a"), "what the root itself has");
}
