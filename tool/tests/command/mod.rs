//! Running a command to its end.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Its exit status, what it printed, and what it complained of, after this input.
pub(crate) fn end(command: &mut Command, input: impl AsRef<[u8]>) -> (Option<i32>, String, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A command that reads nothing may have ended already.
    let _ = child.stdin.take().expect("its input").write_all(input.as_ref());
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}
