//! The vendors' own libraries judge the built module: `judge.py` asks both, the module through this package's binary.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_vendors_libraries_and_the_module_understand_each_other() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = package.ancestors().nth(2).expect("the package is two folders down");
    let python = env::var_os("INTEROP_PYTHON").map(PathBuf::from);
    let python = python.filter(|python| python.exists()).expect("run `make interop`, or `make test`");
    let status = Command::new(python)
        // Without a cache among the sources.
        .arg("-B")
        .arg(package.join("judge.py"))
        .arg("--report")
        .arg(repository.join("target/interop.md"))
        .arg(env!("CARGO_BIN_EXE_tracewarden-interop"))
        .arg(repository.join("target/tracewarden.wasm"))
        .status()
        .expect("Python starts");
    assert!(status.success(), "the libraries and the module differ: see above");
}
