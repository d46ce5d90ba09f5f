//! The other formats: what each of them carries in, and how it is written.

use proxy_wasm_test_framework::HeaderMap;

use crate::scenarios::support::{Line, Outcome, Scenario};

pub(crate) const W3C: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const T32: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const LOW: &str = "0000000000000000a3ce929d0e0e4736";

/// What the upstream must receive as `traceparent`.
enum Sent {
    /// This trace-id, parent-id and flags.
    Context(&'static str, &'static str, &'static str),
    /// This trace-id and flags, with a parent-id of this hop.
    NoParent(&'static str, &'static str),
    /// A new trace with these flags, after nothing or after a corruption with this reason.
    New(&'static str, Option<&'static str>),
}
use Sent::{Context, New, NoParent};

pub(crate) type Headers = &'static [(&'static str, &'static str)];

/// The cross-format vectors: rules and vector, formats in order, what comes in, what goes on. An open decision is taken
/// with probability 1.
#[rustfmt::skip]
const VECTORS: &[(&str, &str, Headers, Sent)] = &[
    ("B3-02 X01", "b3", &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1")], Context(T32, S16, "01")),
    ("B3-02 B3-07 X02", "b3", &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d")], Context(T32, S16, "01")),
    ("B3-02 X03", "b3", &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7")], Context(T32, S16, "01")),
    ("B3-08 TP-44 X04", "b3", &[("b3", "a3ce929d0e0e4736-00f067aa0ba902b7-0")], Context(LOW, S16, "00")),
    ("B3-10 B3-11 X05", "b3", &[("b3", "0")], New("02", None)),
    ("B3-10", "b3", &[("b3", "1")], New("03", None)),
    ("B3-10", "b3", &[("b3", "d")], New("03", None)),
    ("B3-05 X06", "b3", &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736")], New("03", Some("b3 shape"))),
    ("B3-05 X07", "b3", &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-")], New("03", Some("b3 sampled"))),
    ("B3-05 X08", "b3", &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-05e3ac9a4f6e3b90")], New("03", Some("b3 sampled"))),
    ("B3-02 X09", "b3", &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1-05e3ac9a4f6e3b90")], Context(T32, S16, "01")),
    ("B3-02", "b3", &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1-05e3ac9a4f6e3b90-")], New("03", Some("b3 shape"))),
    ("B3-01", "b3", &[("b3", "4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-1")], New("03", Some("b3 trace_id"))),
    ("B3-08", "b3", &[("b3", "0000000000000000-00f067aa0ba902b7-1")], New("03", Some("b3 trace_id"))),
    ("B3-08", "b3", &[("b3", "a3ce929d0e0e4736-0000000000000000-1")], New("03", Some("b3 span_id"))),
    ("repeated", "b3", &[("b3", "0"), ("b3", "0")], New("03", Some("b3 repeated"))),
    ("B3-01", "b3multi", &[("X-B3-TraceId", T32), ("X-B3-SpanId", S16), ("X-B3-Sampled", "0")], Context(T32, S16, "00")),
    ("B3-01", "b3multi", &[("X-B3-TraceId", T32), ("X-B3-SpanId", S16)], Context(T32, S16, "01")),
    ("B3-03 X10", "b3 b3multi", &[("b3", "bad"), ("X-B3-TraceId", T32), ("X-B3-SpanId", S16), ("X-B3-Sampled", "1")], Context(T32, S16, "01")),
    ("B3-03", "b3 b3multi", &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1"), ("X-B3-TraceId", T32), ("X-B3-SpanId", "1111111111111111")], Context(T32, S16, "01")),
    ("B3-06 X11", "b3multi", &[("X-B3-TraceId", T32), ("X-B3-SpanId", S16), ("X-B3-Sampled", "true")], Context(T32, S16, "01")),
    ("B3-06 X12", "b3multi", &[("X-B3-TraceId", T32), ("X-B3-SpanId", S16), ("X-B3-Sampled", "")], Context(T32, S16, "01")),
    ("B3-07 X13", "b3multi", &[("X-B3-TraceId", T32), ("X-B3-SpanId", S16), ("X-B3-Sampled", "0"), ("X-B3-Flags", "1")], Context(T32, S16, "01")),
    ("B3-05 X14", "b3multi", &[("X-B3-TraceId", T32)], New("03", Some("x-b3-spanid span_id"))),
    ("B3-05", "b3multi", &[("X-B3-SpanId", S16)], New("03", Some("x-b3-traceid trace_id"))),
    ("B3-06", "b3multi", &[("X-B3-TraceId", T32), ("X-B3-SpanId", S16), ("X-B3-Sampled", "yes")], New("03", Some("x-b3-sampled sampled"))),
    ("B3-05, border B5", "b3multi", &[("X-B3-TraceId", T32), ("X-B3-SpanId", S16), ("X-B3-Sampled", "1,1")], New("03", Some("x-b3-traceid repeated"))),
    ("B3-05, border B5", "b3multi", &[("X-B3-TraceId", "4bf92f3577b34da6a3ce929d0e0e4736,4bf92f3577b34da6a3ce929d0e0e4736"), ("X-B3-SpanId", S16)], New("03", Some("x-b3-traceid repeated"))),
    ("B3-05, border B5", "b3", &[("b3", "0,0")], New("03", Some("b3 repeated"))),
    ("B3-04", "b3multi", &[("X-B3-Sampled", "0"), ("X-B3-Sampled", "1")], New("02", None)),
    ("JA-01 JA-02 X15", "jaeger", &[("uber-trace-id", "abcdef:1:0:1")], Context("00000000000000000000000000abcdef", "0000000000000001", "01")),
    ("JA-01 X16", "jaeger", &[("uber-trace-id", "abcdef%3A1%3a0%3A1")], Context("00000000000000000000000000abcdef", "0000000000000001", "01")),
    ("JA-01 X17", "jaeger", &[("uber-trace-id", "abcdef:1:1")], New("03", Some("uber-trace-id shape"))),
    ("JA-02 X18", "jaeger", &[("uber-trace-id", "0:1:0:1")], New("03", Some("uber-trace-id trace_id"))),
    ("JA-04 X19", "jaeger", &[("uber-trace-id", "abcdef:1:0:3")], Context("00000000000000000000000000abcdef", "0000000000000001", "01")),
    ("JA-04 JA-06", "jaeger", &[("uber-trace-id", "ABCDEF:1:0:2")], Context("00000000000000000000000000abcdef", "0000000000000001", "00")),
    ("JA-02", "jaeger", &[("uber-trace-id", "1234567890123456789012345678901234:1:0:1")], New("03", Some("uber-trace-id trace_id"))),
    ("XR-02 X20", "xray", &[("X-Amzn-Trace-Id", "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1")], Context(T32, S16, "01")),
    ("XR-01 X21", "xray", &[("X-Amzn-Trace-Id", "Sampled=0; Parent=00F067AA0BA902B7 ;Root=1-4bf92f35-77b34da6a3ce929d0e0e4736")], Context(T32, S16, "00")),
    ("XR-03 X22", "xray", &[("X-Amzn-Trace-Id", "Root=1-67891233-abcdef012345678912345678")], NoParent("67891233abcdef012345678912345678", "01")),
    ("XR-04 X24", "xray", &[("X-Amzn-Trace-Id", "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=?")], Context(T32, S16, "01")),
    ("XR-02 X25", "xray", &[("X-Amzn-Trace-Id", "Root=2-4bf92f35-77b34da6a3ce929d0e0e4736")], New("03", Some("x-amzn-trace-id trace_id"))),
    ("XR-02, border D3", "xray", &[("X-Amzn-Trace-Id", "Root=1-0-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1")], Context("0000000077b34da6a3ce929d0e0e4736", S16, "01")),
    ("XR-02, border D3", "xray", &[("X-Amzn-Trace-Id", "Root=1-1a-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1")], Context("0000001a77b34da6a3ce929d0e0e4736", S16, "01")),
    ("XR-02", "xray", &[("X-Amzn-Trace-Id", "Root=1--77b34da6a3ce929d0e0e4736")], New("03", Some("x-amzn-trace-id trace_id"))),
    ("XR-01", "xray", &[("X-Amzn-Trace-Id", "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent")], New("03", Some("x-amzn-trace-id shape"))),
    ("repeated", "xray", &[("X-Amzn-Trace-Id", "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Sampled=1,Root=1-4bf92f35-77b34da6a3ce929d0e0e4737;Sampled=0")], New("03", Some("x-amzn-trace-id repeated"))),
    ("XR-07", "xray", &[("X-Amzn-Trace-Id", "Rootx=1-4bf92f35-77b34da6a3ce929d0e0e4736")], New("03", Some("x-amzn-trace-id trace_id"))),
    ("GC-01 X26", "gcp", &[("X-Cloud-Trace-Context", "4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=1")], Context(T32, S16, "01")),
    ("GC-02 X27", "gcp", &[("X-Cloud-Trace-Context", "4bf92f3577b34da6a3ce929d0e0e4736/18446744073709551616;o=1")], New("03", Some("x-cloud-trace-context span_id"))),
    ("GC-02 X28", "gcp", &[("X-Cloud-Trace-Context", "4bf92f3577b34da6a3ce929d0e0e4736/0;o=1")], NoParent(T32, "01")),
    ("GC-03 X29", "gcp", &[("X-Cloud-Trace-Context", "4bf92f3577b34da6a3ce929d0e0e4736/1")], Context(T32, "0000000000000001", "01")),
    ("GC-03", "gcp", &[("X-Cloud-Trace-Context", "4bf92f3577b34da6a3ce929d0e0e4736/1;o=0")], Context(T32, "0000000000000001", "00")),
    ("GC-02", "gcp", &[("X-Cloud-Trace-Context", "4bf92f3577b34da6a3ce929d0e0e4736")], NoParent(T32, "01")),
    ("GC-01, border B4", "gcp", &[("X-Cloud-Trace-Context", "4BF92F3577B34DA6A3CE929D0E0E4736/67667974448284343;o=1")], Context(T32, S16, "01")),
    ("GC-03, border B4", "gcp", &[("X-Cloud-Trace-Context", "4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;")], Context(T32, S16, "01")),
    ("GC-01", "gcp", &[("X-Cloud-Trace-Context", "4bf92f35")], New("03", Some("x-cloud-trace-context trace_id"))),
    ("DD-01 DD-02 X30", "datadog", &[("x-datadog-trace-id", "11803532876627986230"), ("x-datadog-parent-id", "67667974448284343"), ("x-datadog-sampling-priority", "1"), ("x-datadog-tags", "_dd.p.dm=-1,_dd.p.tid=4bf92f3577b34da6")], Context(T32, S16, "01")),
    ("DD-02 X31", "datadog", &[("x-datadog-trace-id", "11803532876627986230"), ("x-datadog-parent-id", "67667974448284343"), ("x-datadog-sampling-priority", "-1")], Context(LOW, S16, "00")),
    ("DD-02", "datadog", &[("x-datadog-trace-id", "11803532876627986230"), ("x-datadog-parent-id", "67667974448284343"), ("x-datadog-sampling-priority", "-2")], Context(LOW, S16, "00")),
    ("DD-02 X32", "datadog", &[("x-datadog-trace-id", "11803532876627986230"), ("x-datadog-parent-id", "67667974448284343"), ("x-datadog-tags", "_dd.p.tid=4BF92F3577B34DA6")], Context(LOW, S16, "01")),
    ("DD-02 X32", "datadog", &[("x-datadog-trace-id", "11803532876627986230"), ("x-datadog-parent-id", "67667974448284343"), ("x-datadog-tags", "_dd.p.tid=4bf92f3577b34da")], Context(LOW, S16, "01")),
    ("DD-01 X33", "datadog", &[("x-datadog-trace-id", "0")], New("03", Some("x-datadog-trace-id trace_id"))),
    ("DD-01 X33", "datadog", &[("x-datadog-trace-id", "-1")], New("03", Some("x-datadog-trace-id trace_id"))),
    ("DD-01 X33", "datadog", &[("x-datadog-trace-id", "18446744073709551616")], New("03", Some("x-datadog-trace-id trace_id"))),
    ("DD-01 X33", "datadog", &[("x-datadog-trace-id", "0xab")], New("03", Some("x-datadog-trace-id trace_id"))),
    ("DD-01", "datadog", &[("x-datadog-trace-id", "11803532876627986230"), ("x-datadog-parent-id", "0")], NoParent(LOW, "01")),
    ("DD-03", "datadog", &[("x-datadog-trace-id", "1"), ("x-datadog-parent-id", "1"), ("x-datadog-sampling-priority", "yes")], New("03", Some("x-datadog-sampling-priority sampled"))),
    ("DD-01, border B5", "datadog", &[("x-datadog-trace-id", "1"), ("x-datadog-parent-id", "x")], New("03", Some("x-datadog-parent-id span_id"))),
    ("OTT-02 X36", "ottrace", &[("ot-tracer-traceid", "a3ce929d0e0e4736"), ("ot-tracer-spanid", S16), ("ot-tracer-sampled", "TRUE")], Context(LOW, S16, "01")),
    ("OTT-02", "ottrace", &[("ot-tracer-traceid", T32), ("ot-tracer-spanid", S16), ("ot-tracer-sampled", "")], Context(T32, S16, "00")),
    ("OTT-02", "ottrace", &[("ot-tracer-traceid", T32), ("ot-tracer-spanid", S16), ("ot-tracer-sampled", "maybe")], New("03", Some("ot-tracer-sampled sampled"))),
    ("OTT-01, border D2", "ottrace", &[("ot-tracer-traceid", LOW16), ("ot-tracer-spanid", "f067aa0ba902b7")], Context(LOW, S16, "01")),
    ("OTT-01", "ottrace", &[("ot-tracer-traceid", LOW16), ("ot-tracer-spanid", "00000f067aa0ba902b7")], New("03", Some("ot-tracer-spanid span_id"))),
    ("OTT-01", "ottrace", &[("ot-tracer-spanid", S16)], New("03", Some("ot-tracer-traceid trace_id"))),
    ("GB-02 X38", "grpc_trace_bin", &[("grpc-trace-bin", "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE=")], Context(T32, S16, "01")),
    ("GB-01", "grpc_trace_bin", &[("grpc-trace-bin", "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE")], Context(T32, S16, "01")),
    ("GB-04", "grpc_trace_bin", &[("grpc-trace-bin", "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgA")], Context(T32, S16, "00")),
    ("GB-03 X39", "grpc_trace_bin", &[("grpc-trace-bin", "AA==")], New("03", Some("grpc-trace-bin trace_id"))),
    ("GB-03", "grpc_trace_bin", &[("grpc-trace-bin", "AABL+S81d7NNpqPOkp0O")], New("03", Some("grpc-trace-bin shape"))),
    ("GB-03", "grpc_trace_bin", &[("grpc-trace-bin", "AQBL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE")], New("03", Some("grpc-trace-bin shape"))),
    ("SW-02 X40", "sw8", &[("sw8", "1-NGJmOTJmMzU3N2IzNGRhNmEzY2U5MjlkMGUwZTQ3MzY=-c2Vn-3-c2VydmljZQ==-aW5zdGFuY2U=-L2FwaQ==-MTI3LjAuMC4xOjgwODA=")], NoParent(T32, "01")),
    ("SW-02", "sw8", &[("sw8", "1-dHJhY2U=-c2Vn-3-c2VydmljZQ==-aW5zdGFuY2U=-L2FwaQ==-MTI3LjAuMC4xOjgwODA=")], New("03", None)),
    ("SW-02, border D4", "sw8", &[("sw8", "1-NGJmOTJmMzU3N2IzNGRhNmEzY2U5MjlkMGUwZTQ3MzY=-c2Vn-x-c2VydmljZQ==-aW5zdGFuY2U=-L2FwaQ==-MTI3LjAuMC4xOjgwODA=")], New("03", Some("sw8 span_id"))),
    ("SW-01 SW-04", "sw8", &[("sw8", "1-dHJhY2U=")], New("03", Some("sw8 shape"))),
];
const S16: &str = "00f067aa0ba902b7";
const LOW16: &str = "a3ce929d0e0e4736";

#[test]
fn every_format_is_read_as_its_rules_say() {
    for (id, formats, headers, sent) in VECTORS {
        let formats: Vec<&str> = formats.split(' ').collect();
        let config = config(&formats, &["tracecontext"]);
        let outcome = run(&config, headers);
        let name = format!("{id}: {headers:?}");
        let traceparent = only(&name, &outcome.request, "traceparent");
        let [_, trace_id, parent_id, flags] = pieces(&traceparent);
        match sent {
            Context(trace, parent, sampled) => {
                assert_eq!((trace_id, parent_id, flags), (*trace, *parent, *sampled), "{name}");
            }
            NoParent(trace, sampled) => assert_eq!((trace_id, flags), (*trace, *sampled), "{name}"),
            New(sampled, reason) => {
                assert_eq!(flags, *sampled, "{name}");
                assert!(trace_id != T32 && trace_id != LOW, "{name}");
                let corrupt = outcome.counters.iter().find(|counter| counter.starts_with("corrupt"));
                let expected = reason.map(|reason| format!("corrupt inbound {reason}"));
                assert_eq!(corrupt, expected.as_ref(), "{name}");
            }
        }
    }
}

#[test]
fn every_format_is_written_as_its_rules_say() {
    let rows: &[(&str, &str, Headers, Headers)] = &[
        ("B3-09", "b3", &[], &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1")]),
        (
            "B3-09",
            "b3multi",
            &[("x-b3-parentspanid", "1111111111111111"), ("x-b3-flags", "1")],
            &[("x-b3-traceid", T32), ("x-b3-spanid", S16), ("x-b3-sampled", "1")],
        ),
        (
            "JA-03",
            "jaeger",
            &[],
            &[("uber-trace-id", "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1")],
        ),
        (
            "XR-05 XR-06 X23",
            "xray",
            &[(
                "x-amzn-trace-id",
                "Self=1-67891234-12456789abcdef0123456789;Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;CalledFrom=app; Lineage=a:1",
            )],
            &[(
                "x-amzn-trace-id",
                "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1;\
                 Self=1-67891234-12456789abcdef0123456789;CalledFrom=app;Lineage=a:1",
            )],
        ),
        (
            "GC-04",
            "gcp",
            &[],
            &[("x-cloud-trace-context", "4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=1")],
        ),
        (
            "DD-04 DD-09",
            "datadog",
            &[
                ("x-datadog-trace-id", "11803532876627986230"),
                ("x-datadog-sampling-priority", "2"),
                ("x-datadog-tags", "_dd.p.dm=-4,other=1,_dd.p.tid=4bf92f3577b34da6"),
            ],
            &[
                ("x-datadog-trace-id", "11803532876627986230"),
                ("x-datadog-parent-id", "67667974448284343"),
                ("x-datadog-sampling-priority", "2"),
                ("x-datadog-tags", "_dd.p.tid=4bf92f3577b34da6,_dd.p.dm=-4"),
            ],
        ),
        (
            "DD-09",
            "datadog",
            &[("x-datadog-sampling-priority", "-1")],
            &[("x-datadog-sampling-priority", "1"), ("x-datadog-tags", "_dd.p.tid=4bf92f3577b34da6")],
        ),
        (
            "OTT-03 X37",
            "ottrace",
            &[],
            &[
                ("ot-tracer-traceid", "a3ce929d0e0e4736"),
                ("ot-tracer-spanid", S16),
                ("ot-tracer-sampled", "true"),
            ],
        ),
        ("GB-04", "grpc_trace_bin", &[], &[("grpc-trace-bin", "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE")]),
    ];
    for (rule, format, came, goes) in rows {
        let config = config(&["tracecontext"], &[format]);
        let request: Vec<(&str, &str)> = [&[("traceparent", W3C)], *came].concat();
        let outcome = run(&config, &request);
        for (header, value) in *goes {
            assert_eq!(only(rule, &outcome.request, header), *value, "{rule}: {header}");
        }
        let gone = ["x-b3-parentspanid", "x-b3-flags"];
        assert!(gone.iter().all(|header| outcome.request.get(header).is_none()), "{rule}");
        assert_eq!(
            outcome.request.lines("traceparent"),
            [W3C.as_bytes()],
            "{rule}: not written, not touched"
        );
    }
}

#[test]
fn what_a_load_balancer_says_goes_on_as_far_as_there_is_room() {
    const OWN: &str = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1";
    for (length, is_kept) in [(256, true), (257, false)] {
        let extra = format!("Self={}", "1".repeat(length - OWN.len() - ";Self=".len()));
        let came = format!("{extra};Root=1-4bf92f35-77b34da6a3ce929d0e0e4736");
        let request = [("traceparent", W3C), ("x-amzn-trace-id", came.as_str())];
        let outcome = run(&config(&["tracecontext"], &["xray"]), &request);
        let expected = if is_kept { format!("{OWN};{extra}") } else { OWN.to_owned() };
        assert_eq!(only("XR-05 XR-06", &outcome.request, "x-amzn-trace-id"), expected, "{length} bytes");
    }
}

#[test]
fn a_format_without_room_for_the_trace_id_says_nothing() {
    const HALF: &str = "00-0af7651916cd43dd0000000000000000-b7ad6b7169203331-01";
    let rows = [("ottrace", "ot-tracer-traceid", "1"), ("datadog", "x-datadog-trace-id", "1")];
    for (format, header, value) in rows {
        let config = config(&["tracecontext"], &["tracecontext", format]);
        let outcome = run(&config, &[("traceparent", HALF), (header, value)]);
        assert_eq!(outcome.request.get(header), None, "{format}: a trace-id of zeros is none");
        assert_eq!(only("what goes on", &outcome.request, "traceparent"), HALF, "{format}");
    }
}

#[test]
fn datadogs_priority_is_reconciled_with_the_sampled_flag() {
    // X34, X35, DD-05, DD-06: the flag, Datadog's member of the tracestate, the priority that goes out.
    let rows = [
        ("01", "dd=s:-1", "1"),
        ("00", "dd=s:-1", "-1"),
        ("01", "dd=s:2;o:rum", "2"),
        ("00", "dd=s:1", "0"),
        ("01", "a=1", "1"),
        ("01", "dd=o:rum;s:x", "1"),
    ];
    let config = config(&["tracecontext"], &["tracecontext", "datadog"]);
    for (flags, state, priority) in rows {
        let traceparent = format!("{}{flags}", &W3C[..53]);
        let outcome = run(&config, &[("traceparent", &traceparent), ("tracestate", state)]);
        let name = format!("{flags} {state}");
        assert_eq!(only(&name, &outcome.request, "x-datadog-sampling-priority"), priority, "{name}");
        assert_eq!(only(&name, &outcome.request, "tracestate"), state, "{name}: DD-10, left alone");
    }
}

#[test]
fn what_datadog_would_refuse_is_not_written() {
    let config = config(&["datadog", "tracecontext"], &["datadog"]);
    let request = [
        ("x-datadog-trace-id", "11803532876627986230"),
        ("x-datadog-parent-id", "67667974448284343"),
        ("x-datadog-tags", "_dd.p.dm,_dd.p.tid=4bf92f3577b34da6,_dd.p.a=1,"),
    ];
    let outcome = run(&config, &request);
    let tags = only("what goes on", &outcome.request, "x-datadog-tags");
    assert_eq!(tags, "_dd.p.tid=4bf92f3577b34da6,_dd.p.a=1", "a tag without a value spoils them all");
    let request =
        [("traceparent", W3C), ("x-datadog-sampling-priority", "2"), ("x-datadog-sampling-priority", "2")];
    let outcome = run(&config, &request);
    assert_eq!(
        only("what goes on", &outcome.request, "x-datadog-sampling-priority"),
        "1",
        "one line, of this hop"
    );
}

#[test]
fn what_is_read_in_a_format_is_written_in_the_same_again() {
    let came: &[(&str, &str, &str, &str)] = &[
        ("B3-07", "b3", "b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d"),
        ("B3-09", "b3", "b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"),
        ("JA-05", "jaeger", "uber-trace-id", "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:3"),
        ("GC-04", "gcp", "x-cloud-trace-context", "4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=0"),
        ("GB-01", "grpc_trace_bin", "grpc-trace-bin", "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE"),
    ];
    for (rule, format, header, value) in came {
        let outcome = run(&config(&[format], &[format]), &[(header, value)]);
        assert_eq!(only("what goes on", &outcome.request, header), *value, "{rule}");
        assert_eq!(outcome.request.get("traceparent"), None, "{rule}: not asked for");
    }
}

pub(crate) fn config(extract: &[&str], inject: &[&str]) -> String {
    format!(r#"{{"direction": "inbound", "propagation": {{"extract": {extract:?}, "inject": {inject:?}}}}}"#)
}

pub(crate) fn run(config: &str, headers: &[(&str, &str)]) -> Outcome {
    let request: Vec<Line<'_>> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    Scenario::new(config, &request, None).run()
}

pub(crate) fn only(name: &str, headers: &HeaderMap, header: &str) -> String {
    let lines = headers.lines(header);
    let [line] = lines.as_slice() else { panic!("{name}: {header} has {} lines", lines.len()) };
    String::from_utf8(line.to_vec()).expect("the header is text")
}

pub(crate) fn pieces(traceparent: &str) -> [&str; 4] {
    let pieces: Vec<&str> = traceparent.split('-').collect();
    pieces.try_into().expect("traceparent has four pieces")
}
