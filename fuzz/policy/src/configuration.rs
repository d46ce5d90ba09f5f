//! A random configuration, and what the invariants must know of it.

use rand::RngExt;
use rand::rngs::ChaCha12Rng;
use rand::seq::IndexedRandom;
use tracewarden::config::Config;
use tracewarden::egress::Strip;
use tracewarden::filter::Filter;
use tracewarden::settings::Value;
use tracewarden::trust::Untrusted;
use tracewarden::words::{DirectionWord, Format, Labelled, Mode};

use crate::wire::{self, Lines};

/// The formats whose contexts [`wire`] can read.
pub(crate) const FORMATS: [Format; 8] = [
    Format::TraceContext,
    Format::B3,
    Format::B3Multi,
    Format::Jaeger,
    Format::XRay,
    Format::Gcp,
    Format::Datadog,
    Format::OtTrace,
];
pub(crate) const RENAMED: &str = "x-mesh-trace";
pub(crate) const TRUST: (&str, &str) = ("x-trust", "friend");
pub(crate) const FORCE: (&str, &str) = ("x-force", "open sesame");

pub(crate) struct Configuration {
    pub(crate) filter: Filter,
    pub(crate) tree: Value,
    pub(crate) mode: Mode,
    pub(crate) direction: DirectionWord,
    pub(crate) header: &'static str,
    pub(crate) extract: Vec<Format>,
    pub(crate) inject: Vec<Format>,
    pub(crate) removed: Vec<&'static str>,
    /// `None` if everyone is trusted.
    pub(crate) trust: Option<Trust>,
    pub(crate) egress: Vec<Egress>,
    /// Whether callers are told nothing that the upstream says.
    pub(crate) silences: bool,
    /// Whether callers are told anything at all.
    pub(crate) tells: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Trust {
    pub(crate) untrusted: Untrusted,
    pub(crate) baggage: bool,
    /// Whether [`KEPT`] passes.
    pub(crate) keeps: bool,
}

/// Headers that may pass from outsiders, with their values. A member of `baggage` passes alone.
pub(crate) const KEPT: [(&str, &str); 3] =
    [("x-datadog-origin", "rum"), ("ot-baggage-tenant", "shop"), ("baggage", "tenant=shop")];

pub(crate) struct Egress {
    host: &'static str,
    direction: DirectionWord,
    path: Option<&'static str>,
    /// A condition on the route or the cluster, and whether it holds.
    destination: Option<(&'static str, &'static str, bool)>,
    strip: Strip,
}

/// Where every request goes, and conditions on it.
pub(crate) const ROUTE: &[u8] = b"api";
pub(crate) const CLUSTER: &[u8] = b"partner";
const DESTINATIONS: [(&str, &str, bool); 6] = [
    ("route", "api", true),
    ("route", "a*", true),
    ("route", "ap", false),
    ("cluster", "partner", true),
    ("cluster", "*", true),
    ("cluster", "shop*", false),
];

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn object(fields: Vec<(&str, Value)>) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn word<T: Labelled>(source: &mut ChaCha12Rng) -> T {
    *T::ALL.choose(source).expect("there are words")
}

/// Some of these, each at most once, in any order.
fn some<T: Copy + PartialEq>(all: &[T], most: usize, source: &mut ChaCha12Rng) -> Vec<T> {
    let mut chosen = Vec::new();
    for _ in 0..source.random_range(0..=most) {
        let one = *all.choose(source).expect("there is a choice");
        if !chosen.contains(&one) {
            chosen.push(one);
        }
    }
    chosen
}

impl Configuration {
    pub(crate) fn draw(source: &mut ChaCha12Rng) -> Self {
        let mode = if source.random_ratio(1, 8) { Mode::Observe } else { Mode::Enforce };
        let direction: DirectionWord = word(source);
        let header = if source.random_ratio(1, 4) { RENAMED } else { "traceparent" };
        let mut extract = some(&FORMATS, 4, source);
        let mut inject = some(&FORMATS, 4, source);
        if source.random_ratio(1, 2) {
            extract = vec![Format::TraceContext];
            inject = if source.random_ratio(1, 2) { extract.clone() } else { inject };
        }
        let removed = if source.random_ratio(1, 5) {
            some(&["tracestate", "b3", "traceparent", "x-datadog-tags", "x-b3-sampled", RENAMED], 2, source)
        } else {
            Vec::new()
        };
        let trust = source.random_ratio(1, 2).then(|| Trust {
            untrusted: word(source),
            baggage: source.random(),
            keeps: source.random(),
        });
        let egress = if source.random_ratio(1, 2) {
            (0..2).map(|_| Egress::draw(source)).collect()
        } else {
            Vec::new()
        };
        let role = if source.random() { "edge" } else { "internal" };
        let upstream = *["auto", "keep", "remove"].choose(source).expect("words");
        let silences =
            mode == Mode::Enforce && (upstream == "remove" || upstream == "auto" && role == "edge");
        let told = some(&["traceparent", "traceresponse", "server-timing", "server-timing-trace"], 2, source);
        let tells = !told.is_empty();
        let response = object(vec![
            ("upstream", text(upstream)),
            ("inject", Value::List(told.into_iter().map(text).collect())),
            ("when", text(["always", "sampled", "participating"].choose(source).expect("words"))),
        ]);
        let mut fields = vec![
            ("response", response),
            ("mode", text(mode.label())),
            ("role", text(role)),
            ("direction", text(direction.label())),
            ("header", text(header)),
            ("start", text(if source.random_ratio(3, 4) { "always" } else { "never" })),
            ("parent_id", text(["auto", "new", "forward"].choose(source).expect("words"))),
            ("propagation", propagation(&extract, &inject, &removed)),
            ("sampling", sampling(source)),
            ("trust", trust.map_or(object(Vec::new()), Trust::tree)),
            ("egress", Value::List(egress.iter().map(Egress::tree).collect())),
            ("exclude", exclude(source)),
        ];
        if source.random_ratio(1, 4) {
            fields.push(("correlation", object(vec![("slots", Value::Whole(4))])));
        }
        let tree = object(fields);
        let variable = |name: &str| match name {
            "TRUST_SECRET" => Some(TRUST.1.to_owned()),
            "FORCE_SECRET" => Some(FORCE.1.to_owned()),
            _ => None,
        };
        let filter = match Config::read(&tree, &variable) {
            Ok(loaded) => Filter::new(loaded.config, ""),
            Err(faults) => panic!("{faults}: {tree:?}"),
        };
        Self {
            filter,
            tree,
            mode,
            direction,
            header,
            extract,
            inject,
            removed,
            trust,
            egress,
            silences,
            tells,
        }
    }

