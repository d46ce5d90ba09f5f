use super::{split_once, trim_ows};

/// The context in a line of `Server-Timing`, in its metric `traceparent` or `trace`.
///
/// Browser agents read `traceparent;desc="00-…-01"`; the editor's draft of
/// [Trace Context Level 3](https://w3c.github.io/trace-context/) has `trace;desc=00-…-01` (rules RS-02, RS-06).
///
/// ```text
/// line   = metric *( "," metric )
/// metric = token *( ";" token [ "=" ( token / quoted-string ) ] )       ; white space around each piece
/// ```
pub(crate) fn server_timing_context(line: &[u8]) -> Option<&[u8]> {
    split(line, b',').find_map(|metric| {
        let mut pieces = split(metric, b';').map(trim_ows);
        let name = pieces.next()?;
        let is_ours = name.eq_ignore_ascii_case(b"traceparent") || name.eq_ignore_ascii_case(b"trace");
        if is_ours { Some(pieces.find_map(description).unwrap_or_default()) } else { None }
    })
}

/// The line of `Server-Timing` in which browser agents find a context.
pub(crate) fn server_timing_line(context: &[u8]) -> Vec<u8> {
    [b"traceparent;desc=\"", context, b"\""].concat()
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
