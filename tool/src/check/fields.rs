//! Fields of a configuration that do nothing, because of others or because of where the plugin runs.

use tracewarden::settings::{Step, Value};
use tracewarden::words::{Mode, Role};

use super::codes;
use super::doubts::Valid;
use super::entries::{Said, idle};
use super::message::Message;
use super::plugin::{Place, Scope};
use super::tree::{Node, Tree};
use super::uses::{direction, may_have_certificate};

/// What is said of a plugin's fields. The places are those in which it is known to run.
pub(super) fn messages(valid: &Valid<'_, '_>, places: &[Place<'_>]) -> Vec<Message> {
    let Valid { plugin, config, .. } = valid;
    if !config.enabled {
        return Vec::new();
    }
    let tree = plugin.tree();
    let mut said = idle(&tree, direction(config, places));
    said.extend(budgets(&tree, &mut Vec::new()));
    said.extend(unused_limit(valid, &tree));
    said.extend(observed(valid, &tree));
    said.extend(no_source(valid));
    said.extend(senders(&tree, places));
    let mut messages: Vec<Message> = said
        .into_iter()
        .map(|(code, path, text)| {
            let name = named(&path);
            Message { path: name, ..plugin.message(code, plugin.line_at(&path), text) }
        })
        .collect();
    messages.extend(of_module(valid));
    messages.extend(of_policy(valid));
    messages
}

fn steps(path: &[&str]) -> Vec<Step> {
    path.iter().map(|name| Step::Field((*name).to_owned())).collect()
}

/// A path as messages have it.
fn named(path: &[Step]) -> String {
    let mut name = String::new();
    for step in path {
        match step {
            Step::Field(field) if name.is_empty() => name.push_str(field),
            Step::Field(field) => name.extend([".", field]),
            Step::Item(number) => name.push_str(&format!("[{number}]")),
            Step::Variable(variable) => name.push_str(variable),
        }
    }
    name
}

/// The fields that limit how many traces are sampled.
const BUDGETS: [&str; 2] = ["max_traces_per_second", "max_traces_per_second_per_worker"];

/// Budgets under which nothing is sampled.
fn budgets(value: &Value, path: &mut Vec<Step>) -> Vec<Said> {
    let mut said = Vec::new();
    let mut within = |step: Step, value: &Value| {
        path.push(step);
        said.extend(budgets(value, path));
        path.pop();
    };
    match value {
        Value::List(items) => {
            items.iter().enumerate().for_each(|(number, item)| within(Step::Item(number), item))
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| within(Step::Field(name.clone()), value));
        }
        Value::Whole(0) | Value::Float(0.0) => match path.last() {
            Some(Step::Field(name)) if BUDGETS.contains(&name.as_str()) => {
                let text = format!(
                    "{}: 0 lets no trace be sampled, whatever the probability is; remove it, or say `probability: 0`",
                    named(path)
                );
                said.push((&codes::NO_BUDGET, path.clone(), text));
            }
            _ => {}
        },
        _ => {}
    }
    said
}

/// A limit of what is never sampled.
fn unused_limit(valid: &Valid<'_, '_>, tree: &Value) -> Option<Said> {
    let sampling = tree.field("sampling")?;
    let name = BUDGETS.iter().find(|name| matches!(sampling.field(name), Some(Value::Whole(1..))))?;
    let text = format!(
        "sampling.{name} limits nothing, because every probability is 0; remove it, or raise a probability"
    );
    valid.config.samples_nothing().then(|| (&codes::NO_BUDGET, steps(&["sampling", name]), text))
}

/// What only a filter does that enforces.
const ENFORCED: [&[&str]; 4] = [&["sampling", "rules"], &["propagation", "remove"], &["egress"], &["export"]];

fn observed(valid: &Valid<'_, '_>, tree: &Value) -> Option<Said> {
    let is_stated = |path: &&&[&str]| {
        let value = path.iter().try_fold(tree, |value, name| value.field(name));
        !matches!(value, None | Some(Value::Null))
            && !matches!(value, Some(Value::List(items)) if items.is_empty())
    };
    let idle: Vec<&&[&str]> = ENFORCED.iter().filter(is_stated).collect();
    let first = idle.first().filter(|_| valid.config.request.mode == Mode::Observe)?;
    let names: Vec<String> = idle.iter().map(|path| path.join(".")).collect();
    let (names, verb) = match names.as_slice() {
        [name] => (name.clone(), "does"),
        [names @ .., last] => (format!("{} and {last}", names.join(", ")), "do"),
        [] => return None,
    };
    let text = format!(
        "{names} {verb} nothing in mode: observe, which decides nothing and changes no header; remove them until mode is enforce"
    );
    let text = if verb == "does" { text.replace("remove them", "remove it") } else { text };
    Some((&codes::OBSERVED, steps(first), text))
}

