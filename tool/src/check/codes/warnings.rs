//! Warnings: the filter takes the configuration, and hardly does what is meant.

use super::{Code, Example, Severity, codes};

codes! {
    IGNORED_VARIABLE = "TW0201" Warning "A variable of OpenTelemetry is ignored" {
        meaning: "A variable whose name begins with `OTEL_` has a value that cannot be read. It counts as unset, as OpenTelemetry \
                  says, and the filter's log has the same message.",
        example: Yaml(include_str!("examples/TW0201.yaml")),
        fix: "Correct the value, or remove the variable.",
    }
    TWO_TRACES = "TW0202" Warning "One request can carry two traces" {
        meaning: "The filter is in `http_filters`, enforces, and writes more than `tracecontext`. Its connection manager has a tracer, \
                  which writes its own context afterwards. [Two traces in one request](coexistence.md#two-traces-in-one-request) \
                  has what follows.",
        example: Yaml(include_str!("examples/TW0202.yaml")),
        fix: "Move the filter to the router's `upstream_http_filters`, set `no_context_propagation: true` in that tracing (from Envoy \
              1.38 on), or remove the tracer.",
    }
    UPSTREAM = "TW0203" Warning "An upstream filter has export or correlation" {
        meaning: "Envoy tells an upstream filter of no stream's end. So `export` records no span under the parent-ids that it writes, \
                  and `correlation` counts each attempt of a request as another one. [After the tracer](coexistence.md#after-the-tracer) \
                  has the rest of what differs there.",
        example: Yaml(include_str!("examples/TW0203.yaml")),
        fix: "Remove both from the upstream filter.",
    }
    REPAIRS_NOTHING = "TW0204" Warning "The filter enforces, but repairs nothing" {
        meaning: "With `start: never` no trace starts here, and without `correlation` no lost context is given back. Corrupt headers \
                  are removed, and responses name the trace; otherwise it does what `mode: observe` does. Nothing is said of a plugin \
                  that has another task, such as `export`, `egress`, `trust` or other formats.",
        example: Json("{\"start\": \"never\"}\n"),
        fix: "Add [`correlation`](recovery.md#correlation) on both sides of the pod, or say `mode: observe`. At a waypoint, which has no \
              outbound side, allow it: `--allow TW0204`.",
    }
    IMAGE_NOT_SET = "TW0205" Warning "The image was never set" {
        meaning: "The plugin still has the address or the digest of the manifests, which stand for your own. A proxy cannot pull that, \
                  and with `FAIL_OPEN` requests then pass uncounted.",
        example: Yaml(include_str!("examples/TW0205.yaml")),
        fix: "Push the image, and set `url` and `sha256`: [Your own image](istio.md#your-own-image).",
    }
    NO_DIGEST = "TW0206" Warning "The image has no digest" {
        meaning: "Without `sha256` a proxy loads whatever has this address when it pulls. A tag that was moved is then another module.",
        example: Yaml(include_str!("examples/TW0206.yaml")),
        fix: "Set `sha256` to the digest that `make image` prints: [By digest](istio.md#by-digest).",
    }
    ONE_SIDE = "TW0207" Warning "Correlation is on one side only" {
        meaning: "The inbound side of a pod remembers traces, and the outbound side looks them up. One without the other costs memory or \
                  time and gives nothing back. It is said if no plugin of the same Envoy configuration, or for the same workloads in all \
                  files together, has the other side. `direction: auto` is both sides. Nothing is said of a configuration alone.",
        example: Yaml(include_str!("examples/TW0207.yaml")),
        fix: "Add `correlation` to the plugin of the other side, with the same `slots`, and check both files together.",
    }
    NO_FIRST_SPAN = "TW0208" Warning "Traces start with a span that nobody records" {
        meaning: "At `role: edge` with `start: always`, requests from outside start traces here. Neither `export` nor a tracer of Envoy \
                  records the span that they begin with. A backend shows each of these traces with a missing parent. SDKs behind the edge that \
                  follow their parent record what is sampled here: with the default, everything. A plugin with `role: internal` starts \
                  traces only for losses, and nothing is said of it.",
        example: Json("{\"role\": \"edge\", \"sampling\": {\"probability\": 0.1}}\n"),
        fix: "Record the span with [`export`](spans.md), or let the first service start the trace with `start: never`. If Istio's tracing \
              records these requests, check its `Telemetry` in the same run, or allow it: `--allow TW0208`.",
    }
    SAMPLES_ALL = "TW0209" Warning "An edge samples everything without a limit" {
        meaning: "Every trace that starts at this edge is sampled. `sampling.probability` is 1, which is the default, no rule has less, \
                  and there is no rate limit. The collector and the backend then receive as much as outsiders send.",
        example: Json("{\"role\": \"edge\", \"export\": {\"otlp\": {\"cluster\": \"otel_collector\"}}}\n"),
        fix: "Say a lower [`sampling.probability`](sampling.md), or set `sampling.max_traces_per_second`.",
    }
    OTHER_SLOTS = "TW0210" Warning "The two sides of correlation have different slots" {
        meaning: "Both sides find an entry by its hash and the number of `slots`. With different numbers the outbound side looks in other \
                  places than the inbound side has written to, and finds next to nothing.",
        example: Yaml(include_str!("examples/TW0210.yaml")),
        fix: "Give both sides the same `slots`.",
    }
}
