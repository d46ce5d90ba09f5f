//! JSON ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)), as far as a configuration needs it: names in an object are
//! distinct, and numbers keep their text.
//!
//! Of our own, because the module would be a quarter larger with `serde_json`, against which the tests hold it.

use core::fmt;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

/// What is due where the text goes on otherwise.
type Due = &'static str;

/// How deep lists and objects may lie in each other.
const MAX_DEPTH: usize = 32;

impl Value {
    /// Reads a whole document, or says what is due at which line and column.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let mut reader = Reader { rest: json, depth: 0 };
        let read = reader.value().and_then(|value| {
            reader.skip_space();
            if reader.rest.is_empty() { Ok(value) } else { Err("the end") }
        });
        read.map_err(|due| {
            let before = json.get(..json.len() - reader.rest.len()).unwrap_or_default();
            let line = before.split(|octet| *octet == b'\n');
            let column = line.clone().next_back().map_or(0, <[u8]>::len) + 1;
            format!("{due} is due at line {}, column {column}", line.count())
        })
    }
}

/// What is left to read.
struct Reader<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Takes the octets, if they come next.
    fn take(&mut self, octets: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(octets);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The same after white space.
    fn take_sign(&mut self, sign: u8) -> bool {
        self.skip_space();
        self.take(&[sign])
    }

    fn value(&mut self) -> Result<Value, Due> {
        self.skip_space();
        match self.rest.first() {
            Some(b'"') => self.text().map(Value::Text),
            Some(b'[') => self.list(),
            Some(b'{') => self.object(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.take(b"null") => Ok(Value::Null),
            _ if self.take(b"true") => Ok(Value::Bool(true)),
            _ if self.take(b"false") => Ok(Value::Bool(false)),
            _ => Err("a value"),
        }
    }

    fn list(&mut self) -> Result<Value, Due> {
        let mut items = Vec::new();
        self.items([b'[', b']'], "a comma or ]", |reader| {
            items.push(reader.value()?);
            Ok(())
        })?;
        Ok(Value::List(items))
    }

    fn object(&mut self) -> Result<Value, Due> {
        let mut fields: Vec<(String, Value)> = Vec::new();
        self.items([b'{', b'}'], "a comma or }", |reader| {
            reader.skip_space();
            let name = reader.text()?;
            if fields.iter().any(|(earlier, _)| *earlier == name) {
                return Err("another name");
            }
            if !reader.take_sign(b':') {
                return Err("a colon");
            }
            fields.push((name, reader.value()?));
            Ok(())
        })?;
        Ok(Value::Object(fields))
    }

    /// Reads items between brackets, with commas between them.
    fn items(
        &mut self,
        [open, close]: [u8; 2],
        due: Due,
        mut item: impl FnMut(&mut Self) -> Result<(), Due>,
    ) -> Result<(), Due> {
        self.take(&[open]);
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("something less deep");
        }
        if !self.take_sign(close) {
            item(self)?;
            while self.take_sign(b',') {
                item(self)?;
            }
            if !self.take_sign(close) {
                return Err(due);
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// ```text
    /// number = [ "-" ] ( "0" / ( 1-9 *DIGIT ) ) [ "." 1*DIGIT ] [ ( "e" / "E" ) [ "+" / "-" ] 1*DIGIT ]
    /// ```
    fn number(&mut self) -> Result<Value, Due> {
        let start = self.rest;
        self.take(b"-");
        if !self.take(b"0") {
            self.digits()?;
        }
        if self.take(b".") {
            self.digits()?;
        }
        if self.take(b"e") || self.take(b"E") {
            let _sign = self.take(b"+") || self.take(b"-");
            self.digits()?;
        }
        let text = start.get(..start.len() - self.rest.len()).unwrap_or_default();
        Ok(Value::Number(text.iter().copied().map(char::from).collect()))
    }

    fn digits(&mut self) -> Result<(), Due> {
        let length = self.rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
        self.rest = self.rest.get(length..).unwrap_or_default();
        if length == 0 { Err("a digit") } else { Ok(()) }
    }

    fn text(&mut self) -> Result<String, Due> {
        if !self.take(b"\"") {
            return Err("a text in quotes");
        }
        let mut text = Vec::new();
        loop {
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return String::from_utf8(text).map_err(|_| "a text in UTF-8");
                }
                [b'\\', rest @ ..] => {
                    self.rest = rest;
                    let character = self.escaped()?;
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                [octet @ 0x20..=0xff, rest @ ..] => {
                    text.push(*octet);
                    self.rest = rest;
                }
                _ => return Err("the end of a text"),
            }
        }
    }

    /// What follows a backslash.
    fn escaped(&mut self) -> Result<char, Due> {
        let [letter, rest @ ..] = self.rest else { return Err("an escape") };
        self.rest = rest;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(*letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                let code = match unit {
                    // The first half of a character that UTF-16 writes in two.
                    0xd800..=0xdbff if self.take(b"\\u") => {
                        let low = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400);
                        low.map(|low| 0x10000 + ((unit - 0xd800) << 10) + low)
                    }
                    _ => Some(unit),
                };
                code.and_then(char::from_u32).ok_or("a character")?
            }
            _ => return Err("an escape"),
        })
    }

    fn unit(&mut self) -> Result<u32, Due> {
        let (digits, rest) = self.rest.split_at_checked(4).ok_or("four hexadecimal digits")?;
        self.rest = rest;
        let digit = |octet: &u8| char::from(*octet).to_digit(16).ok_or("four hexadecimal digits");
        digits.iter().try_fold(0, |unit, octet| Ok(unit << 4 | digit(octet)?))
    }
}

