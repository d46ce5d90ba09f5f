//! What the command line names as a source.

use std::path::Path;

use super::envoy::SCRAPED;
use crate::web::is_address;

/// A source, as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The name that `NAME=SOURCE` gives it.
    pub(super) name: Option<String>,
    /// As it was written, without the name.
    pub(super) written: String,
    pub(super) place: Place,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A file, or `-` for standard input.
    File,
    /// A server's address, in which there may be the path of a scrape.
    Server { address: String, is_scrape: bool },
}

impl Target {
    /// A file of that name is taken first, whatever characters it has.
    pub(super) fn parse(text: &str) -> Self {
        let (name, written) = match text.split_once('=') {
            Some((name, source)) if is_name(name) && !is_file(text) => (Some(name.to_owned()), source),
            _ => (None, text),
        };
        Self { name, written: written.to_owned(), place: Place::of(written) }
    }

    /// What the source is called, next to others.
    pub(super) fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.written)
    }
}

impl Place {
    fn of(text: &str) -> Self {
        let address = match text {
            _ if is_address(text) => text.to_owned(),
            _ if is_host_and_port(text) && !is_file(text) => format!("http://{text}"),
            _ => return Self::File,
        };
        match address.trim_end_matches('/').strip_suffix(SCRAPED) {
            Some(base) => Self::Server { address: base.to_owned(), is_scrape: true },
            None => Self::Server { address, is_scrape: false },
        }
    }
}

fn is_file(text: &str) -> bool {
    text == "-" || Path::new(text).exists()
}

fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.chars().all(is_part)
}

/// Whether it is `host:port`, with a path behind it or not.
fn is_host_and_port(text: &str) -> bool {
    let authority = text.split('/').next().unwrap_or_default();
    let Some((host, port)) = authority.rsplit_once(':') else { return false };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name(host),
    };
    is_host && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(address: &str, is_scrape: bool) -> Place {
        Place::Server { address: address.to_owned(), is_scrape }
    }

    #[test]
    fn says_what_a_source_is() {
        let rows = [
            ("127.0.0.1:9901", None, server("http://127.0.0.1:9901", false)),
            ("localhost:9901/", None, server("http://localhost:9901/", false)),
            (
                "prometheus.example.org:80/prefix",
                None,
                server("http://prometheus.example.org:80/prefix", false),
            ),
            ("[::1]:9901", None, server("http://[::1]:9901", false)),
            ("https://a.example.org", None, server("https://a.example.org", false)),
            ("10.0.0.7:15020/stats/prometheus", None, server("http://10.0.0.7:15020", true)),
            (
                "http://a.example.org:15090/stats/prometheus/",
                None,
                server("http://a.example.org:15090", true),
            ),
            ("cart=127.0.0.1:9901", Some("cart"), server("http://127.0.0.1:9901", false)),
            ("eu-1=https://a.example.org", Some("eu-1"), server("https://a.example.org", false)),
            ("cart=-", Some("cart"), Place::File),
            ("cart=stats.json", Some("cart"), Place::File),
            ("-", None, Place::File),
            ("stats.json", None, Place::File),
            ("host:name", None, Place::File),
            ("host:99999", None, Place::File),
            (":9901", None, Place::File),
            ("[nothing]:9901", None, Place::File),
            ("a/b=c", None, Place::File),
            ("http://a.example.org/?a=b", None, server("http://a.example.org/?a=b", false)),
        ];
        for (text, name, place) in rows {
            let target = Target::parse(text);
            assert_eq!((target.name.as_deref(), target.place), (name, place), "{text}");
        }
    }
}
