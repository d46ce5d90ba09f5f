//! The environment that a plugin's VM is given.

use super::tree::Node;

/// Variables, with the lines that give them.
#[derive(Default)]
pub(super) struct Variables<'t> {
    stated: Vec<(&'t str, String, usize)>,
    /// Those that the VM takes from the proxy's own environment. That of this process stands for it.
    inherited: Vec<(&'t str, usize)>,
    /// Whether all of this process are meant.
    takes_all: bool,
    /// Whether the inherited ones have values that this process cannot know, because a running proxy has them.
    pub(super) hides_values: bool,
}

impl<'t> Variables<'t> {
    /// Those of this process, for a configuration alone.
    pub(super) fn of_process() -> Self {
        Self { takes_all: true, ..Self::default() }
    }

    /// Those of Envoy's `vm_config`.
    pub(super) fn of_envoy(vm: Option<&'t Node>, hides_values: bool) -> Self {
        let Some(vm) = vm else { return Self::default() };
        let stated = vm.at(&["environment_variables", "key_values"]).map_or(&[][..], Node::fields);
        let inherited = vm.at(&["environment_variables", "host_env_keys"]);
        Self {
            stated: stated
                .iter()
                .filter_map(|(name, value)| Some((&*name.text, scalar(value)?, name.line)))
                .collect(),
            inherited: names(inherited),
            takes_all: false,
            hides_values,
        }
    }

    /// Those of Istio's `vmConfig.env`.
    pub(super) fn of_istio(list: Option<&'t Node>) -> Self {
        let mut variables = Self::default();
        for entry in list.map_or(&[][..], Node::items) {
            let Some(name) = entry.text_at(&["name"]) else { continue };
            if entry.text_at(&["valueFrom"]) == Some("HOST") {
                variables.inherited.push((name, entry.line));
            } else {
                let (value, line) =
                    entry.at(&["value"]).map_or((None, entry.line), |value| (scalar(value), value.line));
                variables.stated.push((name, value.unwrap_or_default(), line));
            }
        }
        variables
    }

    /// Those of Envoy Gateway's `env.hostKeys`.
    pub(super) fn of_gateway(keys: Option<&'t Node>) -> Self {
        Self { inherited: names(keys), ..Self::default() }
    }

    /// The value of one, as the filter asks for it.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let stated = self.stated.iter().find(|(known, ..)| *known == name);
        let is_inherited = || self.takes_all || self.inherits(name);
        let of_process = || is_inherited().then(|| std::env::var(name).ok()).flatten();
        stated.map(|(_, value, _)| value.clone()).or_else(of_process)
    }

    /// Whether the VM takes it from the proxy's own environment.
    pub(super) fn inherits(&self, name: &str) -> bool {
        self.inherited.iter().any(|(known, _)| *known == name)
    }

    /// The line that gives it.
    pub(super) fn line(&self, name: &str) -> Option<usize> {
        let stated = self.stated.iter().find(|(known, ..)| *known == name).map(|(.., line)| *line);
        let inherited = || self.inherited.iter().find(|(known, _)| *known == name).map(|(_, line)| *line);
        stated.or_else(inherited)
    }
}

fn names(list: Option<&Node>) -> Vec<(&str, usize)> {
    let items = list.map_or(&[][..], Node::items);
    items.iter().filter_map(|item| Some((item.text()?, item.line))).collect()
}

/// A text, or what YAML takes for a number or a flag where a text is meant.
fn scalar(node: &Node) -> Option<String> {
    match node.value() {
        tracewarden::settings::Value::Text(text) => Some(text),
        tracewarden::settings::Value::List(_) | tracewarden::settings::Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}