/// As a refusal shows it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(_) => f.write_str("a list"),
            Self::Object(_) => f.write_str("an object"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::ChaCha12Rng;
    use rand::{Rng, SeedableRng};

    /// The same value as serde_json reads it.
    fn of(value: serde_json::Value) -> Value {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(value),
            serde_json::Value::Number(number) => Value::Number(number.to_string()),
            serde_json::Value::String(text) => Value::Text(text),
            serde_json::Value::Array(items) => Value::List(items.into_iter().map(of).collect()),
            serde_json::Value::Object(fields) => {
                Value::Object(fields.into_iter().map(|(name, value)| (name, of(value))).collect())
            }
        }
    }

    /// Fields in the order of their names, as serde_json keeps them.
    fn sorted(value: Value) -> Value {
        match value {
            Value::List(items) => Value::List(items.into_iter().map(sorted).collect()),
            Value::Object(fields) => {
                let mut fields: Vec<_> =
                    fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
                fields.sort_by(|(one, _), (other, _)| one.cmp(other));
                Value::Object(fields)
            }
            other => other,
        }
    }

    #[test]
    fn reads_what_serde_json_reads_and_refuses_what_it_refuses() {
        let texts: &[&str] = &[
            "null",
            "true",
            " false\n",
            "0",
            "-0",
            "1.50",
            "1e+5",
            "-12E-3",
            "\"\"",
            "[]",
            "{}",
            "[1, [2, {}]]",
            r#"{"a": {"b": [true, null]}, "c": "d"}"#,
            r#""\"\\\/\b\f\n\r\tA\u00e9\ud83d\ude00""#,
            "\"\u{e9}\u{1f600}\"",
            "",
            " ",
            "nul",
            "tru",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e+",
            "-",
            "--1",
            "\"",
            "\"\\\"",
            r#""\x""#,
            r#""\u12""#,
            r#""\ud800""#,
            r#""\ud800A""#,
            r#""\udc00""#,
            "\"\t\"",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{",
            "{1:2}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            "{} {}",
            "[]]",
            "'a'",
            "NaN",
            "\u{feff}{}",
            "\u{c}1",
        ];
        for text in texts {
            agree(text.as_bytes());
        }
        agree(b"\"\xff\"");
    }

    #[test]
    fn agrees_with_serde_json_about_whatever_a_configuration_becomes_by_mistake() {
        let sound = br#"{"mode": "observe", "sampling": {"probability": 0.25, "rules": [{"x": -1e3}]}, "t": "\u00e9\n", "n": null}"#;
        const SIGNS: &[u8] = b"{}[]\",:\\u0-+.eEtn \n\x1f\xc3";
        let mut rng = ChaCha12Rng::from_seed([5; 32]);
        let mut pick = |below: usize| (rng.next_u64() % below as u64) as usize;
        for _ in 0..20_000 {
            let mut text = sound.to_vec();
            for _ in 0..=pick(3) {
                let place = pick(text.len());
                match pick(3) {
                    0 => drop(text.remove(place)),
                    1 => text.insert(place, SIGNS[pick(SIGNS.len())]),
                    _ => text[place] = SIGNS[pick(SIGNS.len())],
                }
            }
            agree(&text);
        }
    }

    fn agree(text: &[u8]) {
        let (ours, theirs) = (Value::parse(text), serde_json::from_slice::<serde_json::Value>(text));
        let shown = String::from_utf8_lossy(text);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => assert_eq!(shape(sorted(ours)), shape(of(theirs)), "{shown}"),
            // serde_json keeps the last of two fields with the same name.
            (Err(due), Ok(_)) => assert!(due.starts_with("another name"), "{shown}: {due}"),
            (Ok(ours), Err(error)) => panic!("{shown}: {ours:?}, but {error}"),
            (Err(_), Err(_)) => {}
        }
    }

    /// Numbers by what they say: serde_json writes some of them otherwise than they came.
    fn shape(value: Value) -> String {
        format!("{value:?}").replace('E', "e").replace("e+", "e")
    }

    #[test]
    fn what_lies_too_deep_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Value::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        let refused = Value::parse(nested(MAX_DEPTH + 1).as_bytes());
        assert_eq!(refused, Err("something less deep is due at line 1, column 34".to_owned()));
        assert!(Value::parse("[".repeat(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn a_refusal_says_where() {
        for (text, says) in [
            ("{\n  \"mode\": observe\n}", "a value is due at line 2, column 11"),
            ("{\"a\": 1 \"b\": 2}", "a comma or } is due at line 1, column 9"),
            ("{\"a\": 1, \"a\": 2}", "another name is due at line 1, column 13"),
            ("{} x", "the end is due at line 1, column 4"),
            ("", "a value is due at line 1, column 1"),
        ] {
            assert_eq!(Value::parse(text.as_bytes()), Err(says.to_owned()), "{text}");
        }
    }
}
