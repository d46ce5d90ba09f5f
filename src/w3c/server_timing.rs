use std::borrow::Cow;

use super::{split_once, trim_ows};

/// A metric of `Server-Timing` that holds a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TraceMetric {
    /// `traceparent;desc="00-…-01"`, which browser agents read (rule RS-06).
    Traceparent,
    /// `trace;desc=00-…-01` of the editor's draft of [Trace Context Level 3](https://w3c.github.io/trace-context/)
    /// (rules RS-02, RS-09).
    Trace,
}

impl TraceMetric {
    /// Both of them.
    pub(crate) const ALL: [Self; 2] = [Self::Traceparent, Self::Trace];

    const fn name(self) -> &'static str {
        match self {
            Self::Traceparent => "traceparent",
            Self::Trace => "trace",
        }
    }

    /// The contexts that metrics of this name hold in a line; an empty one if a metric has no description.
    ///
    /// ```text
    /// line   = metric *( "," metric )
    /// metric = token *( ";" token [ "=" ( token / quoted-string ) ] )       ; white space around each piece
    /// ```
    pub(crate) fn contexts(self, line: &[u8]) -> impl Iterator<Item = &[u8]> {
        let line = if mentions_trace(line) { line } else { &[] };
        split(line, b',').filter_map(move |metric| {
            let mut pieces = split(metric, b';').map(trim_ows);
            let is_ours = self.is_called(pieces.next()?);
            is_ours.then(|| pieces.find_map(description).unwrap_or_default())
        })
    }

    /// The line that holds a context.
    pub(crate) fn line(self, context: &[u8]) -> Vec<u8> {
        match self {
            Self::Traceparent => [b"traceparent;desc=\"", context, b"\""].concat(),
            Self::Trace => [b"trace;desc=", context].concat(),
        }
    }

    fn is_called(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.name().as_bytes())
    }
}

/// A line without the metrics of these names; the others stay byte for byte. `None` if no other is left.
///
/// Readers disagree about a line that the grammar does not allow: a metric may begin for one of them where a quoted
/// string goes on for another. Such a line goes as a whole if the letters `trace` are anywhere in it (rule RS-12).
pub(crate) fn without_metrics(
    line: &[u8],
    names: impl Iterator<Item = TraceMetric> + Clone,
) -> Option<Cow<'_, [u8]>> {
    if !mentions_trace(line) {
        return Some(Cow::Borrowed(line));
    }
    if !split(line, b',').all(is_unambiguous) {
        return None;
    }
    let mut left = Vec::with_capacity(line.len());
    let (mut is_whole, mut is_empty) = (true, true);
    for metric in split(line, b',') {
        let name = split(metric, b';').next().map(trim_ows).unwrap_or_default();
        if names.clone().any(|ours| ours.is_called(name)) {
            is_whole = false;
        } else {
            is_empty &= trim_ows(metric).is_empty();
            left.extend_from_slice(metric);
            left.push(b',');
        }
    }
    left.pop();
    match (is_whole, is_empty) {
        (true, _) => Some(Cow::Borrowed(line)),
        (false, true) => None,
        (false, false) => Some(Cow::Owned(trim_ows(&left).to_vec())),
    }
}

/// Whether the letters of both names are in a line, in any case.
fn mentions_trace(line: &[u8]) -> bool {
    line.windows(5)
        .any(|letters| matches!(letters, [b't' | b'T', ..]) && TraceMetric::Trace.is_called(letters))
}

/// Whether every reader finds the ends of a metric in the same places: its name is a token, or nothing, and a quote
/// stands only at both ends of a parameter's value.
fn is_unambiguous(metric: &[u8]) -> bool {
    let mut pieces = split(metric, b';').map(trim_ows);
    pieces.next().is_none_or(|name| name.iter().all(is_token))
        && pieces.all(|piece| !piece.contains(&b'"') || is_quoted_parameter(piece))
}

fn is_quoted_parameter(piece: &[u8]) -> bool {
    let Some((name, value)) = split_once(piece, b'=') else { return false };
    let Some(quoted) = trim_ows(value).strip_prefix(b"\"") else { return false };
    let mut escaped = false;
    let end = quoted.iter().position(|byte| {
        let was_escaped = core::mem::take(&mut escaped);
        escaped = *byte == b'\\' && !was_escaped;
        *byte == b'"' && !was_escaped
    });
    trim_ows(name).iter().all(is_token) && end.is_some_and(|end| end + 1 == quoted.len())
}

/// A byte of a token of RFC 9110.
const fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

fn description(parameter: &[u8]) -> Option<&[u8]> {
    let (name, value) = split_once(parameter, b'=')?;
    let value = trim_ows(value);
    let unquoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    trim_ows(name).eq_ignore_ascii_case(b"desc").then_some(unquoted.unwrap_or(value))
}

/// The pieces between separators that are outside of quoted strings.
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |byte| {
        let was_escaped = core::mem::take(&mut escaped);
        match byte {
            b'"' if !was_escaped => quoted = !quoted,
            b'\\' if quoted && !was_escaped => escaped = true,
            _ => {}
        }
        !quoted && *byte == separator
    })
}
