//! The plugin's configuration: a tree and the environment in, a [`Config`] that is valid by construction out.

mod doubtful;
mod environment;
mod expected;

pub use environment::OnBadConfig;

use crate::export::{Collector, Export};
use crate::formats::is_free;
use crate::hop::HopSide;
use crate::request::Policy;
use crate::resource::Service;
use crate::response::Response;
use crate::settings::{Fault, Faults, LabelValue, Reader, Rules, Setting, Shape, Step, Value, settings};
use crate::span::Spans;
use crate::words::{CountBy, Labelled, Mode, ParentId, labels};

settings! {
    /// What the filter reads in `configuration` (Envoy) or `pluginConfig` (Istio). Every field may be left out, such as
    /// `{"role": "internal", "direction": "inbound"}`.
    pub struct Config "Tracewarden's configuration", checked {
        /// What the filter's own variables do: `ENABLE_DISTRIBUTED_TRACING`, and those whose names begin with `TRACE`. With
        /// `"override"` a proxy can differ from others that share this configuration.
        pub environment: EnvironmentWord = EnvironmentWord::Default,
        /// Whether the filter works. With `false` it changes nothing and counts nothing.
        pub enabled: bool = true,
        /// What happens on the response.
        pub response: Response = Response::default(),
        /// The filter's own metrics.
        pub metrics: Metrics = Metrics::default(),
        /// Where spans go. Without it there are none.
        pub export: Option<Export> = None,
        /// What spans say.
        pub spans as "span": Spans = Spans::default(),
        /// The resource of the spans.
        pub service: Service = Service::default(),
        /// Two filters count together what the proxy itself, such as its tracer, does to a context between them. This says
        /// which of the two the filter is. With `"after"` and `mode: observe` the filter does nothing else: it
        /// judges no request.
        pub hop: HopSide = HopSide::Neither,
    } flattens {
        /// What happens to requests.
        pub request: Policy,
    }
}

labels! {
    /// What environment variables do to fields.
    pub enum EnvironmentWord {
        /// They set the fields that are left out here.
        Default = "default",
        /// They also replace the fields that are stated here.
        Override = "override",
    }
}

settings! {
    /// Labels of the filter's metrics.
    pub struct Metrics "Metrics" {
        /// The label `listener` of the metrics about requests, for an Envoy with several listeners. Envoy keeps the counters of
        /// each name until it ends.
        pub listener: Option<LabelValue> = None,
        /// Counts requests, corrupt headers and responses by where Envoy sends the request as well. Each name has series of its own.
        /// The first hundred names of the process have a label, and all others share the label `other`.
        pub by: Option<CountBy> = None,
    }
}

/// A valid configuration, and what its operator should know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Variables of the environment that are ignored because of their values.
    pub notices: Vec<Fault>,
}

impl Config {
    /// Whether the filter only compares, for the hop audit, and judges no request.
    #[must_use]
    pub fn audits_alone(&self) -> bool {
        self.hop == HopSide::After && self.request.mode == Mode::Observe
    }

    /// Reads the plugin's configuration from JSON. An empty text is read as `{}`. The environment gives the value of a variable,
    /// and changes the defaults.
    ///
    /// # Errors
    /// Every fault in it, and in the filter's own variables.
    pub fn load(json: &[u8], environment: impl Fn(&str) -> Option<String>) -> Result<Loaded, Faults> {
        let tree = match json.trim_ascii() {
            [] => Ok(Value::Object(Vec::new())),
            json => serde_json::from_slice(json),
        };
        let fault = |error: serde_json::Error| {
            if is_text(json) { Fault::syntax(error.to_string()) } else { Fault::no_text() }
        };
        let tree = tree.map_err(|error| Faults(vec![fault(error)]))?;
        Self::read(&tree, &environment)
    }

    /// Reads the configuration from a tree that a text was parsed into.
    ///
    /// # Errors
    /// Every fault in it, and in the filter's own variables.
    pub fn read(tree: &Value, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Faults> {
        let mut reader = Reader::new(environment);
        let mut notices = Vec::new();
        let mut config = environment::defaults(&reader, &mut notices);
        let headers = environment::upload_headers(&reader, &mut notices);
        let overrides = EnvironmentWord::of_tree(tree) == Some(EnvironmentWord::Override);
        if !overrides {
            environment::ours(&mut config, &mut reader);
        }
        Setting::read(&mut config, tree, &mut reader);
        if overrides {
            environment::ours(&mut config, &mut reader);
            if reader.faults() == 0 {
                config.check(&mut reader);
            }
        }
        let faults = reader.into_faults();
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        if let Some(export) =
            config.export.as_mut().filter(|export| matches!(export.collector, Collector::Otlp(_)))
        {
            export.headers = headers;
        }
        Ok(Loaded { config, notices })
    }

    /// What a configuration may hold, for documents, editors and generators.
    #[must_use]
    pub fn shape() -> Shape {
        <Self as Setting>::shape()
    }
}

/// Whether the bytes may be JSON that somebody wrote. Those of a protobuf message are no text: the numbers of its fields are
/// control characters.
fn is_text(bytes: &[u8]) -> bool {
    str::from_utf8(bytes)
        .is_ok_and(|text| !text.contains(|sign: char| sign.is_control() && !sign.is_whitespace()))
}

/// How messages name a header that `traceparent` may be called.
const FREE_HEADER: &str = "a header name of 1 to 128 letters, digits and -_.!#$%&'*+^`|~, without a meaning in HTTP or for the filter";

impl EnvironmentWord {
    /// The word in a tree that has not been read yet.
    fn of_tree(tree: &Value) -> Option<Self> {
        match tree.field("environment")? {
            Value::Text(word) => Self::of_label(word),
            _ => None,
        }
    }
}

impl Rules for Config {
    fn check(&self, reader: &mut Reader<'_>) {
        if !is_free(&self.request.header) {
            reader.conflict("header", FREE_HEADER, &self.request.header.value());
        }
        let mut secrets = self.request.sampling.force.iter().chain(self.request.trust.secrets());
        if secrets.any(|secret| secret.name == self.request.header) {
            reader.conflict("header", "a header that holds no secret", &self.request.header.value());
        }
        if self.response.inject.iter().any(|one| one.trace_id_header() == Some(&*self.request.header)) {
            let expected = "another name than those of the headers in response.inject";
            reader.conflict("header", expected, &self.request.header.value());
        }
        if self.export.is_some() && self.request.parent_id == ParentId::Forward {
            let expected = "\"auto\" or \"new\" with export: \"forward\" leaves no parent-id for its spans";
            reader.conflict("parent_id", expected, &self.request.parent_id.value());
        }
        if let (None, Some(rate)) = (&self.export, &self.request.sampling.errors) {
            reader.within(Step::Field("sampling".to_owned()), &mut |reader| {
                let expected = "no value without export: there are no spans to record";
                reader.conflict("errors_per_second", expected, &rate.value());
            });
        }
    }
}
