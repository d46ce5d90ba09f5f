//! The references that people and editors read, made of what the filter itself knows.

mod configuration;
mod environment;
mod markdown;
mod metrics;
mod values;

use clap::ValueEnum;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};

/// What there is a reference of.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Reference {
    /// Every field of the configuration and every environment variable.
    Configuration,
    /// Every metric, with its labels and their values.
    Metrics,
}

impl Reference {
    /// The whole document, in Markdown.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Configuration => include_str!("reference/configuration.md")
                .replace("{{fields}}\n", &markdown::write(described().as_value()))
                .replace("{{variables}}\n", &environment::table()),
            Self::Metrics => include_str!("reference/metrics.md")
                .replace("{{overview}}\n", &metrics::overview())
                .replace("{{cardinality}}\n", &metrics::cardinality())
                .replace("{{tags}}\n", &metrics::tags())
                .replace("{{istio}}\n", &metrics::istio_tags())
                .replace("{{sections}}\n", &metrics::sections()),
        }
    }
}

/// The JSON Schema of a configuration.
pub(crate) fn schema() -> String {
    format!("{:#}\n", described().as_value())
}

fn described() -> Schema {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<configuration::Configuration>();
    RecursiveTransform(join_lines).transform(&mut schema);
    schema
}

/// Comments in the source are broken into lines; paragraphs are not.
fn join_lines(schema: &mut Schema) {
    if let Some(serde_json::Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}
