//! What headers say of a trace, read without the core's help: for each format just what its rules allow to go out.

use tracewarden::words::Format;

/// Header lines.
pub(crate) type Lines = Vec<(String, Vec<u8>)>;

/// A context in any format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    /// The left half of the trace-id; 0 if the format has none or does not say.
    pub(crate) high: u64,
    pub(crate) low: u64,
    pub(crate) span: Option<u64>,
    pub(crate) sampled: Option<bool>,
    pub(crate) debug: bool,
}

impl Context {
    pub(crate) fn is_same_trace(&self, other: &Self) -> bool {
        self.low == other.low && (self.high == other.high || self.high == 0 || other.high == 0)
    }

    /// A word that only this trace's extras have in them.
    pub(crate) fn mark(&self) -> String {
        format!("mark{:016x}", self.low)
    }
}

/// The lines of a header.
pub(crate) fn lines<'a>(headers: &'a Lines, name: &str) -> Vec<&'a [u8]> {
    headers
        .iter()
        .filter(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice())
        .collect()
}

/// The only line of a header, as text.
pub(crate) fn one<'a>(headers: &'a Lines, name: &str) -> Option<&'a str> {
    match lines(headers, name)[..] {
        [line] => std::str::from_utf8(line).ok(),
        _ => None,
    }
}

/// The context of a format, if there is a valid one; `header` is the name of `traceparent`.
pub(crate) fn read(format: Format, headers: &Lines, header: &str) -> Option<Context> {
    match format {
        Format::TraceContext => traceparent(one(headers, header)?),
        Format::B3 => b3(one(headers, "b3")?),
        Format::B3Multi => b3_multi(headers),
        Format::Jaeger => jaeger(one(headers, "uber-trace-id")?),
        Format::XRay => xray(one(headers, "x-amzn-trace-id")?),
        Format::Gcp => gcp(one(headers, "x-cloud-trace-context")?),
        Format::Datadog => datadog(headers),
        Format::OtTrace => ottrace(headers),
        Format::GrpcTraceBin | Format::Sw8 => None,
    }
}

/// The number that 1 to 32 hexadecimal digits spell.
pub(crate) fn number(digits: &str) -> Option<u128> {
    let fits = (1..=32).contains(&digits.len());
    let mut digits = digits.chars().map(|digit| digit.to_digit(16)).filter(|_| fits);
    let first = digits.next()??;
    digits.try_fold(u128::from(first), |number, digit| Some(number << 4 | u128::from(digit?)))
}

pub(crate) fn trace(digits: &str) -> Option<(u64, u64)> {
    let number = number(digits).filter(|number| *number != 0)?;
    Some(((number >> 64) as u64, number as u64))
}

pub(crate) fn span(digits: &str) -> Option<u64> {
    number(digits).and_then(|number| u64::try_from(number).ok()).filter(|number| *number != 0)
}

fn traceparent(value: &str) -> Option<Context> {
    let pieces: Vec<&str> = value.split('-').collect();
    let ["00", id, parent, flags] = pieces[..] else { return None };
    let is_lower = value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    if (id.len(), parent.len(), flags.len(), is_lower) != (32, 16, 2, true) {
        return None;
    }
    let (high, low) = trace(id)?;
    let flags = u8::try_from(number(flags)?).ok()?;
    Some(Context { high, low, span: Some(span(parent)?), sampled: Some(flags & 1 != 0), debug: false })
}

fn b3(value: &str) -> Option<Context> {
    let pieces: Vec<&str> = value.split('-').collect();
    let [id, parent, ref rest @ ..] = pieces[..] else { return None };
    let (sampled, debug) = match rest.first() {
        None => (None, false),
        Some(&"0") => (Some(false), false),
        Some(&"1") => (Some(true), false),
        Some(&"d") => (Some(true), true),
        Some(_) => return None,
    };
    if rest.len() > 2 || !is_b3(id, parent) {
        return None;
    }
    let (high, low) = trace(id)?;
    Some(Context { high, low, span: Some(span(parent)?), sampled, debug })
}

