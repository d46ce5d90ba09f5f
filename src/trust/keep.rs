//! What passes from senders whose context does not count: named companions of a context, with values that are expected.

use crate::baggage::{self, Member};
use crate::headers::{BAGGAGE, HeaderWriter, Headers, ignore};
use crate::matching::Pattern;
use crate::settings::{
    BaggageKey, CompanionName, Expected, FaultKind, NonEmpty, Object, Reader, Rules, settings,
};

settings! {
    /// What passes from untrusted senders. What is not in the list does not.
    #[derive(Default)]
    pub(crate) struct Keep(Vec<Kept>);
}

settings! {
    /// A header that accompanies a context, or a member of `baggage`, with the values that it may have. Such as
    /// `{"header": "x-datadog-origin", "values": ["rum"]}` or `{"baggage": "tenant", "pattern": "[a-z]{1,16}"}`.
    pub(crate) struct Kept "Kept from untrusted senders", checked {
        /// A [companion](formats.md#headers-and-companions) of a format, other than `baggage` itself. It passes if it came once. Such
        /// as `"x-datadog-origin"` or `"ot-baggage-tenant"`.
        pub(crate) header: Option<CompanionName> = None,
        /// The key of a member of `baggage`. It passes if it came once, without its properties. Such as `"tenant"`.
        pub(crate) baggage: Option<BaggageKey> = None,
        /// The values that pass, exactly as they are written on the wire. Such as `["rum"]`.
        pub(crate) values: Option<Vec<NonEmpty>> = None,
        /// A regular expression that the whole value must match, as it is written on the wire. A value of more than 256 bytes
        /// does not pass.
        pub(crate) pattern: Option<Pattern> = None,
    }
}

/// How many bytes a value may have that passes.
const MAX_VALUE: usize = 256;

impl Rules for Kept {
    fn check(&self, reader: &mut Reader<'_>) {
        if self.header.is_some() == self.baggage.is_some() {
            reader.absent(FaultKind::Conflict, Expected::Phrase("either `header` or `baggage`"));
        }
        if self.values.is_some() == self.pattern.is_some() {
            reader.absent(FaultKind::Conflict, Expected::Phrase("either `values` or `pattern`"));
        }
    }

    fn describe(object: &mut Object) {
        object.forms = vec![
            &["header", "values"],
            &["header", "pattern"],
            &["baggage", "values"],
            &["baggage", "pattern"],
        ];
    }
}

impl Kept {
    /// Whether a value passes.
    fn admits(&self, value: &[u8]) -> bool {
        value.len() <= MAX_VALUE
            && (self.values.iter().flatten().any(|known| known.as_bytes() == value)
                || self.pattern.as_ref().is_some_and(|pattern| pattern.holds(value)))
    }
}

impl Keep {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether members of `baggage` are named.
    pub(crate) fn names_baggage(&self) -> bool {
        self.0.iter().any(|entry| entry.baggage.is_some())
    }

    /// Whether a companion passes: it came once, with a value that is expected. The members of `baggage` are
    /// [cut](Self::cut_baggage) one by one.
    pub(crate) fn passes(&self, name: &str, headers: &Headers) -> bool {
        if name == BAGGAGE {
            return self.names_baggage();
        }
        let is_named =
            |entry: &&Kept| entry.header.as_ref().is_some_and(|known| name.eq_ignore_ascii_case(known));
        let mut entries = self.0.iter().filter(is_named).peekable();
        if entries.peek().is_none() {
            return false;
        }
        let lines = headers.lines(name);
        !lines.is_repeated() && lines.first().is_some_and(|value| entries.any(|entry| entry.admits(value)))
    }

    /// Leaves those members of `baggage` that pass, and removes the header if there is none.
    pub(crate) fn cut_baggage(&self, headers: &Headers, writer: &mut dyn HeaderWriter) {
        let lines = headers.lines(BAGGAGE);
        if lines.first().is_none() {
            return;
        }
        let members: Vec<Member<'_>> = baggage::members(lines).filter_map(Member::parse).collect();
        let mut kept = Vec::new();
        for entry in &self.0 {
            let Some(key) = &entry.baggage else { continue };
            let mut named = members.iter().filter(|member| member.key == key.as_bytes());
            if let (Some(member), None) = (named.next(), named.next())
                && entry.admits(member.value)
                && !kept.contains(member)
            {
                kept.push(*member);
            }
        }
        if kept.is_empty() {
            ignore(writer.remove(BAGGAGE));
        } else {
            ignore(writer.set(BAGGAGE, &baggage::join(&kept)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Format;

    #[test]
    fn the_names_that_can_be_kept_are_those_of_all_companions() {
        let headers = || Format::ALL.iter().map(|format| format.headers());
        let companions = headers().flat_map(|headers| headers.companions).map(|companion| companion.name);
        let mut names = 0;
        for name in companions.filter(|name| *name != BAGGAGE) {
            assert!(CompanionName::parse(&name.replace('*', "tenant")).is_some(), "{name}");
            names += 1;
        }
        assert!(names > 8, "{names}");
        for name in
            headers().flat_map(|headers| headers.carriers).copied().chain([BAGGAGE, "x-a", "ot-baggage-"])
        {
            assert!(CompanionName::parse(name).is_none(), "{name}");
        }
    }
}
