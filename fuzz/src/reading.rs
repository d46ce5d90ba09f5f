//! Each format read again, slowly and straight from its rules.

use std::sync::LazyLock;

use bstr::ByteSlice;
use regex::bytes::Regex;
use tracewarden::sampling::Threshold;

const HEX: &[u8] = b"0123456789abcdef";
const MAX_MEMBERS: usize = 32;
/// The digits that a threshold or a randomness has.
const OT_DIGITS: usize = 14;

/// A name and a value, or a key and a value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Grammars over bytes, each of parts.
macro_rules! grammars {
    ($($name:ident = $($part:expr),+;)+) => {
        $(static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(&["(?s-u)", $($part),+].concat()).expect("the grammar is valid"));)+
    };
}

grammars! {
    TRACEPARENT = "^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$";
    MEMBER = "^([a-z0-9][a-z0-9_*/@-]{0,255})=([ -~&&[^,=]]{0,255}[!-~&&[^,=]])$";
    OT_PAIR = "^([a-z][a-z0-9]*):([A-Za-z0-9._-]*)$";
    METRIC = "^", OWS, "(", TOKEN, ")((?:", &parameter(), ")*)", OWS, "(?:,|$)";
    PARAMETER = &parameter();
    QUOTED = ";", OWS, "(", TOKEN, ")?", OWS, "=", OWS, r#""(?:[^"\\]|\\.)*""#;
}

const OWS: &str = "[ \t]*";
const TOKEN: &str = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";

/// The grammar of a metric's parameter: a name, and perhaps a token or a quoted text.
fn parameter() -> String {
    format!(r#"{OWS};{OWS}({TOKEN})(?:{OWS}={OWS}(?:({TOKEN})|"((?:[^"\\]|\\.)*)"))?"#)
}

/// Reads a `traceparent` (rules TP-01 to TP-27); a valid one is answered as it must be written: version `00`, known
/// flags only.
pub fn traceparent(value: &[u8]) -> Option<Vec<u8>> {
    let parts = TRACEPARENT.captures(trimmed(value))?;
    let is_zero = |digits: &[u8]| digits.iter().all(|digit| *digit == b'0');
    let version_allows = match &parts[1] {
        b"ff" => false,
        b"00" => parts.get(5).is_none(),
        _ => true,
    };
    if !version_allows || is_zero(&parts[2]) || is_zero(&parts[3]) {
        return None;
    }
    let flags = format!("{:02x}", number(&parts[4])? & 0b11);
    Some([b"00", &parts[2], &parts[3], flags.as_bytes()].join(&b'-'))
}

/// Reads the lines of a `tracestate` (rules TS-03 to TS-30): the members that a valid list keeps.
pub fn tracestate(lines: &[&[u8]]) -> Option<Vec<Pair>> {
    let mut members: Vec<Pair> = Vec::new();
    for text in lines.join(&b","[..]).split(|byte| *byte == b',').map(trimmed) {
        if text.is_empty() {
            continue;
        }
        let (key, value) = pair(&MEMBER, text)?;
        if value_of(&members, &key).is_none() {
            members.push((key, value));
        }
    }
    (members.len() <= MAX_MEMBERS).then_some(members)
}

/// Whether this is a member (rules TS-20 to TS-24).
pub fn is_member(text: &[u8]) -> bool {
    MEMBER.is_match(text)
}

/// Reads OpenTelemetry's member of a `tracestate` (rule OT-01).
pub fn ot(text: &[u8]) -> Option<Vec<Pair>> {
    let mut pairs: Vec<Pair> = Vec::new();
    for text in text.split(|byte| *byte == b';') {
        let (key, value) = pair(&OT_PAIR, text)?;
        if value_of(&pairs, &key).is_some() {
            return None;
        }
        pairs.push((key, value));
    }
    Some(pairs)
}

/// The pairs of the member `ot` in a list.
pub fn ot_of(members: &[Pair]) -> Option<Vec<Pair>> {
    value_of(members, b"ot").and_then(ot)
}

/// The threshold that `th` tells (rules OT-02, OT-14).
pub fn threshold(pairs: &[Pair]) -> Option<u64> {
    let digits = value_of(pairs, b"th").filter(|digits| (1..=OT_DIGITS).contains(&digits.len()))?;
    number(digits).map(|value| value << (4 * (OT_DIGITS - digits.len())))
}

/// The randomness that `rv` tells (rules OT-03, OT-14).
pub fn randomness(pairs: &[Pair]) -> Option<u64> {
    value_of(pairs, b"rv").filter(|digits| digits.len() == OT_DIGITS).and_then(number)
}

/// The randomness of the trace-id in a `traceparent` (rule OT-04).
pub fn trace_randomness(traceparent: &[u8]) -> u64 {
    number(&traceparent[35 - OT_DIGITS..35]).expect("it is valid")
}

/// The least randomness that a threshold keeps, which is the threshold.
pub fn least_kept(threshold: Threshold) -> u64 {
    let (mut low, mut high) = (0, 1 << 56);
    while low < high {
        let middle = (low + high) / 2;
        if threshold.keeps(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// The pair that tells a threshold, zeros at its end left out (rule OT-02).
pub fn th(threshold: u64) -> Pair {
    let digits = format!("{threshold:014x}");
    let significant = digits.trim_end_matches('0');
    (b"th".to_vec(), if significant.is_empty() { "0" } else { significant }.into())
}

/// The pairs in one text: members of a list with `=` and `,`, those of `ot` with `:` and `;`.
pub fn print(pairs: &[Pair], within: u8, between: u8) -> Vec<u8> {
    pairs.iter().map(|(key, value)| [&key[..], value].join(&within)).collect::<Vec<_>>().join(&between)
}

/// The value of a key.
pub fn value_of<'a>(pairs: &'a [Pair], key: &[u8]) -> Option<&'a [u8]> {
    pairs.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_slice())
}

/// Reads a serialized header map: its entries, or `None` if its lengths lead outside of it.
pub fn header_map(serialized: &[u8]) -> Option<Vec<Pair>> {
    if serialized.is_empty() {
        return Some(Vec::new());
    }
    let number = |place: usize| -> Option<usize> {
        let bytes = serialized.get(place..place.checked_add(4)?)?;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    };
    let count = number(0)?;
    let mut at = count.checked_mul(8)?.checked_add(4)?;
    serialized.get(..at)?;
    let mut entries = Vec::new();
    for entry in 0..count {
        let mut take = |length: usize| {
            let text = serialized.get(at..at.checked_add(length)?)?;
            at += length + 1;
            (at <= serialized.len()).then(|| text.to_vec())
        };
        let name = take(number(4 + 8 * entry)?)?;
        let value = take(number(8 + 8 * entry)?)?;
        entries.push((name, value));
    }
    Some(entries)
}

/// What the metrics of one name tell in lines of `Server-Timing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timing {
    /// No context.
    Silent,
    /// This context; an empty one if the metric has no description.
    Tells(Vec<u8>),
    /// There are several.
    Repeated,
    /// The grammar does not allow a line, or a context has no defined meaning.
    Unclear,
}

