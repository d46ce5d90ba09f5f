//! How far a long reading has come.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::lines::grouped;

/// How often a line is written, and after which time the first.
const EVERY: Duration = Duration::from_secs(2);

/// Writes to standard error how much was read, if it takes long.
pub(crate) struct Progress {
    next: Instant,
    /// What is read now.
    source: String,
    /// Whether a line is on the terminal that the next one replaces.
    is_open: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { next: Instant::now() + EVERY, source: String::new(), is_open: false }
    }

    pub(crate) fn begin(&mut self, source: String) {
        self.source = source;
    }

    /// Says how many spans were read, if it has been a while.
    pub(crate) fn tell(&mut self, spans: usize) {
        if Instant::now() >= self.next {
            self.say(&format!("{}: {} spans read so far…", self.source, grouped(spans as u64)));
        }
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.next = Instant::now() + EVERY;
        let mut to = std::io::stderr();
        self.is_open = to.is_terminal();
        // Nobody has to read it.
        let _ = if self.is_open { write!(to, "\r\x1b[K{line}") } else { writeln!(to, "{line}") };
    }

    /// Takes the last line off the terminal.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.is_open) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
