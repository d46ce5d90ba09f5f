//! Random requests: contexts in any format and spelling, what accompanies them, and whatever else a request has.

use rand::RngExt;
use rand::rngs::ChaCha12Rng;
use rand::seq::IndexedRandom;
use tracewarden::words::Format;

use crate::configuration::{FORCE, FORMATS, KEPT, RENAMED, TRUST};
use crate::wire::{Context, Lines};

/// Two traces whose right halves differ, and one more that has the left half of neither.
const TRACES: [(u64, u64); 3] = [
    (0x0af7_6519_16cd_43dd, 0x8448_eb21_1c80_319c),
    (0x4bf9_2f35_77b3_4da6, 0xa3ce_929d_0e0e_4736),
    (0x1111_1111_1111_1111, 0x8448_eb21_1c80_319c),
];
const SPANS: [u64; 3] = [0xb7ad_6b71_6920_3331, 0x00f0_67aa_0ba9_02b7, 7];

/// What a request has that is no format's.
pub(crate) const BYSTANDERS: [&str; 4] = ["accept", "x-bytes", "x-traceparent", "user-agent"];

pub(crate) fn request(source: &mut ChaCha12Rng) -> Lines {
    let mut lines = Vec::new();
    let mut add = |name: &str, value: &str| lines.push((name.to_owned(), value.as_bytes().to_vec()));
    let mut choose = |all: &[&'static str]| *all.choose(source).expect("a choice");
    add(":method", choose(&["GET", "POST", "OPTIONS"]));
    add(":path", choose(&["/", "/v1/traces", "/v1/traces?x=1", "/healthz"]));
    add(
        ":authority",
        choose(&[
            "cart.shop",
            "api.example.org",
            "API.example.ORG:443",
            "api.example.org.",
            "me:pw@api.example.org.:80",
            "example.org",
            "other.test",
        ]),
    );
    add("user-agent", choose(&["curl/8", "kube-probe/1.29", "Prometheus/3"]));
    add("accept", "*/*");
    add("x-traceparent", "bystander");
    for (name, value) in [TRUST, FORCE] {
        match source.random_range(0..8) {
            0 | 1 => lines.push((name.to_owned(), value.into())),
            2 => lines.push((name.to_owned(), b"guess".to_vec())),
            _ => {}
        }
    }
    if source.random_ratio(1, 3) {
        let id = ["r-1", "r-2", "bae65882-2bcd-43db-89d1-7fbd1d746a13"].choose(source).expect("ids");
        lines.push(("x-request-id".to_owned(), id.as_bytes().to_vec()));
    }
    let favourite = context(source);
    for format in FORMATS {
        if source.random_ratio(1, 3) {
            let context = if source.random_ratio(2, 3) { favourite } else { context(source) };
            spell(format, context, source, &mut lines);
        }
    }
    companions(source, &mut lines);
    lines
}

/// What an upstream may say of a trace of its own; each line has the word `theirs` or that trace's id in it.
pub(crate) fn response(source: &mut ChaCha12Rng) -> Lines {
    let context = format!("00-{THEIRS}-1234567812345678-01");
    let timing = [
        format!("db;dur=5, traceparent;desc=\"{context}\""),
        format!("trace;desc={context}, cache;desc=\"a,b\""),
        format!("traceparent;desc=\"{context}"),
        format!("a;desc=\"x\\\"\", TRACE ; DESC = {context}"),
        "total;dur=7".to_owned(),
    ];
    let mut lines = vec![(":status".to_owned(), b"200".to_vec()), ("x-tenant".to_owned(), b"blue".to_vec())];
    for name in ["traceparent", "traceresponse", RENAMED] {
        for _ in 0..source.random_range(0..3) {
            lines.push((name.to_owned(), context.clone().into_bytes()));
        }
    }
    for _ in 0..source.random_range(0..3) {
        let line = timing.choose(source).expect("lines");
        lines.push(("server-timing".to_owned(), line.clone().into_bytes()));
    }
    lines
}

/// The trace of an upstream that starts one of its own.
pub(crate) const THEIRS: &str = "99999999999999999999999999999999";

fn context(source: &mut ChaCha12Rng) -> Context {
    let (high, low) = *TRACES.choose(source).expect("traces");
    let high = if source.random_ratio(1, 4) { 0 } else { high };
    let sampled = [None, Some(false), Some(true)].choose(source).copied().flatten();
    let debug = sampled == Some(true) && source.random_ratio(1, 4);
    Context { high, low, span: SPANS.choose(source).copied(), sampled, debug }
}

/// Appends the context in a format, sometimes with a flaw.
fn spell(format: Format, context: Context, source: &mut ChaCha12Rng, lines: &mut Lines) {
    let Context { high, low, sampled, debug, .. } = context;
    let (span, mark) = (context.span.unwrap_or(1), context.mark());
    let flag = sampled.unwrap_or(false);
    let id =
        if high == 0 && source.random() { format!("{low:016x}") } else { format!("{high:016x}{low:016x}") };
    let digit = sampled.map(|sampled| {
        if debug {
            "d"
        } else if sampled {
            "1"
        } else {
            "0"
        }
    });
    let own = lines.len();
    let mut add = |name: &str, value: String| lines.push((name.to_owned(), value.into_bytes()));
    match format {
        Format::TraceContext => {
            let name = if source.random_ratio(1, 3) { RENAMED } else { "traceparent" };
            add(
                name,
                format!(
                    "00-{high:016x}{low:016x}-{span:016x}-0{}",
                    u8::from(flag) + 2 * u8::from(source.random::<bool>())
                ),
            );
            if source.random() {
                let rv = if source.random() { "ot=rv:ffffffffffffff;th:8," } else { "" };
                add("tracestate", format!("{rv}dd=s:2;o:{mark};t.usr:{mark},es=s:1"));
            }
        }
        Format::B3 => {
            let state = digit.map(|digit| format!("-{digit}")).unwrap_or_default();
            add("b3", format!("{id}-{span:016x}{state}"));
        }
        Format::B3Multi => {
            add("x-b3-traceid", id);
            add("x-b3-spanid", format!("{span:016x}"));
            match digit {
                Some("d") => add("x-b3-flags", "1".to_owned()),
                Some(digit) => add("x-b3-sampled", digit.to_owned()),
                None => {}
            }
        }
        Format::Jaeger => {
            let flags = u8::from(flag) + 2 * u8::from(debug);
            add("uber-trace-id", format!("{id}:{span:016x}:0:{flags}"));
        }
        Format::XRay => {
            let (seconds, rest) =
                ((high >> 32) as u32, (u128::from(high) << 64 | u128::from(low)) & ((1 << 96) - 1));
            let state = sampled.map(|sampled| format!(";Sampled={}", u8::from(sampled))).unwrap_or_default();
            add(
                "x-amzn-trace-id",
                format!("Root=1-{seconds:08x}-{rest:024x};Parent={span:016x}{state};Mark={mark}"),
            );
        }
        Format::Gcp => {
            let option = sampled.map(|sampled| format!(";o={}", u8::from(sampled))).unwrap_or_default();
            add("x-cloud-trace-context", format!("{high:016x}{low:016x}/{span}{option}"));
        }
        Format::Datadog => {
            add("x-datadog-trace-id", low.to_string());
            add("x-datadog-parent-id", span.to_string());
            if let Some(sampled) = sampled {
                add("x-datadog-sampling-priority", if sampled { "2" } else { "-1" }.to_owned());
            }
            let tid = if high == 0 { String::new() } else { format!("_dd.p.tid={high:016x},") };
            add("x-datadog-tags", format!("{tid}_dd.p.usr={mark}"));
            add("x-datadog-origin", mark);
        }
        Format::OtTrace => {
            add("ot-tracer-traceid", format!("{low:016x}"));
            add("ot-tracer-spanid", format!("{span:016x}"));
            if let Some(sampled) = sampled {
                add("ot-tracer-sampled", sampled.to_string());
            }
        }
        Format::GrpcTraceBin | Format::Sw8 => {}
    }
    if source.random_ratio(1, 6) {
        spoil(own, source, lines);
    }
}

/// Spoils one of the lines from this place on.
fn spoil(from: usize, source: &mut ChaCha12Rng, lines: &mut Lines) {
    if from >= lines.len() {
        return;
    }
    let place = source.random_range(from..lines.len());
    match source.random_range(0..4) {
        0 => lines.extend(lines.get(place).cloned()),
        1 => drop(lines.remove(place)),
        kind => {
            if let Some((_, value)) = lines.get_mut(place) {
                *value = if kind == 2 { b"x".to_vec() } else { value.to_ascii_uppercase() };
            }
        }
    }
}

/// Appends what accompanies contexts. Each value has the word `evil` in it.
fn companions(source: &mut ChaCha12Rng, lines: &mut Lines) {
    for format in Format::ALL {
        for companion in format.headers().companions {
            if source.random_ratio(1, 8) && companion.name != "x-datadog-origin" {
                let name = companion.name.replace('*', "User");
                lines.push((name, b"evil".to_vec()));
            }
        }
    }
    for (name, value) in KEPT {
        if source.random_ratio(1, 8) {
            lines.push((name.to_owned(), value.as_bytes().to_vec()));
        }
    }
    if source.random_ratio(1, 8) {
        lines.push(("baggage".to_owned(), b"user=evil,tenant=shop,tier=evil".to_vec()));
    }
    for name in ["grpc-trace-bin", "sw8"] {
        if source.random_ratio(1, 8) {
            lines.push((name.to_owned(), b"evil".to_vec()));
        }
    }
}
