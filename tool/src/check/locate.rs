//! In which line of a file something is: a field of a tree, or a place in a text that is itself a value of YAML.

use std::str::CharIndices;

use tracewarden::settings::Step;

use super::tree::Node;

/// Where something is in a text.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) line: usize,
    pub(super) byte: usize,
}

/// Where a path leads, as near as the tree comes to it; `None` if that is the whole tree. Of several fields of one name the first
/// counts, or the last one at the end of the path.
pub(super) fn find(tree: &Node, path: &[Step], takes_last: bool) -> Option<Spot> {
    let (mut node, mut spot) = (tree, None);
    for (place, step) in path.iter().enumerate() {
        let takes_last = takes_last && place + 1 == path.len();
        match step {
            Step::Field(wanted) => {
                let mut entries = node.fields().iter().filter(|(name, _)| name.text == *wanted);
                let Some((name, value)) = (if takes_last { entries.next_back() } else { entries.next() })
                else {
                    break;
                };
                (node, spot) = (value, Some(Spot { line: name.line, byte: name.bytes.start }));
            }
            Step::Item(number) => {
                let Some(item) = node.items().get(*number) else { break };
                (node, spot) = (item, Some(Spot { line: item.line, byte: item.bytes.start }));
            }
            Step::Variable(_) => break,
        }
    }
    spot
}

/// The line of a file in which a text is at this byte. The text is a value that begins in `line`, as this source: a block,
/// in quotes, or plain. If the two cannot be brought together, the line in which the value begins.
pub(super) fn line_of(source: &str, line: usize, text: &str, byte: usize) -> usize {
    let single = || match_up(doubled(source.strip_prefix('\'')?), text, byte);
    let double = || match_up(escaped(source.strip_prefix('"')?), text, byte);
    let place = match_up(raw(source), text, byte).or_else(single).or_else(double);
    let before = place.and_then(|place| source.get(..place)).unwrap_or_default();
    line + before.matches('\n').count()
}

/// The byte at which a line and a column of a text are, both counted from 1; the column is in bytes.
pub(super) fn byte_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before + column.saturating_sub(1)
}

/// A character of a source with its byte; `None` is one that an escape stands for.
type Written = (usize, Option<char>);

/// Where the character at a byte of the text is in its source. Folding changes white space alone, so only the other characters
/// are compared.
fn match_up(mut source: impl Iterator<Item = Written>, text: &str, byte: usize) -> Option<usize> {
    let mut last = 0;
    for (at, wanted) in text.char_indices().filter(|(_, character)| !character.is_whitespace()) {
        let (place, found) = source.next()?;
        if found.is_some_and(|found| found != wanted) {
            return None;
        }
        if at >= byte {
            return Some(place);
        }
        last = place;
    }
    Some(last)
}

/// A block, or a plain value.
fn raw(source: &str) -> impl Iterator<Item = Written> {
    let characters = source.char_indices().filter(|(_, character)| !character.is_whitespace());
    characters.map(|(place, character)| (place, Some(character)))
}

/// What is in single quotes, where two of them are one.
fn doubled(source: &str) -> impl Iterator<Item = Written> {
    let mut is_second = false;
    raw(source).filter(move |(_, character)| {
        let is_quote = *character == Some('\'');
        let is_kept = !(is_quote && is_second);
        is_second = is_quote && is_kept;
        is_kept
    })
}

/// What is in double quotes, where a backslash begins an escape.
fn escaped(source: &str) -> impl Iterator<Item = Written> {
    let mut characters = source.char_indices();
    std::iter::from_fn(move || {
        loop {
            let (place, character) = characters.next()?;
            let written = match character {
                '\\' => escape(&mut characters)?,
                blank if blank.is_whitespace() => continue,
                other => Some(Some(other)),
            };
            if let Some(character) = written {
                return Some((place, character));
            }
        }
    })
}

/// What the escape stands for whose backslash was read: a character that is compared, or one that is skipped. `None` at the end.
fn escape(characters: &mut CharIndices<'_>) -> Option<Option<Option<char>>> {
    let (_, kind) = characters.next()?;
    let digits = match kind {
        'n' | 'r' | 't' | 'v' | 'f' | 'N' | '_' | 'L' | 'P' | ' ' | '\t' | '\n' => return Some(None),
        '"' | '\\' | '/' => return Some(Some(Some(kind))),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return Some(Some(None)),
    };
    let code: String = characters.take(digits).map(|(_, digit)| digit).collect();
    Some(counts(&code).then_some(None))
}

/// Whether the character of this code is compared: not white space, and not the second half of a pair, which is part of the character
/// before.
fn counts(code: &str) -> bool {
    let code = u32::from_str_radix(code, 16).unwrap_or_default();
    !(0xdc00..0xe000).contains(&code) && !char::from_u32(code).is_some_and(char::is_whitespace)
}
