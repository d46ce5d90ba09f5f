//! Makes headers, configurations and whole streams that are nearly right, and mutates the texts that inputs are written
//! in.

mod config;
mod spans;

use arbitrary::{Arbitrary, Result, Unstructured};
use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};

pub use config::config;
pub use spans::Story;

use crate::host::Headers;
use crate::reading::Pair;
use crate::scenario::Scenario;

type Source<'a, 'b> = &'a mut Unstructured<'b>;

const NAMES: &[&str] = &[
    "traceparent",
    "TraceParent",
    "tracestate",
    "TRACESTATE",
    "x-trace",
    "b3",
    "traceresponse",
    "server-timing",
    ":path",
    ":method",
    "user-agent",
    "x-request-id",
    "baggage",
];
/// Headers of other formats, each with values that are nearly right.
const FOREIGN: &[(&str, &[&str])] = &[
    (
        "b3",
        &["0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1", "8448eb211c80319c-b7ad6b7169203331-d", "0"],
    ),
    ("x-b3-traceid", &["0af7651916cd43dd8448eb211c80319c", "8448eb211c80319c"]),
    ("x-b3-spanid", &["b7ad6b7169203331"]),
    ("x-b3-sampled", &["1", "0", "true", ""]),
    ("x-b3-flags", &["1", "0"]),
    ("uber-trace-id", &["af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1", "1%3A1%3A0%3A3"]),
    ("x-amzn-trace-id", &["Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1"]),
    ("x-cloud-trace-context", &["0af7651916cd43dd8448eb211c80319c/13235353014750950193;o=1"]),
    ("x-datadog-trace-id", &["9532127138774266268", "0"]),
    ("x-datadog-parent-id", &["13235353014750950193", "0"]),
    ("x-datadog-sampling-priority", &["1", "-1", "2"]),
    ("x-datadog-tags", &["_dd.p.tid=0af7651916cd43dd,_dd.p.dm=-4"]),
    ("ot-tracer-traceid", &["8448eb211c80319c"]),
    ("ot-tracer-spanid", &["b7ad6b7169203331"]),
    ("ot-tracer-sampled", &["true", "false"]),
    ("grpc-trace-bin", &["AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgE="]),
    ("sw8", &["1-MGFmNzY1MTkxNmNkNDNkZDg0NDhlYjIxMWM4MDMxOWM=-YQ==-3-YQ==-YQ==-YQ==-YQ=="]),
];
/// Mutates the text of a scenario: one header, the host, or the configuration.
#[must_use]
pub fn scenario(text: &[u8], seed: u32) -> Vec<u8> {
    let mut scenario = Scenario::parse(text);
    let random = random(seed);
    let source = &mut Unstructured::new(&random);
    // A source that has run dry has changed enough.
    let _ = change(&mut scenario, source);
    scenario.print()
}

/// Octets to choose by.
#[must_use]
pub fn random(seed: u32) -> Vec<u8> {
    let mut octets = vec![0; 2048];
    ChaCha12Rng::seed_from_u64(seed.into()).fill_bytes(&mut octets);
    octets
}

fn change(scenario: &mut Scenario, source: Source<'_, '_>) -> Result<()> {
    for _ in 0..=source.int_in_range(0..=2)? {
        match source.int_in_range(0..=9)? {
            0 => scenario.config = config::object(source)?.to_string().into_bytes(),
            1 => scenario.host = host(source)?,
            2..=7 => change_headers(&mut scenario.request, source)?,
            _ => change_headers(&mut scenario.response, source)?,
        }
    }
    Ok(())
}

fn change_headers(Headers(lines): &mut Headers, source: Source<'_, '_>) -> Result<()> {
    if lines.is_empty() || lines.len() < 12 && source.ratio(1, 4)? {
        let at = source.int_in_range(0..=lines.len())?;
        lines.insert(at, line(source)?);
        return Ok(());
    }
    let at = source.choose_index(lines.len())?;
    match source.int_in_range(0..=5)? {
        0 => _ = lines.remove(at),
        1 => lines.push(lines[at].clone()),
        2 => lines[at] = line(source)?,
        3 => lines[at].1 = value(&lines[at].0.clone(), source)?,
        _ => spoil(&mut lines[at].1, source)?,
    }
    Ok(())
}

/// Replaces, inserts or removes one octet that is not an end of line.
fn spoil(text: &mut Vec<u8>, source: Source<'_, '_>) -> Result<()> {
    let octet = match source.ratio(1, 3)? {
        true => u8::arbitrary(source)?,
        false => *source.choose(b" \t,;:=-_@\"0afAF.")?,
    };
    let octet = if octet == b'\n' { b' ' } else { octet };
    let at = source.int_in_range(0..=text.len())?;
    let end = text.len().min(at + source.int_in_range(0..=1)?);
    text.splice(at..end, source.ratio(3, 4)?.then_some(octet));
    Ok(())
}

fn line(source: Source<'_, '_>) -> Result<Pair> {
    if source.ratio(1, 4)? {
        let (name, values) = source.choose(FOREIGN)?;
        let mut value = pick(source, values)?;
        if source.ratio(1, 3)? {
            spoil(&mut value, source)?;
        }
        return Ok((name.as_bytes().to_vec(), value));
    }
    let name = source.choose(NAMES)?.as_bytes().to_vec();
    let value = value(&name, source)?;
    Ok((name, value))
}

