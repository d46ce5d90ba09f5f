//! A value without a name: which header it is of, by its form.

use tracewarden::words::Format;

use super::reading::{Found, Reading};

/// Recognizes values.
pub(super) struct Bare<'a> {
    /// The name of the `traceparent` header.
    header: &'a str,
}

/// The formats whose context is in one header, in the order in which they are tried.
const TRIED: [Format; 7] = [
    Format::TraceContext,
    Format::B3,
    Format::Jaeger,
    Format::XRay,
    Format::Gcp,
    Format::GrpcTraceBin,
    Format::Sw8,
];

impl<'a> Bare<'a> {
    pub(super) const fn new(header: &'a str) -> Self {
        Self { header }
    }

    /// The header that it is a valid value of.
    pub(super) fn valid(&self, value: &[u8]) -> Option<(Vec<u8>, String)> {
        let mut valid = TRIED.into_iter().filter(|format| self.is_valid(*format, value));
        let name = self.name(valid.next()?);
        let others: Vec<&str> = valid.map(|format| self.name(format)).collect();
        let note = if others.is_empty() {
            format!("The value has no name. It is valid as {name}, and as no other header.")
        } else {
            format!(
                "The value has no name. It is read as {name}, and is also valid as {}.",
                others.join(", ")
            )
        };
        Some((name.into(), note))
    }

    /// The header whose values look most like it, though it is none of them.
    pub(super) fn alike(&self, value: &[u8]) -> Option<(Vec<u8>, String)> {
        let name = self.name(alike(value)?);
        let tried: Vec<&str> = TRIED.iter().map(|format| self.name(*format)).collect();
        let note = format!(
            "The value has no name and is valid as none of these: {}. It looks most like {name}.",
            tried.join(", ")
        );
        Some((name.into(), note))
    }

    fn is_valid(&self, format: Format, value: &[u8]) -> bool {
        let lines = vec![(self.name(format).into(), value.to_vec())];
        let reading = Reading::of(&lines, self.header, &[format]);
        reading.is_some_and(|reading| matches!(reading.found, Found::Context | Found::Decision))
    }

    fn name(&self, format: Format) -> &'a str {
        match format {
            Format::TraceContext => self.header,
            other => other.headers().carriers.first().copied().unwrap_or_default(),
        }
    }
}

/// The format of a value that is broken, by its separators.
fn alike(value: &[u8]) -> Option<Format> {
    let is_short = value.len() <= 2048 && !value.contains(&b' ');
    let text = value.to_ascii_lowercase();
    let pieces = |sign: u8| text.split(move |byte| *byte == sign).collect::<Vec<_>>();
    let (dashes, colons, slashes) = (pieces(b'-'), pieces(b':'), pieces(b'/'));
    let is_root =
        ["root=", "self=", "parent=", "lineage="].iter().any(|key| text.starts_with(key.as_bytes()));
    let is_hex = |piece: &&[u8]| !piece.is_empty() && piece.iter().all(u8::is_ascii_hexdigit);
    let is_id = |piece: Option<&&[u8]>| piece.is_some_and(|piece| piece.len() >= 16 && is_hex(piece));
    match (dashes.as_slice(), colons.as_slice(), slashes.as_slice()) {
        _ if !is_short => None,
        _ if is_root => Some(Format::XRay),
        (_, [_, _, _, _], _) if colons.iter().filter(|piece| is_hex(piece)).count() >= 2 => {
            Some(Format::Jaeger)
        }
        (_, _, [_, _, ..]) if is_id(slashes.first()) => Some(Format::Gcp),
        ([b"0" | b"1", _, _, _, _, _, ..], ..) => Some(Format::Sw8),
        ([version, _, _, ..], ..) if version.len() == 2 => Some(Format::TraceContext),
        ([_, _, ..], ..) if is_id(dashes.first()) => Some(Format::B3),
        ([_, trace, ..], ..) if is_id(Some(trace)) => Some(Format::TraceContext),
        _ => None,
    }
}
