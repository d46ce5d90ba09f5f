//! Which entry of a configuration decides: filters with some of the entries are tried on the same request, so that the
//! answer is the filter's.

use tracewarden::config::Config;
use tracewarden::settings::Value;
use tracewarden::words::{DecidedBy, Direction, DirectionWord, Mode, Verdict};

use super::config::{Configuration, environment};
use super::host::{Record, World};
use super::input::{Exchange, Lines};
use super::run::run;

/// The entries that decide about a request, each as a path in the configuration.
pub(super) struct Why {
    /// What leaves it alone.
    pub(super) excluded_by: Option<String>,
    /// Whether its sender is trusted, and what says so.
    pub(super) trusted: bool,
    pub(super) trusted_by: Option<String>,
    /// What happens to the context of others.
    pub(super) untrusted: String,
    /// What keeps something from its host, and what that is.
    pub(super) egress: Option<(String, String)>,
    /// The sampling rule that matches, and its probability.
    pub(super) rule: Option<(String, Option<f64>)>,
    /// The headers that came and are removed in any case.
    pub(super) removed: Vec<String>,
}

/// A request, and what its entries are tried with.
struct Trial<'a> {
    request: &'a Lines,
    world: &'a World,
    direction: Direction,
}

/// A context that every filter reads.
const VALID: &str = "00-11111111111111111111111111111111-2222222222222222-01";
/// A header that goes if nothing may leave, and that no condition names.
const LEAVES: &str = "uberctx-tracewarden-trial";

impl Why {
    /// Tries the entries of a configuration on a request.
    pub(super) fn of(configuration: &Configuration, request: &Lines, world: &World) -> Self {
        let Configuration { tree, config, .. } = configuration;
        let direction = stated(config).or(world.direction).unwrap_or(Direction::Unspecified);
        let trial = Trial { request, world, direction };
        let excluded_by = trial.excluded_by(tree);
        let (trusted, trusted_by) = trial.trusted_by(tree);
        let is_enforced = config.request.mode == Mode::Enforce;
        let untrusted = match tree.field("trust").and_then(|trust| trust.field("untrusted")) {
            Some(Value::Text(word)) => word.clone(),
            _ => "restart".to_owned(),
        };
        let egress = if is_enforced { trial.egress(tree) } else { None };
        let removed = config.request.propagation.remove.iter().map(|name| name.to_string());
        let came = |name: &String| is_enforced && request.iter().any(|(known, _)| known == name.as_bytes());
        let removed = removed.filter(came).collect();
        Self {
            excluded_by,
            trusted,
            trusted_by,
            untrusted,
            egress,
            rule: rule(configuration, request, world),
            removed,
        }
    }
}

/// The direction that a configuration states.
pub(super) fn stated(config: &Config) -> Option<Direction> {
    match config.request.direction {
        DirectionWord::Auto => None,
        DirectionWord::Inbound => Some(Direction::Inbound),
        DirectionWord::Outbound => Some(Direction::Outbound),
    }
}

