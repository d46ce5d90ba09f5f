//! Which entry of a configuration decides: each is tried alone on the same request, in a filter of its own, so that the
//! answer is the filter's.

use tracewarden::config::Config;
use tracewarden::settings::Value;
use tracewarden::words::{DecidedBy, Direction, DirectionWord, Mode, Verdict};

use super::config::{Configuration, environment};
use super::host::World;
use super::input::{Exchange, Lines};
use super::run::{Run, run};

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
    /// What a filter does with the request that has nothing but these fields, and with a valid context on the request.
    fn run(&self, fields: Vec<(&str, Value)>) -> Option<Run> {
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
        let others = self.request.iter().filter(|(name, _)| name != b"traceparent").cloned();
        let request = others.chain([(b"traceparent".to_vec(), VALID.into())]).collect();
        let world = World { direction: Some(self.direction), ..self.world.clone() };
        Some(run(&config, &Exchange { request: Some(request), response: None }, world))
    }

    fn verdict(&self, fields: Vec<(&str, Value)>) -> Option<Verdict> {
        self.run(fields)?.request?.verdict()
    }

    fn excluded_by(&self, tree: &Value) -> Option<String> {
        let known = Value::List(vec![text("default")]);
        let (entries, is_stated) = match tree.field("exclude") {
            Some(Value::List(entries)) => (entries.as_slice(), true),
            _ => (std::slice::from_ref(&known), false),
        };
        let excludes = |entry: &Value| {
            let entry = if is_stated { Value::List(vec![entry.clone()]) } else { entry.clone() };
            self.verdict(vec![("exclude", entry)]) == Some(Verdict::Excluded)
        };
        let place = entries.iter().position(excludes)?;
        let is_default = entries.get(place).is_some_and(|entry| *entry == text("default")) || !is_stated;
        let path = if is_stated { format!("exclude[{place}]") } else { "exclude".to_owned() };
        Some(if is_default { format!("{path}, the known requests") } else { path })
    }

    /// Whether the sender is trusted, and the entry that says so.
    fn trusted_by(&self, tree: &Value) -> (bool, Option<String>) {
        let trust = tree.field("trust").unwrap_or(&Value::Null);
        if trust.field("default") != Some(&text("untrusted")) {
            return (true, None);
        }
        let peers = list(trust.field("trusted"));
        let place = peers.iter().position(|peer| {
            let fields = vec![
                ("default", text("untrusted")),
                ("untrusted", text("restart")),
                ("trusted", Value::List(vec![peer.clone()])),
            ];
            self.verdict(vec![("trust", object(fields))]) == Some(Verdict::Continued)
        });
        (place.is_some(), place.map(|place| format!("trust.trusted[{place}]")))
    }

    fn egress(&self, tree: &Value) -> Option<(String, String)> {
        let entries = list(tree.field("egress"));
        let place = entries.iter().position(|entry| {
            let condition = entry.field("match").cloned().unwrap_or(Value::Null);
            let all = object(vec![("match", condition), ("strip", text("all"))]);
            let run = self.run(vec![("egress", Value::List(vec![all]))]);
            let left = run.and_then(|run| run.request).map(|record| record.headers);
            left.is_some_and(|lines| lines.iter().all(|(name, _)| name != b"traceparent"))
        })?;
        match entries.get(place)?.field("strip") {
            Some(Value::Text(strip)) => Some((format!("egress[{place}]"), strip.clone())),
            _ => None,
        }
    }
}

/// The first sampling rule without which no rule decides.
fn rule(configuration: &Configuration, request: &Lines, world: &World) -> Option<(String, Option<f64>)> {
    let sampling = configuration.tree.field("sampling")?;
    let rules = list(sampling.field("rules"));
    let decides = |count: usize| {
        let some = Value::List(rules.iter().take(count).cloned().collect());
        let tree = with(&configuration.tree, "sampling", with(sampling, "rules", some));
        let Ok(loaded) = Config::read(&tree, &environment) else { return false };
        let exchange = Exchange { request: Some(request.clone()), response: None };
        let record = run(&loaded.config, &exchange, world.clone()).request;
        record.and_then(|record| record.sampled()).is_some_and(|(_, by)| by == DecidedBy::Rule)
    };
    // The more rules there are, the sooner one matches.
    let (mut too_few, mut enough) = (0, rules.len());
    if !decides(enough) {
        return None;
    }
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if decides(middle) { enough = middle } else { too_few = middle }
    }
    let place = enough.checked_sub(1)?;
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