fn no_source(valid: &Valid<'_, '_>) -> Option<Said> {
    let text = "trace_id_source: x-request-id takes no id, because no sender is trusted and the header of others is ignored; \
                list senders in trust.trusted, or remove it";
    valid
        .config
        .takes_ids_of_nobody()
        .then(|| (&codes::NO_SOURCE, steps(&["trace_id_source"]), text.to_owned()))
}

/// Senders who are known by a certificate, where no client has one.
fn senders(tree: &Value, places: &[Place<'_>]) -> Vec<Said> {
    if places.is_empty() || places.iter().any(may_have_certificate) {
        return Vec::new();
    }
    let Some(Value::List(senders)) = tree.field("trust").and_then(|trust| trust.field("trusted")) else {
        return Vec::new();
    };
    let by_name = senders.iter().enumerate().filter(|(_, sender)| sender.field("san").is_some());
    let described = |(number, _)| {
        let text = format!(
            "trust.trusted[{number}] matches no sender: the listener asks clients for no certificate; set \
             require_client_certificate and a validation_context in its TLS, or remove the entry"
        );
        let path = [steps(&["trust", "trusted"]), vec![Step::Item(number)]].concat();
        (&codes::NO_SENDER, path, text)
    };
    by_name.map(described).collect()
}

/// A module that Envoy itself fetches. In Istio its agent does, and Envoy reads a file.
fn of_module(Valid { plugin, .. }: &Valid<'_, '_>) -> Option<Message> {
    let code = plugin.envoy.filter(|_| plugin.scope == Scope::Envoy)?.at(&["vm_config", "code"])?;
    let (name, _) = code.entry("remote")?;
    let text = "code.remote fetches the module once, when the configuration comes: if that fails, Envoy does not try again; \
                name a file of this machine in code.local";
    Some(plugin.message(&codes::REMOTE, name.line, text.to_owned()))
}

/// What becomes of a border whose filter does not run.
fn of_policy(Valid { plugin, config, .. }: &Valid<'_, '_>) -> Option<Message> {
    let envoy = plugin.envoy.filter(|_| config.judges_senders() && config.request.role == Role::Edge)?;
    let stated = envoy.entry("failure_policy").or_else(|| envoy.entry("fail_open"));
    let is_open = |node: &Node| matches!(node.tree, Tree::Bool(true)) || node.text() == Some("FAIL_OPEN");
    let (word, rest) = match stated {
        Some((_, node)) if node.text() == Some("FAIL_RELOAD") => return None,
        Some((_, node)) if is_open(node) => {
            ("FAIL_OPEN", "a filter that does not run lets the context of outsiders pass")
        }
        _ => (
            "FAIL_CLOSED",
            "a worker whose filter has trapped answers 503 until the configuration is replaced",
        ),
    };
    let line = stated.map_or(plugin.line, |(name, _)| name.line);
    let text = format!(
        "failure_policy is {word}{}, so {rest}; set FAIL_RELOAD, with the module in a local file",
        if stated.is_some() { "" } else { " by default" }
    );
    Some(plugin.message(&codes::BORDER_POLICY, line, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_of_zero_is_found_wherever_it_is() {
        let rows: [(&str, &[&str]); 4] = [
            (r#"{"sampling": {"max_traces_per_second": 0}}"#, &["sampling.max_traces_per_second"]),
            (
                r#"{"sampling": {"max_traces_per_second": 0.5, "rules": [{"max_traces_per_second": 0.0}]}}"#,
                &["sampling.rules[0].max_traces_per_second"],
            ),
            (r#"{"sampling": {"probability": 0, "max_traces_per_second": 1}}"#, &[]),
            (r#"{"sampling": {"max_traces_per_second": null}}"#, &[]),
        ];
        for (text, expected) in rows {
            let tree = serde_json::from_str(text).expect("JSON");
            let said: Vec<String> =
                budgets(&tree, &mut Vec::new()).iter().map(|(_, path, _)| named(path)).collect();
            assert_eq!(said, expected, "{text}");
        }
    }
}
