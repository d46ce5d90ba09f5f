//! Texts of a certain form, valid by construction.

use core::fmt;
use std::sync::LazyLock;

use regex_lite::Regex;
use subtle::{Choice, ConstantTimeEq};

use super::{Expected, FaultKind, Form, Reader, Setting, Shape, Value};

/// Declares texts of a form: a type with its meaning, title and pattern, how a message names the form, the least length if
/// the pattern does not say it, and what is made of the text if it is not kept as it is.
macro_rules! texts {
    ($(
        $(#[doc = $meaning:literal])+
        $name:ident($title:literal, $pattern:literal, $expected:literal $(, $least:literal)?) $(= $made:expr)?;
    )+) => {$(
        $(#[doc = $meaning])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// How a message names the form.
            pub(crate) const EXPECTED: &'static str = $expected;

            /// Takes a text of this form.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                static PATTERN: Pattern = LazyLock::new(|| Regex::new($pattern).ok());
                fits(text, &PATTERN, 0 $(+ $least)?).then(|| Self(texts!(@made text $($made)?)))
            }
        }

        impl Setting for $name {
            fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
                reader.parse(value, Self::EXPECTED, Self::parse)
            }

            fn shape() -> Shape {
                let meaning = concat!($($meaning),+).trim_ascii();
                let (title, pattern, least) = ($title, $pattern, 0 $(+ $least)?);
                Shape::Text(Form { title, meaning, expected: Self::EXPECTED, pattern, least })
            }

            fn value(&self) -> Value {
                Value::Text(self.0.clone())
            }
        }

        impl core::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }
    )+};
    (@made $text:ident) => { $text.to_owned() };
    (@made $text:ident $made:expr) => { $made($text) };
}

/// The pattern of a form, compiled when the first text is checked: one takes up to 60 KB.
type Pattern = LazyLock<Option<Regex>>;

fn fits(text: &str, pattern: &Pattern, least: usize) -> bool {
    text.len() >= least && pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

texts! {
    /// The name of a header. Upper and lower case are the same, such as `"x-tenant"`.
    HeaderName(
        "Header name",
        "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$",
        "a header name of 1 to 128 letters, digits and -_.!#$%&'*+^`|~"
    // Envoy keeps names in lower case.
    ) = str::to_ascii_lowercase;

    /// The value of a label, which tag extraction cuts out of a stat's name, such as `"checkout_inbound"`.
    LabelValue("Label value", "^[A-Za-z0-9_.-]{1,64}$", "a name of 1 to 64 letters, digits and _-.");

    /// Letters, digits and signs of ASCII, without spaces, such as `"otel_collector"`.
    Visible("Visible ASCII text", "^[!-~]+$", "a name of ASCII letters, digits and signs");

    /// A path on a server: it begins with `/` and has only letters, digits and signs of ASCII, such as `"/v1/traces"`.
    UrlPath("Path", "^/[!-~]*$", "a path that begins with / and has only ASCII letters, digits and signs");

    /// A header that accompanies a context of some format, other than `baggage`, in lower case. Such as `"x-datadog-origin"` or
    /// `"ot-baggage-tenant"`.
    CompanionName(
        "Companion header",
        "^(correlation-context|x-datadog-(origin|delegate-trace-sampling)|jaeger-(debug-id|baggage)|x-ot-span-context|sw8-(x|correlation)|grpc-tags-bin|(baggage|ot-baggage|uberctx)-[a-z0-9!#$%&'*+.^_`|~-]{1,100})$",
        "a header in lower case that accompanies a context, such as x-datadog-origin; a member of baggage is named by `baggage`"
    );

    /// The key of a member of `baggage`, as [W3C Baggage](https://www.w3.org/TR/baggage/#key) has it. Upper and lower case differ.
    /// Such as `"tenant"`.
    BaggageKey(
        "Baggage key",
        "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$",
        "a key of 1 to 128 letters, digits and -_.!#$%&'*+^`|~"
    );

    /// A text that is not empty.
    NonEmpty("", "", "a text that is not empty", 1);

    /// How a line begins: text with the ids of the trace in it, written as for Python's logging.
    LogFormat(
        "",
        r"^([^%]|%%|%\(trace_id\)s|%\(span_id\)s)*$",
        "a text whose percent signs belong to %(trace_id)s, %(span_id)s or %%"
    );
}

impl Default for LogFormat {
    fn default() -> Self {
        Self("trace_id=%(trace_id)s span_id=%(span_id)s".to_owned())
    }
}

impl HeaderName {
    /// A name that is known when the code is written.
    pub(crate) fn known(name: &'static str) -> Self {
        Self(name.to_owned())
    }
}

/// The value of a variable that must be set, and that of the one which takes its place, if that is set too. They are compared in
/// constant time and never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    now: Vec<u8>,
    next: Option<Vec<u8>>,
}

impl Secret {
    /// Whether it is one of them. Both are compared, whichever it is.
    pub(crate) fn is(&self, value: &[u8]) -> bool {
        let is_next = self.next.as_ref().map_or(Choice::from(0), |next| next.ct_eq(value));
        (self.now.ct_eq(value) | is_next).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Setting for Secret {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let name = reader.text(value, SECRET.expected)?;
        let Some(now) = reader.variable(name) else {
            reader.fault(FaultKind::Environment, Expected::Phrase(SECRET.expected), value);
            return None;
        };
        let next = reader.variable(&format!("{name}{NEXT}"));
        Some(Self { now: now.into_bytes(), next: next.map(String::into_bytes) })
    }

    fn shape() -> Shape {
        Shape::Text(SECRET)
    }
}

/// What stands behind a variable's name in that of its successor.
const NEXT: &str = "_NEXT";

const SECRET: Form = Form {
    title: "Name of a secret's variable",
    meaning: "A variable of the VM's environment (`vm_config.environment_variables` in Envoy, `vmConfig.env` in Istio) that \
        holds a secret. A configuration is refused if the variable is not set or is empty. If the variable of this name with `_NEXT` \
        behind it is set, its secret is good, too, so that a secret can be [replaced](security.md#replacing-a-secret). Such as \
        `\"TRACE_FORCE_SECRET\"`.",
    expected: "a variable of the environment that is set and not empty",
    ..Form::ANY
};

/// The value of a variable, empty if it is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable(pub(crate) String);

impl Setting for Variable {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let name = reader.text(value, "the name of a variable")?;
        Some(Self(reader.variable(name).unwrap_or_default()))
    }

    fn shape() -> Shape {
        String::shape()
    }
}
