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
    let Project { package, licence, .. } = project;
    let rust = &toolchain.version;
    let filter = format!("{NAME}@{}", module.version);
    let std = format!("rust-std@{rust}");
    let libc = format!("wasi-libc@rust-{rust}");

    let crates = dependencies.all.iter().map(component);
    let components: Vec<_> = crates.chain([rust_std(&std, rust), wasi_libc(&libc, rust)]).collect();
    let direct: Vec<_> = dependencies.direct.iter().chain([&std]).collect();
    let crates =
        dependencies.all.iter().map(|one| json!({ "ref": one.purl(), "dependsOn": one.dependencies }));
    let graph: Vec<_> = [json!({ "ref": filter, "dependsOn": direct })]
        .into_iter()
        .chain(crates)
        .chain([json!({ "ref": std, "dependsOn": [libc] }), json!({ "ref": libc, "dependsOn": [] })])
        .collect();
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
                "description": package.description,
                "licenses": [{ "expression": licence }],
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
        "bom-ref": dependency.purl(),
        "name": dependency.name,
        "version": dependency.version,
        "scope": if dependency.is_linked { "required" } else { "excluded" },
        "licenses": [{ "expression": dependency.licence }],
        "hashes": [{ "alg": "SHA-256", "content": dependency.checksum }],
        "purl": dependency.purl(),
    })
}

fn rust_std(reference: &str, rust: &str) -> Value {
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

/// The linked one has no version of its own: Rust's version identifies it.
fn wasi_libc(reference: &str, rust: &str) -> Value {
    json!({
        "type": "library",
        "bom-ref": reference,
        "name": "wasi-libc",
        "description": format!("The C library that Rust {rust} links for wasm32-wasip1"),
        "scope": "required",
        "licenses": [{ "expression": WASI_LIBC }],
    })
}
