//! The environment variables that the filter reads.

use std::fmt::Write;

/// The variable, the fields it is the default of, its values, and what happens with a bad one.
type Variable = (&'static str, &'static str, &'static str, &'static str);

const NOTED: &str = "counts as unset, and is logged";
const REFUSED: &str = "refused";

const VARIABLES: &[Variable] = &[
    ("ENABLE_DISTRIBUTED_TRACING", "`enabled`", "`true` or `false`, in upper or lower case", REFUSED),
    (
        "TRACE_SAMPLING_RATE",
        "`sampling.probability`",
        "a number from 0 to 1. It overrides `OTEL_TRACES_SAMPLER_ARG`",
        REFUSED,
    ),
    ("TRACE_HEADER_NAME", "`header`", "a [header name](#header-name)", REFUSED),
    ("TRACE_LOG_FORMAT", "`log.format`", "a text with `%(trace_id)s` and `%(span_id)s`", REFUSED),
    (
        "TRACEWARDEN_ON_BAD_CONFIG",
        "no field",
        "`refuse` or `bypass`: what happens with [a bad configuration](#a-bad-configuration)",
        "refused, an empty one too",
    ),
    (
        "OTEL_PROPAGATORS",
        "`propagation.extract`, and `propagation.inject` without the formats that are only read",
        "[formats](#format) with commas between them. `baggage` is ignored, and `none` alone means no format",
        "is left out, and is logged",
    ),
    (
        "OTEL_TRACES_SAMPLER",
        "`sampling.parent`, `sampling.probability`",
        "`always_on`, `always_off` and `traceidratio` (`\"ignore\"`), and the same after `parentbased_` (`\"respect\"`)",
        NOTED,
    ),
    (
        "OTEL_TRACES_SAMPLER_ARG",
        "`sampling.probability`",
        "a number from 0 to 1, for `traceidratio` and `parentbased_traceidratio`",
        NOTED,
    ),
    ("OTEL_SERVICE_NAME", "`service.name`", "a text", "there is none"),
    (
        "OTEL_RESOURCE_ATTRIBUTES",
        "`service.attributes`, and without `OTEL_SERVICE_NAME` `service.name`",
        "`name=value` with commas between them, percent-encoded",
        NOTED,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "no field",
        "headers of every upload over OTLP, such as a key: `name=value` with commas between them, percent-encoded",
        "counts as unset, or as without the header that cannot be sent, and is logged without its value",
    ),
    (
        "OTEL_EXPORTER_OTLP_HEADERS",
        "no field",
        "the same, if `OTEL_EXPORTER_OTLP_TRACES_HEADERS` has none",
        "the same",
    ),
];

pub(super) fn table() -> String {
    let mut table = "| variable | default of | value | a bad one |\n|---|---|---|---|\n".to_owned();
    for (name, fields, value, bad) in VARIABLES {
        let _ = writeln!(table, "| `{name}` | {fields} | {value} | {bad} |");
    }
    table
}
