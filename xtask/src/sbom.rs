//! The bill of materials: the parts of the module, in CycloneDX's JSON.
//!
//! It has no serial number and no time, which are optional: the same module has the same bill.

use serde_json::{Value, json};

use crate::dependencies::{Dependencies, Dependency};
use crate::files::sha256;
use crate::module::Module;
use crate::project::{NAME, Project};
use crate::toolchain::{Toolchain, WASI_LIBC};

/// Lists the crates and the toolchain's libraries. A crate that only generates code during the build has the scope
/// `excluded`.
pub(crate) fn bill(
    module: &Module,
    project: &Project,
    dependencies: &Dependencies,
    toolchain: &Toolchain,
) -> Value {
    let rust = &toolchain.version;
    let filter = format!("{NAME}@{}", module.version);
    let (std, libc) = (format!("rust-std@{rust}"), format!("wasi-libc@rust-{rust}"));
    let Dependencies { all, direct } = dependencies;

    let components: Vec<_> = all.iter().map(component).chain(of_toolchain(&std, &libc, rust)).collect();
    let direct: Vec<_> = direct.iter().chain([&std]).collect();
    let mut graph = vec![json!({ "ref": filter, "dependsOn": direct })];
    graph.extend(all.iter().map(|one| json!({ "ref": one.purl, "dependsOn": one.dependencies })));
    graph.push(json!({ "ref": std, "dependsOn": [libc] }));
    graph.push(json!({ "ref": libc, "dependsOn": [] }));
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
                "bom-ref": filter,
                "name": NAME,
                "version": module.version,
                "description": project.description,
                "licenses": [{ "expression": project.licence }],
                "hashes": [{ "alg": "SHA-256", "content": sha256(&module.bytes) }],
                "properties": [{ "name": "tracewarden:revision", "value": module.revision }],
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

/// The standard library, and the C library, which has no version of its own: Rust's version identifies it.
fn of_toolchain(std: &str, libc: &str, rust: &str) -> [Value; 2] {
    [
        json!({
            "type": "library",
            "bom-ref": std,
            "name": "rust-std",
            "version": rust,
            "description": "Rust's standard library",
            "scope": "required",
            "licenses": [{ "expression": "MIT OR Apache-2.0" }],
            "cpe": format!("cpe:2.3:a:rust-lang:rust:{rust}:*:*:*:*:*:*:*"),
        }),
        json!({
            "type": "library",
            "bom-ref": libc,
            "name": "wasi-libc",
            "description": format!("The C library that Rust {rust} links for wasm32-wasip1"),
            "scope": "required",
            "licenses": [{ "expression": WASI_LIBC }],
        }),
    ]
}
