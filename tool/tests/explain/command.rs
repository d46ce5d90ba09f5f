//! The command as people and programs call it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

/// What it answered.
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    /// The bytes that it printed.
    pub(crate) printed: Vec<u8>,
    pub(crate) complaint: String,
}

impl Said {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.printed.clone()).expect("text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.printed).unwrap_or_else(|error| panic!("{error}: {}", self.complaint))
    }
}

/// Calls `explain` with these arguments, this standard input and no environment but this.
pub(crate) fn explain(arguments: &[OsString], input: &[u8], environment: &BTreeMap<String, String>) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracewarden"));
    command.arg("explain").args(arguments).env_clear().envs(environment);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // It reads no input that it was not told to read.
    let _ = child.stdin.take().expect("its input").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    let complaint = String::from_utf8(output.stderr).expect("text");
    Said { status: output.status.code(), printed: output.stdout, complaint }
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
