//! The lines of a `tracestate`, one to a line of input, against the rules; and the first of them as a member of our
//! own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracewarden::w3c::{Member, TraceState};
use tracewarden_fuzz::reading::{self, Pair};
use tracewarden_fuzz::work;

fuzz_target!(|data: &[u8]| {
    let lines: Vec<&[u8]> =
        if data.is_empty() { Vec::new() } else { data.split(|octet| *octet == b'\n').collect() };
    let parsed = work::bounded(data.len(), || TraceState::parse(lines.iter().copied()));
    let expected = reading::tracestate(&lines);
    assert_eq!(parsed.as_ref().ok().map(pairs), expected, "{parsed:?}");
    let Ok(list) = parsed else { return };
    let written = list.to_bytes();
    assert_eq!(written, reading::print(&pairs(&list)));
    assert_eq!(reading::tracestate(&[&written]), expected, "what is written reads the same");
    assert_eq!(list.is_verbatim(), lines.is_empty() || !written.is_empty() && lines == [&written]);
    assert_eq!(list.is_empty(), written.is_empty());
    if let Some((key, value)) = lines.first().and_then(|line| reading::halves(line, b'=')) {
        own(list, key, value);
    }
});

/// Puts a member in front, and takes it out again.
fn own(list: TraceState<'_>, key: &[u8], value: &[u8]) {
    let member = Member::new(key, value);
    assert_eq!(member.is_ok(), reading::is_member(key, value), "{member:?}");
    let Ok(member) = member else { return };
    let mut others = pairs(&list);
    others.retain(|(other, _)| other != key);
    let without = list.clone().without(key);
    assert_eq!(pairs(&without), others);
    assert_eq!(without.is_verbatim(), list.is_verbatim() && list.value(key).is_none());
    let with = list.with(member);
    others.insert(0, (key.to_vec(), value.to_vec()));
    others.truncate(TraceState::MAX_MEMBERS);
    assert_eq!(reading::tracestate(&[&with.to_bytes()]), Some(others), "the new list is valid");
    assert!(!with.is_verbatim());
}

fn pairs(list: &TraceState<'_>) -> Vec<Pair> {
    list.members().iter().map(|member| (member.key().to_vec(), member.value().to_vec())).collect()
}
