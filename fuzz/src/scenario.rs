//! The text that a request's input is written in.
//!
//! ```text
//! {"mode":"enforce"}                       the configuration, one line of JSON
//! inbound no-seed no-clock silent cut-off san:a address:10.0.0.1 recall:x refuse:0110
//!                                          the host: words in any order, all of them optional
//! :path: /cart                             the request's headers
//! traceparent: 00-…
//!                                          an empty line; without it the response has no headers
//! server-timing: total;dur=3               the response's headers
//! ```
//!
//! Every text means something, and so does every text that a mutation makes of it.

use crate::host::{Headers, Known, Wire};
use tracewarden::words::Direction;

/// A request, its response, and the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scenario {
    /// The plugin's configuration.
    pub config: Vec<u8>,
    /// What the host is like.
    pub host: Vec<u8>,
    /// The request's headers.
    pub request: Headers,
    /// The response's headers.
    pub response: Headers,
}

impl Scenario {
    /// Reads a text.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut lines = text.split(|octet| *octet == b'\n').map(<[u8]>::to_vec);
        let config = lines.next().unwrap_or_default();
        let host = lines.next().unwrap_or_default();
        let request = lines.by_ref().take_while(|line| !line.is_empty()).map(header).collect();
        let response = lines.filter(|line| !line.is_empty()).map(header).collect();
        Self { config, host, request: Headers(request), response: Headers(response) }
    }

    /// Writes it.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut lines = vec![self.config.clone(), self.host.clone()];
        lines.extend(self.request.0.iter().map(line));
        if !self.response.0.is_empty() {
            lines.push(Vec::new());
            lines.extend(self.response.0.iter().map(line));
        }
        lines.join(&b"\n"[..])
    }

    /// The host, before the response comes.
    #[must_use]
    pub fn known(&self) -> Known {
        let direction = match (self.says(b"inbound"), self.says(b"outbound")) {
            (true, _) => Direction::Inbound,
            (false, true) => Direction::Outbound,
            (false, false) => Direction::Unspecified,
        };
        let known = Known::new(direction, !self.says(b"no-seed"));
        let word =
            |prefix: &[u8]| self.words().find_map(|word| word.strip_prefix(prefix)).map(<[u8]>::to_vec);
        Known {
            peer_san: word(b"san:"),
            peer_address: word(b"address:"),
            garbage: word(b"recall:"),
            now: if self.says(b"no-clock") { None } else { known.now },
            is_cut_off: self.says(b"cut-off"),
            is_silent: self.says(b"silent"),
            ..known
        }
    }

    /// These headers on the wire.
    #[must_use]
    pub fn wire(&self, headers: Headers) -> Wire {
        let bits = self.words().find_map(|word| word.strip_prefix(b"refuse:")).unwrap_or_default();
        Wire::new(headers, bits.iter().map(|bit| *bit == b'1').collect())
    }

    fn says(&self, wanted: &[u8]) -> bool {
        self.words().any(|word| word == wanted)
    }

    fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.host.split(|octet| *octet == b' ')
    }
}

fn header(line: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    match line.windows(2).position(|pair| pair == b": ") {
        Some(at) => (line[..at].to_vec(), line[at + 2..].to_vec()),
        None => (line, Vec::new()),
    }
}

fn line((name, value): &(Vec<u8>, Vec<u8>)) -> Vec<u8> {
    [name, &b": "[..], value].concat()
}
