//! A directory in which a reader types: the repository's files, and a demo mesh of its own on free ports.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::demo::{PORTS, envoy, free_ports, repository};

pub(crate) struct Desk {
    directory: PathBuf,
    port: u16,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("desk-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        let desk = Self { port: free_ports(), directory };
        for folder in ["bin", "target/release"] {
            fs::create_dir_all(desk.directory.join(folder)).expect("a directory");
        }
        for entry in fs::read_dir(repository()).expect("the repository") {
            let name = entry.expect("a file").file_name();
            if name != "target" && name != ".git" {
                desk.link(&repository().join(&name), name.to_str().expect("a name"));
            }
        }
        desk.link(Path::new(env!("CARGO_BIN_EXE_tracewarden")), "target/release/tracewarden");
        desk.make();
        desk
    }

    /// What the commands print. Whether they succeed is shown by what they print: a report of losses ends with status 1.
    pub(crate) fn run(&self, commands: &str) -> String {
        let path = std::env::var("PATH").expect("a PATH");
        let mut bash = Command::new("timeout");
        bash.args(["300", "bash", "-c", &self.here(commands)]).current_dir(&self.directory);
        bash.env("PATH", format!("{}:{path}", self.directory.join("bin").display())).env_remove("no_proxy");
        let output = bash.output().expect("bash runs");
        let [printed, complained] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        for problem in ["command not found", "No such file", "Failed to connect", "error:", "usage:"] {
            assert!(!complained.contains(problem), "{commands}\n{printed}\n{complained}");
        }
        self.there(&printed)
    }

    fn link(&self, to: &Path, name: &str) {
        symlink(to, self.directory.join(name)).expect(name);
    }

    /// The targets of make for the mesh, with its own directory: the repository's may have a mesh that runs.
    fn make(&self) {
        let envoy = envoy().display().to_string();
        let [port, admin] = [self.port, self.port + PORTS];
        let script = format!(
            "#!/bin/sh\nfor target; do\n  case $target in\n    envoy-up) more='--envoy {envoy} --port {port} --admin-port {admin}' ;;\n    \
             envoy-status | envoy-traces | envoy-down) more= ;;\n    *) echo \"make $target: command not found\" >&2; exit 2 ;;\n  esac\n  \
             python3 envoy/mesh.py \"${{target#envoy-}}\" --run-dir target/mesh $more || exit\ndone\n"
        );
        let path = self.directory.join("bin/make");
        fs::write(&path, script).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    }

    /// Each port of the documents, and the one that it has here.
    fn ports(&self) -> impl Iterator<Item = (String, String)> {
        let mesh = (0..PORTS).map(|place| (10_000 + place, self.port + place));
        mesh.chain([(9901, self.port + PORTS)])
            .map(|(documented, own)| (format!("127.0.0.1:{documented}"), format!("127.0.0.1:{own}")))
    }

    fn here(&self, text: &str) -> String {
        self.ports().fold(text.to_owned(), |text, (documented, own)| text.replace(&documented, &own))
    }

    fn there(&self, text: &str) -> String {
        self.ports().fold(text.to_owned(), |text, (documented, own)| text.replace(&own, &documented))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let make = Command::new(self.directory.join("bin/make"))
            .arg("envoy-down")
            .current_dir(&self.directory)
            .output();
        if make.is_ok_and(|output| output.status.success()) && !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}
