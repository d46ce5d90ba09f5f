//! The bill of materials, against Cargo's own tree and CycloneDX's own schema.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand, NodeDep, TargetKind};
use serde_json::{Value, json};

use crate::release::release;
use crate::support::{Scratch, VERSION, fail, in_repository, require, sha256, succeed};

/// A program with a bill: the end of the bill's name, its package and target, and what its toolchain links.
const PROGRAMS: [(&str, &str, &str, &[&str]); 3] = [
    ("", "tracewarden-proxy-wasm", "wasm32-wasip1", &["rust-std", "wasi-libc"]),
    ("-x86_64-linux", "tracewarden-tool", "x86_64-unknown-linux-musl", OF_COMMAND),
    ("-aarch64-linux", "tracewarden-tool", "aarch64-unknown-linux-musl", OF_COMMAND),
];
const OF_COMMAND: &[&str] = &["compiler_rt", "libunwind", "musl", "rust-std"];

fn bills(scratch: &Scratch) -> [Value; 3] {
    let files = release(scratch);
    PROGRAMS.map(|(name, ..)| {
        serde_json::from_slice(&files[&format!("tracewarden-{VERSION}{name}.cdx.json")]).expect("JSON")
    })
}

fn purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// The purls of what Cargo says the package depends on.
fn cargo_tree(package: &str, target: &str, edges: &str) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--package", package, "--target", target, "--prefix", "none"])
        .args(["--edges", edges, "--format", "{p}"])
        .current_dir(in_repository(""));
    let text = succeed(&mut tree);
    let purls = text.lines().map(|line| {
        let (name, version) = line.split_once(" v").expect("a name and a version");
        purl(name, version.split(' ').next().unwrap_or_default())
    });
    purls.filter(|purl| !purl.starts_with("pkg:cargo/tracewarden")).collect()
}

/// The purls of what the package reaches in Cargo's resolved graph without passing through a procedural macro. The graph adds up
/// the features of the whole workspace, so it has more packages than a build.
fn reached_without_macros(package: &str, target: &str) -> BTreeSet<String> {
    let options = ["--locked", "--filter-platform", target].map(str::to_owned);
    let metadata = MetadataCommand::new().current_dir(in_repository("")).other_options(options).exec();
    let metadata = metadata.expect("Cargo's metadata");
    let nodes = &metadata.resolve.as_ref().expect("a graph").nodes;
    let root = metadata.packages.iter().find(|one| one.name.as_str() == package);
    let (mut reached, mut waiting) = (BTreeSet::new(), vec![&root.expect("the package").id]);
    while let Some(id) = waiting.pop() {
        let package = &metadata[id];
        let is_macro = package.targets.iter().any(|target| target.is_kind(TargetKind::ProcMacro));
        if is_macro || !reached.insert(purl(&package.name, &package.version.to_string())) {
            continue;
        }
        let node = nodes.iter().find(|node| node.id == *id).expect("a node");
        let is_normal = |dep: &&NodeDep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
        waiting.extend(node.deps.iter().filter(is_normal).map(|dep| &dep.pkg));
    }
    reached
}

#[test]
fn lists_what_cargo_builds_each_program_from_and_nothing_else() {
    let scratch = Scratch::new("sbom");
    for (bill, (name, package, target, libraries)) in bills(&scratch).iter().zip(PROGRAMS) {
        let (mut scopes, toolchain) = components(bill);
        let linked = cargo_tree(package, target, "normal,no-proc-macro");
        let all = cargo_tree(package, target, "normal,build");
        assert!(linked.len() > 5 && all.len() > linked.len(), "{linked:?} {all:?}");
        assert_eq!(
            linked,
            &all & &reached_without_macros(package, target),
            "xtask asks Cargo's tree as well, so the graph is asked too"
        );
        assert_eq!(scopes.remove("required"), Some(linked.clone()), "{name}");
        assert_eq!(scopes.remove("excluded"), Some(&all - &linked), "{name}");
        assert_eq!(scopes, BTreeMap::new());
        assert_eq!(toolchain, libraries.iter().copied().collect(), "{name}");
    }
}

