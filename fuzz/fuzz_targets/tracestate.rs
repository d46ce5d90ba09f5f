//! The lines of a `tracestate`, one to a line of input, against the rules; and the first of them as a member of our
//! own.
#![no_main]

use bstr::ByteSlice;
use libfuzzer_sys::fuzz_target;
use tracewarden::w3c::{Member, TraceState};
use tracewarden_fuzz::reading::{self, Pair};
use tracewarden_fuzz::work;

fuzz_target!(|data: &[u8]| {
    let lines: Vec<&[u8]> = if data.is_empty() { Vec::new() } else { data.split_str("\n").collect() };
    let parsed = work::bounded(data.len(), || TraceState::parse(lines.iter().copied()));
    let expected = reading::tracestate(&lines);
    assert_eq!(parsed.as_ref().ok().map(pairs), expected, "{parsed:?}");
    let Ok(list) = parsed else { return };
    let written = list.to_bytes();
    assert_eq!(written, reading::print(&pairs(&list), b'=', b','));
    assert_eq!(reading::tracestate(&[&written]), expected, "what is written reads the same");
    assert_eq!(list.is_verbatim(), lines.is_empty() || !written.is_empty() && lines == [&written]);
    assert_eq!(list.is_empty(), written.is_empty());
    // One that no list has, so that a full list must make room for it.
    own(list.clone(), b"own=1");
    if let Some(line) = lines.first() {
        own(list, line);
    }
});

/// Puts a member in front, and takes it out again.
fn own(list: TraceState<'_>, line: &[u8]) {
    let Some((key, value)) = line.split_once_str("=") else { return };
    let member = Member::new(key, value);
    assert_eq!(member.is_ok(), reading::is_member(line), "{member:?}");
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
