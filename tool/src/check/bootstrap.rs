//! Where a whole Envoy configuration, in YAML or JSON, has Tracewarden's filters, and which of Envoy's tracers write after
//! them.

use serde_json::Value;
use tracewarden::config::{Config, Loaded};
use tracewarden::settings::Faults;

/// An Envoy configuration.
pub(super) struct Bootstrap(Value);

/// A filter of Tracewarden in it.
pub(super) struct Plugin<'a> {
    /// Where it is, such as `static_resources.listeners[0].…http_filters[1]`.
    pub(super) place: String,
    /// The tracer that writes after it, unless that keeps its context out of requests.
    pub(super) tracer: Option<Tracer>,
    /// Whether it runs after the router, for each attempt.
    pub(super) is_upstream: bool,
    configuration: Vec<u8>,
    environment: &'a Value,
}

/// One of Envoy's own tracers.
#[derive(Clone)]
pub(super) struct Tracer {
    /// Its name, such as `envoy.tracers.opentelemetry`.
    pub(super) name: String,
    /// Where its connection manager is told to trace.
    pub(super) place: String,
}

/// What is around a place in the tree.
#[derive(Clone, Copy, Default)]
struct Around<'t> {
    /// The tracer of the connection manager.
    tracer: Option<&'t Tracer>,
    /// Whether filters there run after the router.
    is_upstream: bool,
}

/// A search through the tree.
struct Search<'a> {
    /// The provider of connection managers that name none.
    default_provider: &'a Value,
    found: Vec<Plugin<'a>>,
}

impl Bootstrap {
    /// The Envoy configuration that a text is, if it is one: an object with `static_resources`. A plugin has no such field.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.contains("static_resources"))?;
        let tree: Value = serde_saphyr::from_str(text).ok()?;
        tree.get("static_resources").is_some().then_some(Self(tree))
    }

    /// Every filter of Tracewarden.
    ///
    /// # Errors
    /// There is none, or one whose configuration has a type that is not read here.
    pub(super) fn plugins(&self) -> Result<Vec<Plugin<'_>>, String> {
        let Self(tree) = self;
        let mut search = Search { default_provider: at(tree, "/tracing/http"), found: Vec::new() };
        search.walk(tree, "", Around::default())?;
        if search.found.is_empty() {
            return Err("expected a wasm filter of Tracewarden, found none: none has \"tracewarden\" in its name, its root_id or \
                        its module's file or address, or a configuration that Tracewarden reads"
                .to_owned());
        }
        Ok(search.found)
    }
}

impl<'a> Search<'a> {
    /// Looks at a value and all that is in it.
    fn walk(&mut self, value: &'a Value, place: &str, around: Around<'_>) -> Result<(), String> {
        if is_a(value, ".filters.http.wasm.v3.Wasm") {
            self.found.extend(Plugin::of(at(value, "/config"), place, around)?);
            return Ok(());
        }
        let own = if is_a(value, ".http_connection_manager.v3.HttpConnectionManager") {
            self.tracer(value, place)
        } else {
            None
        };
        let is_upstream = around.is_upstream || is_a(value, ".upstreams.http.v3.HttpProtocolOptions");
        let around = Around { tracer: own.as_ref().or(around.tracer), is_upstream };
        match value {
            Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                let is_upstream = around.is_upstream || name == "upstream_http_filters";
                self.walk(value, &place, Around { is_upstream, ..around })
            }),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(number, item)| self.walk(item, &format!("{place}[{number}]"), around)),
            _ => Ok(()),
        }
    }

    /// The tracer of a connection manager that writes its context into requests.
    fn tracer(&self, manager: &Value, place: &str) -> Option<Tracer> {
        let tracing = manager.get("tracing").filter(|tracing| tracing.is_object())?;
        let provider = tracing.get("provider").unwrap_or(self.default_provider);
        let name = provider.get("name")?.as_str()?.to_owned();
        let is_quiet = at(tracing, "/no_context_propagation") == &Value::Bool(true);
        (!is_quiet).then(|| Tracer { name, place: format!("{place}.tracing") })
    }
}

impl<'a> Plugin<'a> {
    /// The filter with this `PluginConfig`, if it is one of Tracewarden's. `place` is that of its `typed_config`.
    fn of(config: &'a Value, place: &str, around: Around<'_>) -> Result<Option<Self>, String> {
        let place = place.strip_suffix(".typed_config").unwrap_or(place).to_owned();
        let configuration = configuration(at(config, "/configuration"));
        let names =
            ["/name", "/root_id", "/vm_config/code/local/filename", "/vm_config/code/remote/http_uri/uri"];
        let is_named = names.iter().any(|name| {
            at(config, name).as_str().is_some_and(|text| text.to_ascii_lowercase().contains("tracewarden"))
        });
        let is_read = |text: &[u8]| {
            text.trim_ascii() != b"{}"
                && !text.trim_ascii().is_empty()
                && Config::load(text, |_| None).is_ok()
        };
        let environment = at(config, "/vm_config/environment_variables");
        match configuration {
            Ok(configuration) if is_named || is_read(&configuration) => {
                // What runs after the router runs after the tracer.
                let tracer = around.tracer.filter(|_| !around.is_upstream).cloned();
                Ok(Some(Self { place, tracer, is_upstream: around.is_upstream, configuration, environment }))
            }
            Err(problem) if is_named => Err(format!("{place}: configuration: {problem}")),
            _ => Ok(None),
        }
    }

    /// Reads its configuration as the filter does, with the variables that its VM is given.
    pub(super) fn load(&self) -> Result<Loaded, Faults> {
        Config::load(&self.configuration, |name| {
            let stated = self.environment.get("key_values").and_then(|all| all.get(name)?.as_str());
            let inherited = at(self.environment, "/host_env_keys").as_array();
            let is_inherited =
                inherited.is_some_and(|keys| keys.iter().any(|key| key.as_str() == Some(name)));
            let of_process = || is_inherited.then(|| std::env::var(name).ok()).flatten();
            stated.map(str::to_owned).or_else(of_process)
        })
    }
}

/// The text that Envoy gives the plugin: that of a `StringValue`, or a `Struct` as JSON.
fn configuration(any: &Value) -> Result<Vec<u8>, String> {
    match (any, any.get("value")) {
        (Value::Null, _) => Ok(Vec::new()),
        (_, Some(Value::String(text))) if is_a(any, ".protobuf.StringValue") => Ok(text.clone().into_bytes()),
        (_, Some(value)) if is_a(any, ".protobuf.Struct") => Ok(value.to_string().into_bytes()),
        (_, None) if is_a(any, ".protobuf.StringValue") || is_a(any, ".protobuf.Struct") => Ok(Vec::new()),
        _ => Err(format!(
            "expected a google.protobuf.StringValue or google.protobuf.Struct with its value, found {}",
            at(any, "/@type")
        )),
    }
}

/// Whether a value is an `Any` of this type.
fn is_a(value: &Value, kind: &str) -> bool {
    at(value, "/@type").as_str().is_some_and(|name| name.ends_with(kind))
}

/// The value at a path, null if there is none.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(path).unwrap_or(&Value::Null)
}
