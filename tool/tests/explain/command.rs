//! The command as people and programs call it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::end::end;

/// What it answered.
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) printed: String,
    pub(crate) complaint: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.printed).unwrap_or_else(|error| panic!("{error}: {}", self.complaint))
    }
}

/// Calls `explain` with these arguments, this standard input and no environment but this.
pub(crate) fn explain(arguments: &[OsString], input: &[u8], environment: &BTreeMap<String, String>) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracewarden"));
    command.arg("explain").args(arguments).env_clear().envs(environment);
    let (status, printed, complaint) = end(&mut command, input);
    Said { status, printed, complaint }
}

/// The same with texts, and nothing in the environment.
pub(crate) fn ask(arguments: &[&str], input: &str) -> Said {
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    explain(&arguments, input.as_bytes(), &BTreeMap::new())
}

/// A file that is removed with this.
pub(crate) struct File(pub(crate) PathBuf);

impl File {
    pub(crate) fn new(content: &[u8]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("explain-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, content).expect("a file");
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("a path")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
