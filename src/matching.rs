//! Conditions on a request, for those parts of the configuration that are about some requests only.

use core::cell::OnceCell;
use core::str::Chars;

use regex_lite::{Regex, RegexBuilder};

use crate::headers::{Headers, host_and_port, is_grpc, without_credentials, without_query};
use crate::settings::{
    Expected, FaultKind, Form, HeaderName, Object, Reader, Rule, Rules, Setting, Shape, Value, settings,
};
use crate::words::{Direction, DirectionWord};

settings! {
    /// Conditions on a request, all of which must hold. At least one is stated, such as `{"path_prefix": "/healthz"}`.
    pub(crate) struct Match "Match", checked {
        /// The host without its port. Upper and lower case are the same, and so is an absolute name (`example.org.`). A `*`
        /// at the start stands for one or more labels, such as `"*.example.org"`.
        pub(crate) host: Option<String> = None,
        /// The path without its query, such as `"/healthz"`.
        pub(crate) path: Option<String> = None,
        /// How the path begins, such as `"/static/"`.
        pub(crate) path_prefix: Option<String> = None,
        /// A regular expression that the whole path without its query must match. A path of more than 2,048 bytes
        /// matches nothing.
        pub(crate) path_regex: Option<Pattern> = None,
        /// The method, usually in upper case, such as `"OPTIONS"`.
        pub(crate) method: Option<String> = None,
        /// How `user-agent` begins, such as `"kube-probe/"`.
        pub(crate) user_agent_prefix: Option<String> = None,
        /// The service of a gRPC request, such as `"grpc.health.v1.Health"`.
        pub(crate) grpc_service: Option<String> = None,
        /// A header that the request has.
        pub(crate) header: Option<HeaderMatch> = None,
        /// Which way the request goes. `"auto"` is any way, and no condition if it is alone.
        pub(crate) direction: DirectionWord = DirectionWord::Auto,
    }
}

impl Rules for Match {
    fn check(&self, reader: &mut Reader<'_>) {
        if *self == Self::default() {
            let expected = Expected::Phrase("a condition: without one every request would match");
            reader.absent(FaultKind::MissingField, expected);
        }
    }

    fn describe(object: &mut Object) {
        object.rules.push(Rule::NotEmpty);
    }
}

settings! {
    /// A header that a request has, such as `{"name": "x-tier", "value": "gold"}`.
    pub(crate) struct HeaderMatch "Header match" {
        /// The header's name.
        pub(crate) name: HeaderName,
        /// The value that one of its lines must have, exactly. Without it any value will do. Such as `"gold"`.
        pub(crate) value: Option<String> = None,
    }
}

/// A regular expression that a whole text must match. It takes time in proportion to the length of the text and of the
/// expression, whatever either of them is.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What the compiler says of it.
    fn parse(text: &str) -> Result<Self, String> {
        if !is_balanced(text) {
            return Err("a parenthesis is closed that was not opened".to_owned());
        }
        let mut builder = RegexBuilder::new(&format!("^(?:{text})$"));
        let built = builder.dot_matches_new_line(true).size_limit(MAX_PATTERN).build();
        built.map(Self).map_err(|error| error.to_string())
    }

    /// A path of other bytes than text matches nothing, and neither does one that is longer than any that we look at.
    pub(crate) fn holds(&self, path: &[u8]) -> bool {
        path.len() <= MAX_PATH && core::str::from_utf8(path).is_ok_and(|path| self.0.is_match(path))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Setting for Pattern {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let parsed = Self::parse(reader.text(value, PATTERN.expected)?);
        parsed.map_err(|reason| reader.malformed(PATTERN.expected, value, reason)).ok()
    }

    fn shape() -> Shape {
        Shape::Text(PATTERN)
    }
}

const PATTERN: Form = Form {
    title: "Regular expression",
    meaning: "A regular expression in the syntax of Rust's `regex-lite`, such as `\"/cart/[0-9]+\"`. It must match the whole \
        text, and takes time in proportion to it. There are no look-around and no back-references. It may take 64 KiB when \
        it is ready to run.",
    expected: "a regular expression",
    ..Form::ANY
};

