//! Reading what others wrote, within bounds.

use std::io::BufRead;

/// The next line, of which at most so many bytes are kept.
pub(super) fn next_line(
    from: &mut impl BufRead,
    line: &mut Vec<u8>,
    longest: usize,
) -> std::io::Result<bool> {
    line.clear();
    loop {
        let buffer = from.fill_buf()?;
        if buffer.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let length = end.unwrap_or(buffer.len());
        let room = longest.saturating_sub(line.len());
        line.extend(buffer.iter().take(length.min(room)));
        from.consume(end.map_or(length, |end| end + 1));
        if end.is_some() {
            // An empty line is one too.
            line.push(b'\n');
            return Ok(true);
        }
    }
}

/// The part from the first line on that begins with a brace. Before it there may be a notice of `kubectl exec`.
pub(super) fn from_json(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while !rest.is_empty() {
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if is_json(line) {
            let blank = rest.iter().take_while(|byte| **byte != b'{').count();
            return rest.get(blank..).unwrap_or_default();
        }
        rest = rest.get(line.len() + 1..).unwrap_or_default();
    }
    bytes
}

/// Whether a line begins a document of JSON; a byte order mark may be before it.
pub(super) fn is_json(line: &[u8]) -> bool {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    line.trim_ascii_start().starts_with(b"{")
}
