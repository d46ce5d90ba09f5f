//! Notes: to be known, and in order.

use super::{Code, Example, Severity, codes};

codes! {
    DISABLED = "TW0301" Note "The plugin is switched off" {
        meaning: "With `enabled: false` it changes nothing and counts nothing. Istio's case `pull` does so on purpose.",
        example: Json("{\"enabled\": false}\n"),
        fix: "Nothing, if that is meant. `mode: observe` counts and changes nothing.",
    }
    NOT_HERE = "TW0302" Note "The configuration of a discovered filter is not in the input" {
        meaning: "A connection manager has a filter by `config_discovery`, whose name says that it is Tracewarden's. The resource of \
                  that name is in none of the files, so it was not judged. In a `config_dump` Envoy has not received it.",
        example: Yaml(include_str!("examples/TW0302.yaml")),
        fix: "Check the file of the resource in the same run: `tracewarden check listeners.yaml extensions.yaml`.",
    }
}