fn value(name: &[u8], source: Source<'_, '_>) -> Result<Vec<u8>> {
    let mut value = match name.to_ascii_lowercase().as_slice() {
        b"traceparent" | b"traceresponse" | b"x-trace" | b"b3" => context(source)?,
        b"tracestate" => members(source)?,
        b"server-timing" => timing(source)?,
        b":path" => pick(source, &["/cart", "/cart?x=1", "/healthz", "/healthz?", ""])?,
        b":method" => pick(source, &["GET", "POST"])?,
        b"x-request-id" => pick(
            source,
            &["0af76519-16cd-43dd-8448-eb211c80319c", "0AF7651916CD43DD8448EB211C80319C", "", "\u{e9}"],
        )?,
        b"user-agent" => pick(source, &["kube-probe/1.30", "curl/8"])?,
        _ => pick(source, &["", "\u{e9}", "x"])?,
    };
    if source.ratio(1, 4)? {
        spoil(&mut value, source)?;
    }
    Ok(value)
}

fn context(source: Source<'_, '_>) -> Result<Vec<u8>> {
    const TRACE_IDS: &[&str] = &[
        "0af7651916cd43dd8448eb211c80319c",
        "0af7651916cd43dd84ffffffffffffff",
        "00000000000000000000000000000000",
    ];
    let parts: [&[&str]; 6] = [
        &["", "", "", " ", "\t"],
        &["00", "00", "00", "cc", "01", "ff", "CC"],
        TRACE_IDS,
        &["b7ad6b7169203331", "0000000000000001", "0000000000000000"],
        &["00", "01", "02", "03", "ff", "0A"],
        &["", "", "", "-", "-more", ",", " \t", ".x"],
    ];
    let mut chosen = Vec::new();
    for part in parts {
        chosen.push(*source.choose(part)?);
    }
    let [before, version, trace_id, parent_id, flags, after] = chosen[..] else { return Ok(Vec::new()) };
    Ok(format!("{before}{version}-{trace_id}-{parent_id}-{flags}{after}").into_bytes())
}

fn members(source: Source<'_, '_>) -> Result<Vec<u8>> {
    let most = *source.choose(&[1, 2, 4, 31, 33])?;
    let mut list = Vec::new();
    for place in 0..source.int_in_range(0..=most)? {
        list.extend(match source.int_in_range(0..=9)? {
            0 | 1 => [b"ot=".to_vec(), pairs(source)?].concat(),
            2 => pick(source, &["foo=1", "foo=2", "a@b=x", "FOO=1", "foo", "foo=", "=", "", " "])?,
            _ => format!("k{place}=v").into_bytes(),
        });
        list.extend(pick(source, &[",", ",", ",", ",", " ,\t", ",,"])?);
    }
    if source.ratio(3, 4)? {
        list.pop();
    }
    Ok(list)
}

fn pairs(source: Source<'_, '_>) -> Result<Vec<u8>> {
    const PAIRS: &[&str] = &[
        "th:0",
        "th:8",
        "th:c",
        "th:80",
        "th:ffffffffffffff",
        "th:",
        "th:X",
        "rv:6e6d1a75832a2f",
        "rv:ffffffffffffff",
        "rv:1",
        "a:B.c_d-e",
        "a",
        "",
    ];
    let mut pairs = vec![pick(source, PAIRS)?];
    while source.ratio(1, 2)? {
        pairs.push(pick(source, PAIRS)?);
    }
    if source.ratio(1, 8)? {
        let length = source.int_in_range(200..=256)?;
        pairs.push([&b"z:"[..], &vec![b'z'; length]].concat());
    }
    Ok(pairs.join(&b';'))
}

fn timing(source: Source<'_, '_>) -> Result<Vec<u8>> {
    let mut metrics = Vec::new();
    for _ in 0..=source.int_in_range(0..=2)? {
        let name = pick(source, &["traceparent", "Trace", "total", "tracer", ""])?;
        let parameter = pick(source, &[";desc=", "; DESC = ", ";dur=3;desc=", ";desc", ";x=\",\";desc="])?;
        let quote = pick(source, &["\"", ""])?;
        let told = context(source)?;
        metrics.push([name, parameter, quote.clone(), told, quote].concat());
    }
    Ok(metrics.join(&b','))
}

fn pick(source: Source<'_, '_>, texts: &[&str]) -> Result<Vec<u8>> {
    Ok(source.choose(texts)?.as_bytes().to_vec())
}

fn host(source: Source<'_, '_>) -> Result<Vec<u8>> {
    let mut words = vec![pick(source, &["inbound", "outbound", ""])?];
    if source.ratio(1, 8)? {
        words.push(b"no-seed".to_vec());
    }
    if source.ratio(1, 16)? {
        words.push(b"silent".to_vec());
    }
    for word in ["cut-off", "no-clock", "recall:x", "san:spiffe://mesh/a", "address:10.1.2.3:80"] {
        if source.ratio(1, 12)? {
            words.push(word.as_bytes().to_vec());
        }
    }
    if source.ratio(1, 2)? {
        let bits = source.arbitrary_iter::<bool>()?.take(6).map(|bit| Ok(if bit? { b'1' } else { b'0' }));
        words.push([b"refuse:".to_vec(), bits.collect::<Result<_>>()?].concat());
    }
    Ok(words.join(&b' '))
}
