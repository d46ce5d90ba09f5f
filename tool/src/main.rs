//! `tracewarden`: what the filter makes of a configuration or of trace headers, without an Envoy; and what it has counted.

mod audit;
mod check;
mod explain;
mod lines;
mod manual;
mod reference;
mod report;
mod web;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use serde_json::Value;

use crate::reference::Reference;

/// What Tracewarden makes of a configuration or of trace headers, without an Envoy; and what it has counted.
///
/// Exit status: 0 valid, 1 not valid, 2 the command is not understood or a file cannot be read.
#[derive(Parser)]
#[command(version = manual::version(), name = "tracewarden")]
struct Arguments {
    /// Answer in JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Validate configurations exactly as the filter does, and warn of what is allowed and doubtful.
    ///
    /// Reads YAML and JSON: a plugin's configuration alone, an Envoy configuration, and objects of Kubernetes (WasmPlugin,
    /// TrafficExtension, EnvoyFilter, EnvoyExtensionPolicy), also in a List or a stream such as kustomize prints. Each message has
    /// its file, its line and a code, which `tracewarden reference codes` explains.
    ///
    /// A plugin is judged with the variables that its VM is given; a configuration alone, and what a VM inherits, with those of this
    /// process.
    ///
    /// Exit status: 0 valid, also with warnings, 1 there are errors, 2 a file cannot be read or nothing of Tracewarden is in it.
    ///
    /// An editor says much of it while you type, with the JSON Schema that `tracewarden schema` prints.
    Check(check::Options),
    /// Show what the filter reads in trace headers, in any format that it knows; with --config also what it does, and why.
    ///
    /// Exit status: 0 what came is valid, 1 it is invalid or missing, or formats contradict each other, 2 the input is not
    /// understood or the configuration is refused.
    Explain(explain::Options),
    /// Print where an Envoy's or a Prometheus' counters say that context is lost and corrupted, worst first, with the likely
    /// cause and the fix.
    ///
    /// Exit status: 0 no trace breaks (other things that are missing, such as spans or the contexts of jobs, are shown too),
    /// 1 traces break or Tracewarden sees nothing (with --baseline: a workload got worse), 2 the counters could not be read or
    /// understood.
    Report(report::Options),
    /// Read traces from a tracing backend or from files, and print between which services spans miss their parents.
    ///
    /// Exit status: 0 nothing is missing, 1 parents are missing or traces start anew, 2 something could not be read (what was
    /// read is printed all the same).
    Audit(audit::Options),
    /// Print the JSON Schema of a configuration, for editors and validators.
    Schema,
    /// Print a reference in Markdown: what is in `docs`, for this version.
    Reference {
        /// Of what.
        of: Reference,
    },
    /// Print a script that completes this command in a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual pages: tracewarden.1, and one for each command.
    Man {
        /// An existing directory, such as ~/.local/share/man/man1.
        directory: PathBuf,
    },
}

fn main() -> ExitCode {
    let Arguments { json, command } = Arguments::parse();
    if let Command::Report(options) = &command
        && let Some(every) = options.watched()
    {
        return ended(report::watch(options, every, json));
    }
    let json = json || matches!(&command, Command::Check(options) if options.wants_json());
    let said = match command {
        Command::Check(options) => Ok(check::check(&options)),
        Command::Explain(options) => explain::explain(&options),
        Command::Report(options) => report::report(&options),
        Command::Audit(options) => audit::audit(&options),
        Command::Schema => return print(&reference::schema()),
        Command::Reference { of } => return print(&of.text()),
        Command::Completions { shell } => return print(&manual::completions(Arguments::command(), shell)),
        Command::Man { directory } => manual::pages(Arguments::command(), &directory),
    };
    match said {
        Ok(Said { status, lines, value }) => {
            let text = if json { format!("{value}\n") } else { lines };
            // A reader that has gone wants no more of it.
            let _ = anstream::stdout().write_all(text.as_bytes());
            ExitCode::from(status)
        }
        Err(problem) => ended(Err(problem)),
    }
}

/// The exit status of a command that has printed what it found.
fn ended(status: Result<u8, String>) -> ExitCode {
    ExitCode::from(status.unwrap_or_else(|problem| {
        eprintln!("tracewarden: {problem}");
        2
    }))
}

/// Prints a document; a reader that has gone wants no more of it.
fn print(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// What a command has found, for people and for programs.
struct Said {
    /// The exit status.
    status: u8,
    lines: String,
    value: Value,
}

/// A file, or standard input.
fn open(file: &Path) -> io::Result<Box<dyn Read>> {
    if file == Path::new("-") { Ok(Box::new(io::stdin())) } else { Ok(Box::new(File::open(file)?)) }
}
