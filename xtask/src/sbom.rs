//! The bill of materials: the parts of the module or of the command, in CycloneDX's JSON.
//!
//! It has no serial number and no time, which are optional: the same program has the same bill.

use serde_json::{Value, json};

use crate::dependencies::{Dependencies, Dependency};
use crate::files::sha256;
use crate::module::Module;
use crate::project::NAME;
use crate::toolchain::Toolchain;

/// A program of a release, for its bill.
pub(crate) struct Part<'a> {
    /// Its name and version in the bill.
    pub(crate) name: &'a str,
    pub(crate) module: &'a Module,
    pub(crate) description: &'a str,
    pub(crate) licence: &'a str,
    pub(crate) bytes: &'a [u8],
    /// What the toolchain links into it, in addition to Rust's standard library.
    pub(crate) libraries: Vec<Library>,
}

/// A library of the toolchain that is linked into a program.
pub(crate) struct Library {
    pub(crate) name: &'static str,
    /// Identifies it within the bill.
    pub(crate) reference: String,
    pub(crate) version: Option<String>,
    pub(crate) description: String,
    pub(crate) licence: &'static str,
}

/// Lists the crates and the toolchain's libraries. A crate that only generates code during the build has the scope
/// `excluded`.
pub(crate) fn bill(part: &Part<'_>, dependencies: &Dependencies, toolchain: &Toolchain) -> Value {
    let rust = &toolchain.version;
    let program = format!("{}@{}", part.name, part.module.version);
    let std = format!("rust-std@{rust}");
    let Dependencies { all, direct } = dependencies;

    let mut components: Vec<_> = all.iter().map(component).collect();
    components.push(standard_library(&std, rust));
    components.extend(part.libraries.iter().map(library));
    let direct: Vec<_> = direct.iter().chain([&std]).collect();
    let libraries: Vec<_> = part.libraries.iter().map(|one| &one.reference).collect();
    let mut graph = vec![json!({ "ref": program, "dependsOn": direct })];
    graph.extend(all.iter().map(|one| json!({ "ref": one.purl, "dependsOn": one.dependencies })));
    graph.push(json!({ "ref": std, "dependsOn": libraries }));
    graph.extend(libraries.iter().map(|reference| json!({ "ref": reference, "dependsOn": [] })));
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{ "phase": "build" }],
            "tools": { "components": [{
                "type": "application",
                "group": NAME,
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
            }] },
            "component": {
                "type": "application",
                "bom-ref": program,
                "name": part.name,
                "version": part.module.version,
                "description": part.description,
                "licenses": [{ "expression": part.licence }],
                "hashes": [{ "alg": "SHA-256", "content": sha256(part.bytes) }],
                "properties": [{ "name": "tracewarden:revision", "value": part.module.revision }],
            },
        },
        "components": components,
        "dependencies": graph,
    })
}

fn component(dependency: &Dependency) -> Value {
    json!({
        "type": "library",
        "bom-ref": dependency.purl,
        "name": dependency.name,
        "version": dependency.version,
        "scope": if dependency.is_linked { "required" } else { "excluded" },
        "licenses": [{ "expression": dependency.licence }],
        "hashes": [{ "alg": "SHA-256", "content": dependency.checksum }],
        "purl": dependency.purl,
    })
}

fn standard_library(reference: &str, rust: &str) -> Value {
    json!({
        "type": "library",
        "bom-ref": reference,
        "name": "rust-std",
        "version": rust,
        "description": "Rust's standard library",
        "scope": "required",
        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
        "cpe": format!("cpe:2.3:a:rust-lang:rust:{rust}:*:*:*:*:*:*:*"),
    })
}

fn library(library: &Library) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": library.reference,
        "name": library.name,
        "description": library.description,
        "scope": "required",
        "licenses": [{ "expression": library.licence }],
    });
    if let (Some(version), Some(fields)) = (&library.version, component.as_object_mut()) {
        fields.insert("version".to_owned(), json!(version));
    }
    component
}