fn is_b3(id: &str, parent: &str) -> bool {
    matches!(id.len(), 16 | 32) && parent.len() == 16 && !format!("{id}{parent}").contains(char::is_uppercase)
}

fn b3_multi(headers: &Lines) -> Option<Context> {
    let (id, parent) = (one(headers, "x-b3-traceid")?, one(headers, "x-b3-spanid")?);
    if !is_b3(id, parent) {
        return None;
    }
    let debug = lines(headers, "x-b3-flags").first() == Some(&&b"1"[..]);
    let sampled =
        match lines(headers, "x-b3-sampled").first().map(|line| line.to_ascii_lowercase()).as_deref() {
            _ if debug => Some(true),
            None | Some(b"") => None,
            Some(b"1" | b"true") => Some(true),
            Some(b"0" | b"false") => Some(false),
            Some(_) => return None,
        };
    let (high, low) = trace(id)?;
    Some(Context { high, low, span: Some(span(parent)?), sampled, debug })
}

fn jaeger(value: &str) -> Option<Context> {
    let pieces: Vec<&str> = value.split(':').collect();
    let [id, parent, _, flags] = pieces[..] else { return None };
    let (high, low) = trace(id)?;
    let flags = u8::try_from(number(flags)?).ok()?;
    Some(Context {
        high,
        low,
        span: Some(span(parent)?),
        sampled: Some(flags & 1 != 0),
        debug: flags & 3 == 3,
    })
}

fn xray(value: &str) -> Option<Context> {
    let piece = |key: &str| value.split(';').find_map(|piece| piece.strip_prefix(key)?.strip_prefix('='));
    let root = piece("Root")?.strip_prefix("1-")?.replace('-', "");
    let (high, low) = trace(&root).filter(|_| root.len() == 32)?;
    let sampled = match piece("Sampled") {
        Some("1") => Some(true),
        Some("0") => Some(false),
        _ => None,
    };
    let span = match piece("Parent") {
        None => None,
        Some(digits) => Some(span(digits)?),
    };
    Some(Context { high, low, span, sampled, debug: false })
}

fn gcp(value: &str) -> Option<Context> {
    let (id, rest) = value.split_at_checked(32)?;
    let (parent, option) =
        rest.split_once(';').map_or((rest, None), |(parent, option)| (parent, Some(option)));
    let (high, low) = trace(id)?;
    let span =
        parent.strip_prefix('/').and_then(|digits| digits.parse().ok()).filter(|span: &u64| *span != 0);
    let sampled = option.and_then(|option| Some(option.strip_prefix("o=")? != "0"));
    Some(Context { high, low, span, sampled, debug: false })
}

fn datadog(headers: &Lines) -> Option<Context> {
    let low = one(headers, "x-datadog-trace-id")?.parse().ok().filter(|low: &u64| *low != 0)?;
    let tags = lines(headers, "x-datadog-tags")
        .first()
        .map_or("", |line| std::str::from_utf8(line).unwrap_or_default());
    let tid = tags.split(',').find_map(|tag| tag.strip_prefix("_dd.p.tid="));
    let high = tid.filter(|tid| tid.len() == 16).and_then(span).unwrap_or(0);
    let span = one(headers, "x-datadog-parent-id")
        .and_then(|digits| digits.parse().ok())
        .filter(|span: &u64| *span != 0);
    let sampled = match one(headers, "x-datadog-sampling-priority") {
        None => None,
        Some(priority) => Some(priority.parse::<i64>().ok()? > 0),
    };
    Some(Context { high, low, span, sampled, debug: false })
}

fn ottrace(headers: &Lines) -> Option<Context> {
    let (id, parent) = (one(headers, "ot-tracer-traceid")?, one(headers, "ot-tracer-spanid")?);
    if format!("{id}{parent}").contains(char::is_uppercase) {
        return None;
    }
    let ((high, low), span) = (trace(id)?, Some(span(parent)?));
    let sampled = match one(headers, "ot-tracer-sampled").map(str::to_ascii_lowercase).as_deref() {
        None => None,
        Some("true" | "1") => Some(true),
        Some("false" | "0") => Some(false),
        Some(_) => return None,
    };
    Some(Context { high, low, span, sampled, debug: false })
}