/// Whether every `)` closes a group of the text's own. Another would close the group around it, and the `^` and `$` there
/// would no longer hold for all of it.
fn is_balanced(text: &str) -> bool {
    let (mut open, mut signs) = (0_usize, text.chars());
    while let Some(sign) = signs.next() {
        match sign {
            '(' => open += 1,
            ')' if open == 0 => return false,
            ')' => open -= 1,
            '[' => skip_class(&mut signs),
            '\\' => _ = signs.next(),
            _ => {}
        }
    }
    true
}

/// Skips the rest of a class such as `[^]a-z[:digit:]]`, in which parentheses are signs like others.
fn skip_class(signs: &mut Chars<'_>) {
    let text = signs.as_str();
    let inner = text.strip_prefix('^').unwrap_or(text);
    *signs = inner.strip_prefix(']').unwrap_or(inner).chars();
    while let Some(sign) = signs.next() {
        match sign {
            ']' => return,
            '[' => *signs = signs.as_str().split_once(":]").map_or("", |(_, rest)| rest).chars(),
            '\\' => _ = signs.next(),
            _ => {}
        }
    }
}

/// How many bytes a pattern may take when it is ready to run.
const MAX_PATTERN: usize = 64 * 1024;
/// How many bytes a path may have that a pattern is tried on.
const MAX_PATH: usize = 2048;

/// A request that conditions are tried on. Each header is looked up when a condition first asks for it, and one that the
/// request does not have is empty.
pub struct Target<'a> {
    pub(crate) headers: &'a Headers,
    pub(crate) direction: Direction,
    host: OnceCell<&'a [u8]>,
    path: OnceCell<&'a [u8]>,
    path_without_query: OnceCell<&'a [u8]>,
    method: OnceCell<&'a [u8]>,
    user_agent: OnceCell<&'a [u8]>,
    is_grpc: OnceCell<bool>,
}

impl<'a> Target<'a> {
    /// A request with these headers that goes this way.
    #[must_use]
    #[inline]
    pub const fn new(headers: &'a Headers, direction: Direction) -> Self {
        Self {
            headers,
            direction,
            host: OnceCell::new(),
            path: OnceCell::new(),
            path_without_query: OnceCell::new(),
            method: OnceCell::new(),
            user_agent: OnceCell::new(),
            is_grpc: OnceCell::new(),
        }
    }

    fn header(&self, name: &str) -> &'a [u8] {
        self.headers.first(name).unwrap_or_default()
    }

    /// The host of the authority.
    fn host(&self) -> &'a [u8] {
        self.host.get_or_init(|| without_dot(host_and_port(without_credentials(self.header(":authority"))).0))
    }

    fn path(&self) -> &'a [u8] {
        self.path.get_or_init(|| self.header(":path"))
    }

    fn path_without_query(&self) -> &'a [u8] {
        self.path_without_query.get_or_init(|| without_query(self.path()))
    }

    fn method(&self) -> &'a [u8] {
        self.method.get_or_init(|| self.header(":method"))
    }

    fn user_agent(&self) -> &'a [u8] {
        self.user_agent.get_or_init(|| self.header("user-agent"))
    }

    /// `shop.v1.Cart` of `/shop.v1.Cart/Add`.
    fn grpc_service(&self) -> Option<&'a [u8]> {
        if !self.is_grpc.get_or_init(|| is_grpc(self.header("content-type"))) {
            return None;
        }
        self.path().strip_prefix(b"/")?.split(|byte| *byte == b'/').next()
    }
}

impl Match {
    /// Whether it holds.
    pub(crate) fn holds(&self, target: &Target<'_>) -> bool {
        self.is_of_direction(target.direction) && self.holds_but_for_direction(target)
    }

    /// Whether it holds, as far as is known: the listener need not state the direction.
    pub(crate) fn may_hold(&self, target: &Target<'_>) -> bool {
        let direction = target.direction;
        (direction == Direction::Unspecified || self.is_of_direction(direction))
            && self.holds_but_for_direction(target)
    }

