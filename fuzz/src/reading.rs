//! Each format read again, slowly and straight from its rules.

use tracewarden::sampling::Threshold;

const HEX: &[u8] = b"0123456789abcdef";
const MAX_MEMBERS: usize = 32;
const MAX_LEN: usize = 256;
/// The digits that a threshold or a randomness has.
const OT_DIGITS: usize = 14;

/// A name and a value, or a key and a value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Reads a `traceparent` (rules TP-01 to TP-27); a valid one is answered as it must be written: version `00`, known
/// flags only.
#[must_use]
pub fn traceparent(value: &[u8]) -> Option<Vec<u8>> {
    const SHAPE: &[u8; 55] = b"hh-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";
    let (known, more) = trimmed(value).split_at_checked(SHAPE.len())?;
    let fits = |(shape, octet): (&u8, &u8)| match shape {
        b'h' => HEX.contains(octet),
        delimiter => delimiter == octet,
    };
    let version_allows = match &known[..2] {
        b"ff" => false,
        b"00" => more.is_empty(),
        _ => more.is_empty() || more[0] == b'-',
    };
    let is_zero = |digits: &[u8]| digits.iter().all(|digit| *digit == b'0');
    if !SHAPE.iter().zip(known).all(fits)
        || !version_allows
        || is_zero(&known[3..35])
        || is_zero(&known[36..52])
    {
        return None;
    }
    let flags = HEX.iter().position(|digit| *digit == known[54])? & 0b11;
    Some([b"00", &known[2..53], b"0", &HEX[flags..=flags]].concat())
}

/// Reads the lines of a `tracestate` (rules TS-03 to TS-30): the members that a valid list keeps.
#[must_use]
pub fn tracestate(lines: &[&[u8]]) -> Option<Vec<Pair>> {
    let mut members: Vec<Pair> = Vec::new();
    for text in lines.join(&b","[..]).split(|octet| *octet == b',') {
        let text = trimmed(text);
        if text.is_empty() {
            continue;
        }
        let (key, value) = halves(text, b'=')?;
        if !is_member(key, value) {
            return None;
        }
        if members.iter().all(|(earlier, _)| earlier != key) {
            members.push((key.to_vec(), value.to_vec()));
        }
    }
    (members.len() <= MAX_MEMBERS).then_some(members)
}

/// Whether these are the key and the value of a member (rules TS-20 to TS-24).
#[must_use]
pub fn is_member(key: &[u8], value: &[u8]) -> bool {
    let starts = |octet: &u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
    let is_key = |octet: &u8| starts(octet) || b"_-*/@".contains(octet);
    let is_value = |octet: &u8| (0x20..=0x7e).contains(octet) && !b",=".contains(octet);
    let fits = |text: &[u8]| (1..=MAX_LEN).contains(&text.len());
    fits(key)
        && starts(&key[0])
        && key.iter().all(is_key)
        && fits(value)
        && value.iter().all(is_value)
        && value[value.len() - 1] != b' '
}

/// The list in one line.
#[must_use]
pub fn print(members: &[Pair]) -> Vec<u8> {
    let members: Vec<_> = members.iter().map(|(key, value)| [key, &b"="[..], value].concat()).collect();
    members.join(&b","[..])
}

/// Reads OpenTelemetry's member of a `tracestate` (rule OT-01).
#[must_use]
pub fn ot(text: &[u8]) -> Option<Vec<Pair>> {
    let mut pairs: Vec<Pair> = Vec::new();
    for pair in text.split(|octet| *octet == b';') {
        let (key, value) = halves(pair, b':')?;
        let is_key =
            |(place, octet): (usize, &u8)| octet.is_ascii_lowercase() || place > 0 && octet.is_ascii_digit();
        let is_value = |octet: &u8| octet.is_ascii_alphanumeric() || b"._-".contains(octet);
        let is_new = pairs.iter().all(|(earlier, _)| earlier != key);
        if key.is_empty() || !key.iter().enumerate().all(is_key) || !value.iter().all(is_value) || !is_new {
            return None;
        }
        pairs.push((key.to_vec(), value.to_vec()));
    }
    Some(pairs)
}

/// The threshold that `th` tells (rules OT-02, OT-14).
#[must_use]
pub fn threshold(pairs: &[Pair]) -> Option<u64> {
    let digits = value_of(pairs, b"th")?;
    (1..=OT_DIGITS).contains(&digits.len()).then_some(())?;
    number(digits).map(|value| value << (4 * (OT_DIGITS - digits.len())))
}

/// The randomness that `rv` tells (rules OT-03, OT-14).
#[must_use]
pub fn randomness(pairs: &[Pair]) -> Option<u64> {
    value_of(pairs, b"rv").filter(|digits| digits.len() == OT_DIGITS).and_then(number)
}

/// The randomness of the trace-id in a `traceparent` (rule OT-04).
#[must_use]
pub fn trace_randomness(traceparent: &[u8]) -> u64 {
    number(&traceparent[35 - OT_DIGITS..35]).expect("it is valid")
}

