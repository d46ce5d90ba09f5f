//! Expressions as Envoy compiles and evaluates them, as far as a filter needs them: lists of properties.
//!
//! ```text
//! expression = "[" term *( "," term ) "]"
//! term       = path / "has(" path ")?" path ":''"      ; the same path twice
//! path       = name 1*( "." name )
//! ```

use crate::headers::serialized;
use crate::{Host, Status};

/// A list of properties.
#[derive(Clone, Debug)]
pub(crate) struct Expression(Vec<Term>);

#[derive(Clone, Debug)]
struct Term {
    /// The path, its parts joined by NUL.
    path: Vec<u8>,
    /// Whether the value is empty if the host does not have it.
    is_optional: bool,
}

impl Expression {
    /// Compiles an expression, or returns `None` if it is another one than this host knows.
    pub(crate) fn compile(text: &str) -> Option<Self> {
        let list = text.strip_prefix('[')?.strip_suffix(']')?;
        list.split(',').map(Term::compile).collect::<Option<_>>().map(Self)
    }

    /// The values, as the names of pairs. It fails as a whole for one that the host does not have.
    pub(crate) fn evaluate(&self, host: &mut Host) -> Result<Vec<u8>, Status> {
        let mut value = |term: &Term| match host.property(&term.path) {
            Err(_) if !term.is_optional => Err(Status::InternalFailure),
            value => Ok(value.unwrap_or_default()),
        };
        let values: Vec<Vec<u8>> = self.0.iter().map(&mut value).collect::<Result<_, _>>()?;
        Ok(serialized(&values.iter().map(|value| (value.as_slice(), &b""[..])).collect::<Vec<_>>()))
    }
}

impl Term {
    fn compile(text: &str) -> Option<Self> {
        let Some(optional) = text.strip_prefix("has(") else {
            return Some(Self { path: path(text)?, is_optional: false });
        };
        let (tested, rest) = optional.split_once(")?")?;
        let value = rest.strip_suffix(":''")?;
        (tested == value).then_some(Self { path: path(value)?, is_optional: true })
    }
}

fn path(text: &str) -> Option<Vec<u8>> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let names: Vec<&str> = text.split('.').collect();
    (names.len() > 1 && names.iter().all(|name| is_name(name))).then(|| names.join("\0").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_every_value_or_none() {
        let mut host = Host::new();
        host.set_property(&["a", "b"], "X");
        let mut value = |text| Expression::compile(text).expect(text).evaluate(&mut host);
        assert_eq!(value("[a.b,has(a.c)?a.c:'']"), Ok(serialized(&[(b"X", b""), (b"", b"")])));
        assert_eq!(value("[a.b,a.c]"), Err(Status::InternalFailure));
    }

    #[test]
    fn another_language_is_refused() {
        for text in [
            "",
            "a.b",
            "[]",
            "[a]",
            "[a.b",
            "[a.]",
            "[a.b,]",
            "[has(a.b)?a.c:'']",
            "[has(a.b)?a.b:0]",
            "[a.b + 1]",
        ] {
            assert!(Expression::compile(text).is_none(), "{text}");
        }
    }
}