/// The purls of a bill's crates by their scope, and the names of all other components. The checksums must be those of the lock.
fn components(bill: &Value) -> (BTreeMap<&str, BTreeSet<String>>, BTreeSet<&str>) {
    let lock = std::fs::read_to_string(in_repository("Cargo.lock")).expect("the lock");
    let mut scopes = BTreeMap::<&str, BTreeSet<String>>::new();
    let mut toolchain = BTreeSet::new();
    for component in bill["components"].as_array().expect("components") {
        let text = |name: &str| component[name].as_str().unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        if component.get("purl").is_none() {
            toolchain.insert(name);
            continue;
        }
        scopes.entry(text("scope")).or_default().insert(text("purl").to_owned());
        let checksum = component["hashes"][0]["content"].as_str().expect("a hash");
        let locked = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        let (_, entry) = lock.split_once(&locked).unwrap_or_else(|| panic!("{name} {version} is not locked"));
        let entry = entry.split("\n\n").next().unwrap_or_default();
        assert!(entry.contains(&format!("checksum = \"{checksum}\"")), "{name} {version}");
    }
    (scopes, toolchain)
}

#[test]
fn its_graph_reaches_every_component_from_the_module() {
    let scratch = Scratch::new("graph");
    let program = |name: &str| std::fs::read(scratch.path(name)).expect(name);
    let bills = bills(&scratch);
    let programs = [("module.wasm", "rand"), ("x86_64", "ureq"), ("aarch64", "ureq")];
    for (bill, (name, direct)) in bills.iter().zip(programs) {
        let component = &bill["metadata"]["component"];
        assert_eq!(component["hashes"], json!([{ "alg": "SHA-256", "content": sha256(&program(name)) }]));
        reaches_all(bill, direct);
    }
}

/// Every component is reached, and the crate is one that the program names itself.
fn reaches_all(bill: &Value, direct: &str) {
    let component = &bill["metadata"]["component"];
    let edges: BTreeMap<&str, Vec<&str>> = bill["dependencies"]
        .as_array()
        .expect("dependencies")
        .iter()
        .map(|entry| {
            let to = entry["dependsOn"].as_array().expect("references");
            (entry["ref"].as_str().expect("a reference"), to.iter().filter_map(Value::as_str).collect())
        })
        .collect();
    let root = component["bom-ref"].as_str().expect("a reference");
    let (mut reached, mut waiting) = (BTreeSet::new(), vec![root]);
    while let Some(next) = waiting.pop() {
        if reached.insert(next) {
            waiting.extend(&edges[next]);
        }
    }
    let components = bill["components"].as_array().expect("components");
    let known = components.iter().filter_map(|component| component["bom-ref"].as_str()).chain([root]);
    assert_eq!(reached, known.collect());
    assert!(edges[root].iter().any(|to| to.starts_with(&format!("pkg:cargo/{direct}@"))));
    assert!(!edges[root].iter().any(|to| to.starts_with("pkg:cargo/rand_core@")));
}

#[test]
fn the_schema_of_cyclonedx_holds() {
    let scratch = Scratch::new("schema");
    let bills = bills(&scratch);
    let judge = |bill: &Value| {
        let python = require(in_repository(".venv/cyclonedx/bin/python"), "run `make .venv/cyclonedx/ready`");
        let mut judge = Command::new(python);
        let bill = scratch.write("bill.json", bill.to_string().as_bytes());
        judge.arg(in_repository("xtask/tests/judge.py")).arg(bill);
        judge
    };
    for bill in &bills {
        assert_eq!(succeed(&mut judge(bill)).trim(), "");
    }
    let [bill, ..] = bills;

    // The judge is awake.
    for (path, wrong) in [
        ("/components/0/scope", json!("sometimes")),
        ("/components/0/licenses/0/expression", json!("Nonesuch-1.0")),
        ("/metadata/component/hashes/0/content", json!("short")),
    ] {
        let mut spoilt = bill.clone();
        *spoilt.pointer_mut(path).expect(path) = wrong;
        assert_eq!(judge(&spoilt).status().expect("the judge starts").code(), Some(1), "{path}");
    }
    let mut unknown = bill.clone();
    unknown["components"][0]["colour"] = json!("green");
    let _ = fail(&mut judge(&unknown));
}