/// The least randomness that a threshold keeps, which is the threshold.
#[must_use]
pub fn least_kept(threshold: Threshold) -> u64 {
    let (mut low, mut high) = (0, 1 << 56);
    while low < high {
        let middle = (low + high) / 2;
        if threshold.keeps(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// The pair that tells a threshold, zeros at its end left out (rule OT-02).
#[must_use]
pub fn th(threshold: u64) -> Pair {
    let digits = format!("{threshold:014x}");
    let significant = digits.trim_end_matches('0');
    (b"th".to_vec(), if significant.is_empty() { "0" } else { significant }.into())
}

/// The pairs as a member's value.
#[must_use]
pub fn print_ot(pairs: &[Pair]) -> Vec<u8> {
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| [key, &b":"[..], value].concat()).collect();
    pairs.join(&b";"[..])
}

/// The value of a key.
#[must_use]
pub fn value_of<'a>(pairs: &'a [Pair], key: &[u8]) -> Option<&'a [u8]> {
    pairs.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_slice())
}

/// Reads a serialized header map: its entries, or `None` if its lengths lead outside of it.
#[must_use]
pub fn header_map(serialized: &[u8]) -> Option<Vec<Pair>> {
    if serialized.is_empty() {
        return Some(Vec::new());
    }
    let number = |place: usize| -> Option<usize> {
        let octets = serialized.get(place..place.checked_add(4)?)?;
        Some(octets.iter().rev().fold(0, |value, octet| value << 8 | usize::from(*octet)))
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

/// What lines of `Server-Timing` tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timing {
    /// No context.
    Silent,
    /// This context; an empty one if the metric has no description.
    Tells(Vec<u8>),
    /// What stands before the first context, or in it, has no defined meaning.
    Unclear,
}

/// Reads lines of `Server-Timing` (rules RS-02, RS-06): the first metric `traceparent` or `trace`.
#[must_use]
pub fn server_timing(lines: &[&[u8]]) -> Timing {
    for line in lines {
        let Some(metrics) = metrics(line) else { return Timing::Unclear };
        let is_ours = |name: &[u8]| [&b"traceparent"[..], b"trace"].contains(&name);
        if let Some((_, parameters)) = metrics.iter().find(|(name, _)| is_ours(name)) {
            let told = value_of(parameters, b"desc").unwrap_or_default();
            // No context needs a quoted-pair, so what becomes of one is not defined.
            return if told.contains(&b'\\') { Timing::Unclear } else { Timing::Tells(told.to_vec()) };
        }
    }
    Timing::Silent
}

/// A metric: its name and its parameters that have a value, names in lower case.
type Metric = (Vec<u8>, Vec<Pair>);

/// Reads one line by the grammar alone; quoted-pairs stay as they are.
fn metrics(line: &[u8]) -> Option<Vec<Metric>> {
    let mut rest = line;
    let mut metrics: Vec<Metric> = Vec::new();
    loop {
        rest = trimmed(rest);
        if rest.is_empty() {
            return Some(metrics);
        }
        let mut parameters = Vec::new();
        let name = token(&mut rest)?;
        while skip(&mut rest, b';') {
            let key = token(&mut rest)?;
            if skip(&mut rest, b'=') {
                let value = if rest.starts_with(b"\"") { quoted(&mut rest)? } else { verbatim(&mut rest)? };
                parameters.push((key, value));
            }
        }
        metrics.push((name, parameters));
        if !skip(&mut rest, b',') && !rest.is_empty() {
            return None;
        }
    }
}

/// Skips a separator and the white space on both sides of it.
fn skip(rest: &mut &[u8], separator: u8) -> bool {
    *rest = trimmed(rest);
    let Some((first, after)) = rest.split_first() else { return false };
    let found = *first == separator;
    if found {
        *rest = trimmed(after);
    }
    found
}

fn token(rest: &mut &[u8]) -> Option<Vec<u8>> {
    verbatim(rest).map(|token| token.to_ascii_lowercase())
}

fn verbatim(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let is_token = |octet: &u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(octet);
    let length = rest.iter().position(|octet| !is_token(octet)).unwrap_or(rest.len());
    let (token, after) = rest.split_at(length);
    *rest = after;
    (length > 0).then(|| token.to_vec())
}

fn quoted(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut end = 1;
    while *rest.get(end)? != b'"' {
        end += if rest[end] == b'\\' { 2 } else { 1 };
    }
    let text = rest[1..end].to_vec();
    *rest = &rest[end + 1..];
    Some(text)
}

/// Without the spaces and tabs at its ends.
#[must_use]
pub fn trimmed(text: &[u8]) -> &[u8] {
    let is_text = |octet: &u8| !matches!(octet, b' ' | b'\t');
    let start = text.iter().position(is_text).unwrap_or(text.len());
    let end = text.iter().rposition(is_text).map_or(start, |last| last + 1);
    &text[start..end]
}

/// What stands before and after the first such octet.
#[must_use]
pub fn halves(text: &[u8], octet: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|other| *other == octet)?;
    Some((&text[..at], &text[at + 1..]))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| {
        HEX.iter().position(|other| other == digit).map(|digit| value << 4 | digit as u64)
    })
}
