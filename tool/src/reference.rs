//! The references that people and editors read, made of what the filter itself knows.

mod codes;
mod markdown;
mod metrics;
mod schema;

use clap::ValueEnum;
use tracewarden::config::Config;
use tracewarden::exclude::{KNOWN, Known, Sign};

/// What there is a reference of.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Reference {
    /// Every field of the configuration and every environment variable.
    Configuration,
    /// Every metric, with its labels and their values.
    Metrics,
    /// Every code of `tracewarden check`, with an example and the fix.
    Codes,
}

impl Reference {
    /// The whole document, in Markdown.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Configuration => include_str!("reference/configuration.md")
                .replace("{{fields}}\n", &markdown::write(&Config::shape()))
                .replace("{{known}}\n", &known_requests()),
            Self::Metrics => include_str!("reference/metrics.md")
                .replace("{{overview}}\n", &metrics::overview())
                .replace("{{cardinality}}\n", &metrics::cardinality())
                .replace("{{tags}}\n", &metrics::tags())
                .replace("{{istio}}\n", &metrics::istio_tags())
                .replace("{{sections}}\n", &metrics::sections()),
            Self::Codes => include_str!("reference/codes.md")
                .replace("{{overview}}\n", &codes::overview())
                .replace("{{sections}}\n", &codes::sections()),
        }
    }
}

/// The requests that `exclude` leaves alone by default.
fn known_requests() -> String {
    let mut table = "| sender | known by | source |\n|---|---|---|\n".to_owned();
    for Known { sign, sender, source } in KNOWN {
        let sign = match sign {
            Sign::UserAgent(agent) => format!("`user-agent: {agent}…`"),
            Sign::Upload(path) => format!("an upload to `{path}`"),
            Sign::Preflight => "`OPTIONS` with `access-control-request-method`".to_owned(),
        };
        table.push_str(&format!("| {sender} | {sign} | <{source}> |\n"));
    }
    table
}

/// The JSON Schema of a configuration.
pub(crate) fn schema() -> String {
    format!("{:#}\n", schema::of(&Config::shape()))
}