    fn is_of_direction(&self, direction: Direction) -> bool {
        self.direction.stated().is_none_or(|wanted| direction == wanted)
    }

    fn holds_but_for_direction(&self, target: &Target<'_>) -> bool {
        let is = |wanted: &Option<String>, test: &dyn Fn(&[u8]) -> bool| {
            wanted.as_ref().is_none_or(|wanted| test(wanted.as_bytes()))
        };
        is(&self.host, &|wanted| is_host(target.host(), wanted))
            && is(&self.path, &|wanted| target.path_without_query() == wanted)
            && self.path_regex.as_ref().is_none_or(|pattern| pattern.holds(target.path_without_query()))
            && is(&self.path_prefix, &|wanted| target.path().starts_with(wanted))
            && is(&self.method, &|wanted| target.method() == wanted)
            && is(&self.user_agent_prefix, &|wanted| target.user_agent().starts_with(wanted))
            && is(&self.grpc_service, &|wanted| target.grpc_service() == Some(wanted))
            && self.header.as_ref().is_none_or(|header| header.holds(target.headers))
    }
}

impl HeaderMatch {
    fn holds(&self, headers: &Headers) -> bool {
        let mut lines = headers.lines(&self.name).iter();
        lines.any(|line| self.value.as_ref().is_none_or(|value| line == value.as_bytes()))
    }
}

/// Hosts are compared without regard to case, and to the dot at the end of an absolute name; a wildcard matches at least
/// one label.
fn is_host(host: &[u8], wanted: &[u8]) -> bool {
    let wanted = without_dot(wanted);
    match wanted.strip_prefix(b"*") {
        Some(suffix) => {
            match host.len().checked_sub(suffix.len()).and_then(|place| host.split_at_checked(place)) {
                Some((label, end)) => !label.is_empty() && end.eq_ignore_ascii_case(suffix),
                None => false,
            }
        }
        None => host.eq_ignore_ascii_case(wanted),
    }
}

fn without_dot(mut host: &[u8]) -> &[u8] {
    while let [rest @ .., b'.'] = host {
        host = rest;
    }
    host
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::ChaCha12Rng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn a_pattern_is_of_the_whole_text() {
        let rows = [
            ("/cart|/shop", "/cart", true),
            ("/cart|/shop", "/cart/1", false),
            ("/cart|/cart/1", "/cart/1", true),
            ("(?i)/CART", "/cart", true),
            (".*", "a\nb", true),
            (r"[)\]]+", ")]", true),
            ("[]()]+", "()]", true),
            ("[^])]", ")", false),
            ("[[:punct:])]+", ").", true),
            (r"\(\)", "()", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, text, holds) in rows {
            assert_eq!(Pattern::parse(pattern).unwrap().holds(text.as_bytes()), holds, "{pattern} {text}");
        }
        assert!(!Pattern::parse(".*").unwrap().holds(&[b'a'; MAX_PATH + 1]));
    }

    #[test]
    fn what_is_refused_is_what_is_no_expression_alone_or_in_a_group() {
        let built = |text: &str| RegexBuilder::new(text).size_limit(MAX_PATTERN).build().is_ok();
        let mut rng = ChaCha12Rng::from_seed([3; 32]);
        let (mut refused, mut unbalanced) = (0, 0);
        for _ in 0..100_000 {
            let signs = b"()()[]^|a-:\\";
            let text: String = (0..rng.next_u64() % 10)
                .map(|_| char::from(signs[rng.next_u64() as usize % signs.len()]))
                .collect();
            let (alone, in_group) = (built(&text), built(&format!("^(?:{text})$")));
            assert_eq!(Pattern::parse(&text).is_ok(), alone && in_group, "{text}");
            refused += usize::from(!alone);
            unbalanced += usize::from(!alone && in_group);
        }
        assert!(refused > 1_000 && unbalanced > 100, "{refused} {unbalanced}");
    }
}