    /// Whether the sender of this request is trusted.
    pub(crate) fn trusts(&self, request: &Lines) -> bool {
        self.trust.is_none() || wire::lines(request, TRUST.0)[..] == [TRUST.1.as_bytes()]
    }

    /// What the upstream of this request does not get.
    pub(crate) fn strip(&self, request: &Lines) -> Option<Strip> {
        let applies = |entry: &&Egress| entry.applies(self.direction, request);
        self.egress.iter().find(applies).filter(|_| self.mode == Mode::Enforce).map(|entry| entry.strip)
    }
}

fn propagation(extract: &[Format], inject: &[Format], removed: &[&str]) -> Value {
    let formats =
        |formats: &[Format]| Value::List(formats.iter().map(|format| text(format.label())).collect());
    object(vec![
        ("extract", formats(extract)),
        ("inject", formats(inject)),
        ("remove", Value::List(removed.iter().map(|name| text(name)).collect())),
    ])
}

fn sampling(source: &mut ChaCha12Rng) -> Value {
    let probability = *[0.0, 0.5, 0.999_999, 1.0].choose(source).expect("numbers");
    let mut fields = vec![
        ("probability", Value::Float(probability)),
        ("parent", text(["respect", "ignore", "raise"].choose(source).expect("words"))),
    ];
    if source.random_ratio(1, 4) {
        fields.push((
            "max_traces_per_second",
            Value::Float(*[0.0, 0.5, 100.0].choose(source).expect("numbers")),
        ));
    }
    if source.random_ratio(1, 4) {
        fields.push(("force", object(vec![("header", text(FORCE.0)), ("value_env", text("FORCE_SECRET"))])));
    }
    object(fields)
}

fn exclude(source: &mut ChaCha12Rng) -> Value {
    let conditions = [
        ("path_prefix", "/v1/"),
        ("method", "OPTIONS"),
        ("user_agent_prefix", "kube-probe/"),
        ("route", "api"),
        ("cluster", "shop"),
    ];
    let chosen = some(&conditions, 1, source);
    let word = source.random::<bool>().then(|| text("default"));
    let entries = chosen.into_iter().map(|(name, value)| object(vec![(name, text(value))]));
    Value::List(entries.chain(word).collect())
}

/// An entry of `keep`.
fn kept((name, value): (&str, &str)) -> Value {
    let (field, name, value) = match value.split_once('=') {
        Some((key, value)) => (name, key, value),
        None => ("header", name, value),
    };
    object(vec![(field, text(name)), ("values", Value::List(vec![text(value)]))])
}

impl Trust {
    /// What may pass: no member of baggage where all of it does.
    pub(crate) fn kept(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        KEPT.into_iter().filter(move |(name, _)| self.keeps && !(self.baggage && *name == "baggage"))
    }

