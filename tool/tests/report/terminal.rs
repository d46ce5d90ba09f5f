//! What a terminal shows: Python gives the command one.

use std::process::Command;

use crate::support::{Server, requests};

/// Runs the command on a terminal of so many columns, and prints what it writes there.
const TERMINAL: &str = "import fcntl, os, pty, struct, sys, termios
columns, program = int(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 40, columns, 0, 0))
    os.execv(program[0], program)
while True:
    try:
        written = os.read(terminal, 65536)
    except OSError:
        break
    if not written:
        break
    os.write(1, written)
";

fn on_terminal(columns: u32, kind: &str, arguments: &[&str]) -> String {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(python);
    command
        .args(["-c", TERMINAL, &columns.to_string(), env!("CARGO_BIN_EXE_tracewarden"), "report"])
        .args(arguments);
    command.env("TERM", kind).env("NO_COLOR", "1").env_remove("CLICOLOR_FORCE");
    let output = command.output().expect("python3 runs");
    String::from_utf8(output.stdout).expect("text").replace("\r\n", "\n")
}

fn envoy() -> Server {
    let lost =
        requests(&format!("{}-the-end", "a-long-name".repeat(9)), "inbound", "internal", "enforce", "lost");
    Server::envoy(&[(&lost, 5)])
}

#[test]
fn a_long_name_keeps_its_end_where_the_lines_would_break() {
    let envoy = envoy();
    let said = on_terminal(80, "xterm", &[&envoy.url()]);
    let row = said.lines().find(|line| line.contains("0.0 %")).expect("a row");
    assert!(row.starts_with('…') && row.contains("-the-end  "), "{said}");
    assert_eq!(row.chars().count(), 80, "{said}");
    let piped = crate::support::report(&[&envoy.url()]).out;
    assert!(piped.contains("\na-long-namea-long-name") && !piped.contains("…-"), "{piped}");
}

#[test]
fn a_terminal_is_redrawn_unless_it_cannot_be() {
    let envoy = envoy();
    let arguments = [&*envoy.url(), "--watch", "1", "--count", "2"];
    let said = on_terminal(80, "xterm", &arguments);
    let times: Vec<&str> = said.split("\u{1b}[2J\u{1b}[H").collect();
    assert_eq!(times.len(), 3, "{said:?}");
    assert!(times[0].contains("Ctrl-C ends it; first counts in 1s"), "{said:?}");
    assert!(
        times[2].starts_with("Envoy at http://127.0.0.1:") && times[2].contains("the last 1s: no request"),
        "{said:?}"
    );
    let dumb = on_terminal(80, "dumb", &arguments);
    assert!(!dumb.contains('\u{1b}') && dumb.matches("the last 1s").count() == 2, "{dumb:?}");
}
