//! Warnings: the filter does not run where it seems to, or a part of its configuration does nothing there.

use super::{Code, Example, Severity, codes};

codes! {
    NO_FILTER = "TW0211" Warning "A listener runs without the filter" {
        meaning: "An HTTP connection manager has no filter of Tracewarden, and others of the same file or dump do. Its requests are not \
                  counted. If a filter there judges whose context counts, an outsider's context passes here. Nothing is said \
                  if a cluster of the file has the filter, or if a discovered filter is not known. [What runs in this \
                  Envoy](check.md#what-runs-in-this-envoy) has more.",
        example: Yaml(include_str!("examples/TW0211.yaml")),
        fix: "Add the filter to that listener. If it is meant, as for a listener of health checks, allow it: `--allow TW0211`.",
    }
    NO_TRUST = "TW0212" Warning "A virtual host or route disables the filter, and its trust" {
        meaning: "`typed_per_filter_config` disables the filter there, or enables none of those that are disabled by default. One of \
                  them has `trust.default: untrusted`. The context of any sender passes there.",
        example: Yaml(include_str!("examples/TW0212.yaml")),
        fix: "Leave one filter on for each virtual host. For another policy there, add a second filter, which is disabled by default, and \
              enable that one.",
    }
    ROUTE_WITHOUT = "TW0213" Warning "A virtual host or route runs without the filter" {
        meaning: "`typed_per_filter_config` disables the filter there, or enables none of those that are disabled by default. Requests \
                  are not counted there. No trust is lost: no filter there has any, or no request goes on to an upstream.",
        example: Yaml(include_str!("examples/TW0213.yaml")),
        fix: "Remove the override, or enable another filter there. If it is meant, allow it: `--allow TW0213`.",
    }
    NEVER_ENABLED = "TW0214" Warning "A filter is disabled, and no route enables it" {
        meaning: "The filter has `disabled: true` in its connection manager, and no route of its table enables it. It never runs. \
                  Nothing is said if the table is not in the input.",
        example: Yaml(include_str!("examples/TW0214.yaml")),
        fix: "Enable it where it is meant to run, or remove `disabled`. In `typed_per_filter_config`, an empty `config` in a \
              `FilterConfig` enables a filter.",
    }
    NO_MATCH = "TW0215" Warning "An entry matches no request" {
        meaning: "An entry of `sampling.rules`, `egress` or `exclude` cannot match here. It has another direction than the configuration \
                  or the listener, a host with a port, a path with a query or without a slash at the start, or a `path` that does not \
                  begin with its own `path_prefix`.",
        example: Json("{\"direction\": \"inbound\", \"egress\": [{\"match\": {\"direction\": \"outbound\"}, \"strip\": \"all\"}]}\n"),
        fix: "Correct the condition that the message names, or remove the entry.",
    }
    BEHIND = "TW0216" Warning "Another entry takes all that this one matches" {
        meaning: "The first entry of `sampling.rules` and `egress` that matches counts, and an earlier one matches every request of this one. \
                  In `exclude` and `trust.trusted` each entry counts, and another one matches everything that this one does. \
                  Only what is certain is said: two regular expressions are compared as texts. The first 1,000 entries of a list are \
                  compared.",
        example: Yaml(include_str!("examples/TW0216.yaml")),
        fix: "Move the special entry before the general one, or remove it.",
    }
    NO_BUDGET = "TW0217" Warning "A budget of traces is zero, or limits nothing" {
        meaning: "With a budget of 0 no trace is sampled, though a probability is stated. A budget above 0 does nothing if every probability \
                  is 0.",
        example: Json("{\"sampling\": {\"probability\": 0, \"max_traces_per_second_per_worker\": 100}}\n"),
        fix: "Remove the one of the two that is not meant.",
    }
    NO_SENDER = "TW0218" Warning "A trusted sender can never match" {
        meaning: "`trust.trusted` names a sender by the URI in its certificate. No filter chain in which the plugin runs asks clients for a \
                  certificate: there is no TLS, or it has neither `require_client_certificate` nor a validation context.",
        example: Yaml(include_str!("examples/TW0218.yaml")),
        fix: "Let the listener ask for certificates and validate them, or name the sender by `cidr` or by `header`.",
    }
    OBSERVED = "TW0219" Warning "Fields do nothing in `mode: observe`" {
        meaning: "`mode: observe` changes no header, decides about no trace and records no span. So `sampling.rules`, \
                  `propagation.remove`, `egress` and `export` do nothing.",
        example: Json("{\"mode\": \"observe\", \"export\": {\"otlp\": {\"cluster\": \"otel_collector\"}}}\n"),
        fix: "Remove them, or say `mode: enforce`. If the file is to be enforced later, allow it: `--allow TW0219`.",
    }
    NO_SOURCE = "TW0220" Warning "No sender's `x-request-id` gives a trace-id" {
        meaning: "With `trace_id_source: x-request-id` the header of a sender that is not trusted is ignored, and `trust` trusts nobody. Every \
                  trace that starts here has a random id.",
        example: Json(
            "{\"trace_id_source\": \"x-request-id\", \"trust\": {\"default\": \"untrusted\"}}\n"
        ),
        fix: "List the senders in `trust.trusted`, or remove `trace_id_source`.",
    }
    REMOTE = "TW0221" Warning "Envoy fetches the module from a server" {
        meaning: "`code.remote` is fetched when the configuration comes. If the server does not answer then, Envoy does not try again, and \
                  the filter does not run until the configuration is replaced. Nothing is said of Istio's `EnvoyFilter`: its agent \
                  fetches the module and keeps it.",
        example: Yaml(include_str!("examples/TW0221.yaml")),
        fix: "Put the module on the machine, in a file whose name has its version, and name it in `code.local.filename`.",
    }
    BORDER_POLICY = "TW0222" Warning "The failure policy does not suit a border" {
        meaning: "The plugin judges whose context counts at `role: edge`. With `FAIL_OPEN`, a filter that cannot run lets the context of \
                  outsiders pass. With `FAIL_CLOSED`, which is the default, a worker whose filter has trapped answers 503 to all its requests.",
        example: Yaml(include_str!("examples/TW0222.yaml")),
        fix: "Set `failure_policy: FAIL_RELOAD`, with the module in a local file.",
    }
    OTHER_FILTER = "TW0223" Warning "The resource of a discovered filter is another filter" {
        meaning: "A connection manager has a filter by `config_discovery`, whose name says that it is Tracewarden's. The resource of \
                  that name is no filter of Tracewarden. Istio's agent sends such a resource if it could not get the module: one \
                  that lets every request pass, or refuses each.",
        example: Yaml(include_str!("examples/TW0223.yaml")),
        fix: "Look for the reason in the log of Istio's agent: [Not pulled](runbook.md#not-pulled). Without Istio, correct the resource.",
    }
}