impl Trial<'_> {
    /// What a filter that has nothing but these fields does with the request, to which these lines are added.
    fn run(&self, fields: Vec<(&str, Value)>, added: &[(&str, &str)]) -> Option<Record> {
        let direction = match self.direction {
            Direction::Unspecified => DirectionWord::Auto.label(),
            known => known.label(),
        };
        let mut all = vec![
            ("enabled", Value::Bool(true)),
            ("mode", text("enforce")),
            ("direction", text(direction)),
            ("header", text("traceparent")),
            ("exclude", Value::List(Vec::new())),
            ("propagation", object(vec![("extract", Value::List(vec![text("tracecontext")]))])),
        ];
        all.retain(|(name, _)| fields.iter().all(|(own, _)| own != name));
        all.extend(fields);
        let config = Config::read(&object(all), &environment).ok()?.config;
        let others =
            self.request.iter().filter(|(name, _)| added.iter().all(|(own, _)| own.as_bytes() != name));
        let added = added.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let request = others.cloned().chain(added);
        let world = World { direction: Some(self.direction), ..self.world.clone() };
        run(&config, &Exchange { request: Some(request.collect()), response: None }, world).request
    }

    fn excluded_by(&self, tree: &Value) -> Option<String> {
        let excludes = |entries: Value| {
            let verdict = self.run(vec![("exclude", entries)], &[]).and_then(|record| record.verdict());
            verdict == Some(Verdict::Excluded)
        };
        let Some(Value::List(entries)) = tree.field("exclude") else {
            return excludes(Value::Null).then(|| "exclude, the known requests".to_owned());
        };
        let place = first(entries.len(), |count| excludes(some(entries, count)))?;
        let is_default = entries.get(place) == Some(&text("default"));
        Some(format!("exclude[{place}]{}", if is_default { ", the known requests" } else { "" }))
    }

    /// Whether the sender is trusted, and the entry that says so.
    fn trusted_by(&self, tree: &Value) -> (bool, Option<String>) {
        let trust = tree.field("trust").unwrap_or(&Value::Null);
        if trust.field("default") != Some(&text("untrusted")) {
            return (true, None);
        }
        let peers = list(trust.field("trusted"));
        let place = first(peers.len(), |count| {
            let fields = vec![
                ("default", text("untrusted")),
                ("untrusted", text("restart")),
                ("trusted", some(peers, count)),
            ];
            let record = self.run(vec![("trust", object(fields))], &[("traceparent", VALID)]);
            record.and_then(|record| record.verdict()) == Some(Verdict::Continued)
        });
        (place.is_some(), place.map(|place| format!("trust.trusted[{place}]")))
    }

    fn egress(&self, tree: &Value) -> Option<(String, String)> {
        let entries = list(tree.field("egress"));
        let strips_all: Vec<Value> = entries.iter().map(|entry| with(entry, "strip", text("all"))).collect();
        let place = first(entries.len(), |count| {
            let record = self.run(vec![("egress", some(&strips_all, count))], &[(LEAVES, "1")]);
            record.is_some_and(|record| record.headers.iter().all(|(name, _)| name != LEAVES.as_bytes()))
        })?;
        match entries.get(place)?.field("strip") {
            Some(Value::Text(strip)) => Some((format!("egress[{place}]"), strip.clone())),
            _ => None,
        }
    }
}

/// The place of the entry that decides, which is the last of the fewest that do. The more entries there are, the sooner one
/// does.
fn first(number: usize, decides: impl Fn(usize) -> bool) -> Option<usize> {
    if number == 0 || !decides(number) {
        return None;
    }
    let (mut too_few, mut enough) = (0, number);
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if decides(middle) { enough = middle } else { too_few = middle }
    }
    enough.checked_sub(1)
}

/// The first entries of a list.
fn some(entries: &[Value], count: usize) -> Value {
    Value::List(entries.iter().take(count).cloned().collect())
}

/// The first sampling rule without which no rule decides.
fn rule(configuration: &Configuration, request: &Lines, world: &World) -> Option<(String, Option<f64>)> {
    let sampling = configuration.tree.field("sampling")?;
    let rules = list(sampling.field("rules"));
    let decides = |count: usize| {
        let sampling = with(sampling, "rules", some(rules, count));
        let tree = with(&configuration.tree, "sampling", sampling);
        let Ok(loaded) = Config::read(&tree, &environment) else { return false };
        let exchange = Exchange { request: Some(request.clone()), response: None };
        let record = run(&loaded.config, &exchange, world.clone()).request;
        record.and_then(|record| record.sampled()).is_some_and(|(_, by)| by == DecidedBy::Rule)
    };
    let place = first(rules.len(), decides)?;
    let probability = match rules.get(place)?.field("probability") {
        Some(Value::Whole(number)) => Some(*number as f64),
        Some(Value::Float(number)) => Some(*number),
        _ => None,
    };
    Some((format!("sampling.rules[{place}]"), probability))
}

/// The names of the headers that hold secrets, in lower case.
pub(super) fn secrets(tree: &Value) -> Vec<Vec<u8>> {
    let peers = list(tree.field("trust").and_then(|trust| trust.field("trusted")));
    let force = tree.field("sampling").and_then(|sampling| sampling.field("force"));
    let names = peers.iter().chain(force).filter_map(|one| match one.field("header")? {
        Value::Text(name) => Some(name.to_ascii_lowercase().into_bytes()),
        _ => None,
    });
    names.collect()
}

fn list(value: Option<&Value>) -> &[Value] {
    if let Some(Value::List(entries)) = value { entries } else { &[] }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn object(fields: Vec<(&str, Value)>) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// An object with another value in a field.
fn with(tree: &Value, name: &str, value: Value) -> Value {
    let Value::Object(fields) = tree else { return tree.clone() };
    let others = fields.iter().filter(|(known, _)| known != name).cloned();
    Value::Object(others.chain([(name.to_owned(), value)]).collect())
}
