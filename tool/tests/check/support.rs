//! Running `tracewarden check`, and files for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::command;
pub(crate) use crate::program::repository;

/// How the command ends, what it prints, and what it complains of.
pub(crate) type Ended = (Option<i32>, String, String);

/// The command, with none of the variables that a configuration alone would be judged with.
pub(crate) fn tracewarden() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracewarden"));
    for name in
        ["OTEL_TRACES_SAMPLER", "TRACEWARDEN_MODE", "TRACEWARDEN_ON_BAD_CONFIG", "TRACE_SAMPLING_RATE"]
    {
        command.env_remove(name);
    }
    // Envoy gives its own to the VMs of the examples in `envoy/edge`.
    command.env("EDGE_TRUST", "of-a-test");
    command
}

pub(crate) fn run(arguments: &[&str], input: &str) -> Ended {
    command::end(tracewarden().args(arguments), input)
}

/// What the command says of this input, as JSON, with its exit status.
pub(crate) fn judged(input: &str) -> (Option<i32>, Value) {
    let (status, said, complaint) = run(&["check", "--json"], input);
    assert_eq!(complaint, "", "{input}");
    (status, serde_json::from_str(&said).expect("JSON"))
}

/// The code, the line and the message of everything that it says, in that order of severities.
pub(crate) fn messages(value: &Value) -> Vec<(String, u64, String)> {
    let lists =
        ["errors", "warnings", "notes"].iter().flat_map(|name| value[name].as_array().expect("a list"));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    lists
        .map(|one| (text(&one["code"]), one["line"].as_u64().expect("a line"), text(&one["message"])))
        .collect()
}

/// The codes and lines alone.
pub(crate) fn found(input: &str) -> Vec<(String, u64)> {
    messages(&judged(input).1).into_iter().map(|(code, line, _)| (code, line)).collect()
}

/// A directory that is gone after the test.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("check-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory");
        for (name, text) in files {
            let file = path.join(name);
            fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
            fs::write(file, text).expect("a file");
        }
        Self(path)
    }

    pub(crate) fn text(&self) -> &str {
        self.0.to_str().expect("text")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