/// Reads the metrics of a name in lines of `Server-Timing` by the grammar alone (rules RS-02, RS-06, RS-10).
pub fn server_timing(lines: &[&[u8]], name: &str) -> Timing {
    let mut told = Vec::new();
    for line in lines {
        let Some(metrics) = metrics(line) else { return Timing::Unclear };
        let ours = metrics.iter().filter(|(known, _)| *known == name.as_bytes());
        told.extend(ours.map(|(_, metric)| description(metric)));
    }
    match &told[..] {
        [] => Timing::Silent,
        // No context needs a quoted-pair, so what becomes of one is not defined.
        [told] if told.contains(&b'\\') => Timing::Unclear,
        [told] => Timing::Tells(told.clone()),
        _ => Timing::Repeated,
    }
}

/// The metrics of a line, each with its name in lower case, or `None` if the grammar does not allow it. What stands
/// after a last comma has no name.
fn metrics(line: &[u8]) -> Option<Vec<(Vec<u8>, &[u8])>> {
    let (mut metrics, mut rest) = (Vec::new(), line);
    while !trimmed(rest).is_empty() {
        let metric = METRIC.captures(rest)?;
        let (whole, after) = rest.split_at(metric[0].len());
        metrics.push((metric[1].to_ascii_lowercase(), whole.strip_suffix(b",").unwrap_or(whole)));
        if whole.ends_with(b",") && trimmed(after).is_empty() {
            metrics.push((Vec::new(), after));
        }
        rest = after;
    }
    Some(metrics)
}

/// A line without the metrics of these names (rule RS-12): what is left of it, or nothing.
pub fn without_metrics(line: &[u8], names: &[&str]) -> Option<Vec<u8>> {
    let metrics = metrics(line).unwrap_or_default();
    let is_left = |name: &[u8]| !names.iter().any(|gone| gone.as_bytes() == name);
    let left: Vec<&[u8]> =
        metrics.iter().filter(|(name, _)| is_left(name)).map(|(_, metric)| *metric).collect();
    if left.len() == metrics.len() {
        return Some(line.to_vec());
    }
    left.iter().any(|metric| !trimmed(metric).is_empty()).then(|| trimmed(&left.join(&b',')).to_vec())
}

/// Whether a reader who is not strict may find a metric of a trace in a line: outside of what is certainly a quoted
/// value there is one, or a quote that nobody knows the meaning of.
pub fn may_tell_trace(line: &[u8]) -> bool {
    let plain = QUOTED.replace_all(line, &b";$1="[..]).to_ascii_lowercase();
    let is_ours = |metric: &[u8]| {
        let name = metric.split(|byte| *byte == b';').next().map(trimmed);
        matches!(name, Some(b"trace" | b"traceparent"))
    };
    let mentions = line.to_ascii_lowercase().windows(5).any(|letters| letters == b"trace");
    plain.split(|byte| *byte == b',').any(is_ours) || mentions && plain.contains(&b'"')
}

/// The first parameter `desc` that has a value; quoted-pairs stay as they are.
fn description(parameters: &[u8]) -> Vec<u8> {
    let mut values = PARAMETER.captures_iter(parameters).filter_map(|parameter| {
        let value = parameter.get(2).or(parameter.get(3))?;
        parameter[1].eq_ignore_ascii_case(b"desc").then(|| value.as_bytes().to_vec())
    });
    values.next().unwrap_or_default()
}

/// Without the spaces and tabs at its ends.
fn trimmed(text: &[u8]) -> &[u8] {
    text.trim_with(|sign| matches!(sign, ' ' | '\t'))
}

/// Both parts of a text that the grammar allows.
fn pair(grammar: &Regex, text: &[u8]) -> Option<Pair> {
    grammar.captures(text).map(|parts| (parts[1].to_vec(), parts[2].to_vec()))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| {
        HEX.iter().position(|other| other == digit).map(|digit| value << 4 | digit as u64)
    })
}