    fn tree(self) -> Value {
        let secret = object(vec![("header", text(TRUST.0)), ("value_env", text("TRUST_SECRET"))]);
        object(vec![
            ("default", text("untrusted")),
            ("trusted", Value::List(vec![secret])),
            ("untrusted", text(self.untrusted.label())),
            ("baggage", Value::Bool(self.baggage)),
            ("keep", Value::List(if self.keeps { self.kept().map(kept).collect() } else { Vec::new() })),
        ])
    }
}

impl Egress {
    fn draw(source: &mut ChaCha12Rng) -> Self {
        let path = if source.random_ratio(1, 4) { Some("/v1/traces") } else { None };
        let host = ["api.example.org", "*.example.org", "api.example.org.", "other.test"].choose(source);
        let destination = if source.random_ratio(1, 3) { DESTINATIONS.choose(source).copied() } else { None };
        let host = host.expect("hosts");
        Self { host, direction: word(source), path, destination, strip: word(source) }
    }

    fn tree(&self) -> Value {
        let mut conditions = vec![("host", text(self.host)), ("direction", text(self.direction.label()))];
        conditions.extend(self.path.map(|path| ("path", text(path))));
        conditions.extend(self.destination.map(|(name, wanted, _)| (name, text(wanted))));
        object(vec![("match", object(conditions)), ("strip", text(self.strip.label()))])
    }

    fn applies(&self, direction: DirectionWord, request: &Lines) -> bool {
        let authority = wire::one(request, ":authority").unwrap_or_default().to_ascii_lowercase();
        let host = authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
        let (host, wanted) = (host.trim_end_matches('.'), self.host.trim_end_matches('.'));
        let is_host = match wanted.strip_prefix('*') {
            Some(end) => host.ends_with(end) && host.len() > end.len(),
            None => host == wanted,
        };
        let path = wire::one(request, ":path").unwrap_or_default().split('?').next().unwrap_or_default();
        let is_known = self.direction.stated().is_none() || direction.stated().is_none();
        is_host
            && self.path.is_none_or(|wanted| wanted == path)
            && self.destination.is_none_or(|(.., holds)| holds)
            && (is_known || self.direction == direction)
    }
}
