//! The kinds of values that fields have.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use tracewarden::labels::Labelled;
use tracewarden::propagation::Format;

/// One of the filter's own words, with what it means.
pub(super) struct Word<T>(PhantomData<T>);

impl<T> Default for Word<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Labelled> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        // A long list stands apart, once.
        T::ALL.len() < 5
    }

    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<T>().rsplit("::").next().unwrap_or_default().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words = T::LABELS.iter().zip(T::MEANINGS);
        let words: Vec<Schema> =
            words.map(|(word, meaning)| json_schema!({"const": word, "description": meaning})).collect();
        json_schema!({"type": "string", "oneOf": words})
    }
}

/// A format that can be written.
#[derive(Default)]
pub(super) struct Written;

impl JsonSchema for Written {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Written".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let read_only = Format::ALL.iter().filter(|format| !format.is_written());
        let read_only: Vec<Value> = read_only.map(|format| format.label().into()).collect();
        let mut schema = generator.subschema_for::<Word<Format>>();
        schema.insert("not".to_owned(), serde_json::json!({"enum": read_only}));
        schema
    }
}

/// Of several fields just one, and `null` does not count.
pub(super) fn one_of(names: &[&str]) -> Vec<Value> {
    let said = serde_json::json!({"not": {"type": "null"}});
    names.iter().map(|name| serde_json::json!({"required": [name], "properties": {*name: said}})).collect()
}

/// Declares a kind of value by its schema; one with a title stands apart, and is referred to.
macro_rules! values {
    ($($(#[$meta:meta])* $name:ident = $schema:tt;)+) => {
        $(
            $(#[$meta])*
            #[derive(Default)]
            pub(super) struct $name;

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    serde_json::json!($schema).get("title").is_none()
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($schema)
                }
            }
        )+
    };
}

values! {
    /// `true` or `false`.
    Flag = {"type": "boolean"};
    /// A share.
    Probability = {"type": "number", "minimum": 0, "maximum": 1};
    /// A count of something.
    WholeNumber = {"type": "integer", "minimum": 1, "maximum": 1_000_000};
    /// Any text.
    Text = {"type": "string"};
    /// Text with something in it.
    SomeText = {"type": "string", "minLength": 1};
    /// The beginning of log lines.
    LogFormat = {"type": "string", "pattern": r"^([^%]|%%|%\(trace_id\)s|%\(span_id\)s)*$"};
    /// The value of a label.
    ListenerName = {
        "title": "Listener name",
        "description": "1 to 64 letters, digits and `_-.`.",
        "type": "string",
        "pattern": "^[A-Za-z0-9_.-]{1,64}$",
        "examples": ["checkout_inbound"],
    };
    /// A header.
    HeaderName = {
        "title": "Header name",
        "description": "1 to 128 letters, digits and ``-_.!#$%&'*+^`|~``. Upper and lower case are the same.",
        "type": "string",
        "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$",
        "examples": ["x-tenant"],
    };
    /// What a text must match.
    Pattern = {
        "title": "Regular expression",
        "description": "It must match the whole text, takes time in proportion to it, and has no look-around and no \
            back-references. The syntax is that of Rust's `regex-lite`. It may take 64 KiB when it is ready to run.",
        "type": "string",
        "examples": ["/cart/[0-9]+"],
    };
    /// A variable that must be set.
    Secret = {
        "title": "Name of a secret's variable",
        "description": "A variable of the VM's environment (`vm_config.environment_variables` in Envoy, `vmConfig.env` in \
            Istio) that holds a secret. A configuration that names one that is not set, or is empty, is refused.",
        "type": "string",
        "examples": ["TRACE_FORCE_SECRET"],
    };
    /// A range of addresses.
    Cidr = {
        "title": "Range of addresses",
        "description": "Of IPv4 or IPv6; the bits behind the length do not count, and one address alone needs no length.",
        "type": "string",
        "examples": ["10.0.0.0/8", "fd00::/8", "192.0.2.7"],
    };
    /// What can stand in a header.
    VisibleText = {
        "title": "Visible ASCII text",
        "description": "Letters, digits and signs of ASCII, at least one, and no space.",
        "type": "string",
        "pattern": "^[!-~]+$",
        "examples": ["otel_collector"],
    };
    /// Where a server takes uploads.
    Path = {
        "title": "Path",
        "description": "It begins with `/`, and has letters, digits and signs of ASCII alone.",
        "type": "string",
        "pattern": "^/[!-~]*$",
        "examples": ["/v1/traces"],
    };
}
