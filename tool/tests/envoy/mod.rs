//! The Envoy that tests of the command start.

use std::path::{Path, PathBuf};

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

/// Envoy's program.
pub(crate) fn envoy() -> PathBuf {
    let path = std::env::var_os("ENVOY")
        .map_or_else(|| repository().join(".venv/envoy-1.40.0/envoy"), PathBuf::from);
    assert!(
        path.is_file(),
        "{} is not there: run `make test`, or set ENVOY to an Envoy that you have",
        path.display()
    );
    path
}
