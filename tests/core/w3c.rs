//! The wire formats of W3C Trace Context: each row names the rule that it tests.

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use tracewarden::w3c::{Member, TraceState, TraceStateError as S};
use tracewarden::w3c::{SpanId, TraceFlags, TraceId, TraceParent, TraceParentError as P};

const T: &str = "0af7651916cd43dd8448eb211c80319c";
const P_: &str = "b7ad6b7169203331";

/// A header value with `T` and `P` standing for the usual trace-id and parent-id.
fn value(short: &str) -> Vec<u8> {
    short.replace('T', T).replace('P', P_).into_bytes()
}

#[test]
fn reads_every_valid_traceparent() {
    let rows = [
        ("TP-01", "sampled", "00-T-P-01", "00-T-P-01"),
        ("TP-03", "the random flag alone", "00-T-P-02", "00-T-P-02"),
        ("TP-26 TP-27", "reserved flags read as unset", "00-T-P-ff", "00-T-P-03"),
        ("TP-26", "one reserved flag", "00-T-P-08", "00-T-P-00"),
        ("TP-15 TP-26", "flags that only a future version knows", "fe-T-P-ff-x", "00-T-P-03"),
        ("TP-04", "white space on both sides", " \t00-T-P-01\t ", "00-T-P-01"),
        ("TP-13 TP-16", "a future version of the same length", "cc-T-P-01", "00-T-P-01"),
        ("TP-13 TP-14", "a future version with more fields", "cc-T-P-01-more", "00-T-P-01"),
        ("TP-14", "a future version with a lone dash", "fe-T-P-01-", "00-T-P-01"),
        (
            "TP-14 TP-07",
            "what follows in a future version may be anything",
            "01-T-P-00-\u{e9}, ",
            "00-T-P-00",
        ),
    ];
    for (rule, why, input, output) in rows {
        let parsed = TraceParent::parse(&value(input)).unwrap_or_else(|e| panic!("{rule}, {why}: {e}"));
        assert_eq!(parsed.to_bytes().as_slice(), value(output), "{rule}: {why}");
        assert_eq!(parsed.to_string().into_bytes(), value(output), "{rule}: Display prints the same");
        assert_eq!(
            TraceParent::parse(&parsed.to_bytes()),
            Ok(parsed),
            "{rule}: what is written reads the same"
        );
    }
}

#[test]
fn refuses_every_invalid_traceparent_with_its_reason() {
    let zeros = "00000000000000000000000000000000";
    let rows = [
        ("TP-02", "nothing", "".to_owned(), P::Empty),
        ("TP-02", "white space only", " \t ".to_owned(), P::Empty),
        ("TP-10", "one digit of version", "0-T-P-01".to_owned(), P::Version),
        ("TP-10", "three digits of version", "000-T-P-01".to_owned(), P::Version),
        ("TP-10", "a version that is not hexadecimal", ".0-T-P-01".to_owned(), P::Version),
        ("TP-05 TP-10", "a version in upper case", "CC-T-P-01".to_owned(), P::Version),
        ("TP-10", "the version alone", "00".to_owned(), P::Version),
        ("TP-11", "version ff", "ff-T-P-01".to_owned(), P::VersionForbidden),
        ("TP-22", "the version and nothing more", "00-".to_owned(), P::Short),
        ("TP-13", "a future version that is too short", "cc-T-P-0".to_owned(), P::Short),
        ("TP-24", "one digit of flags", "00-T-P-1".to_owned(), P::Short),
        ("TP-22", "underscores", "00-T_P_01".to_owned(), P::Delimiter),
        ("TP-22", "33 digits of trace-id", "00-T0-P-01".to_owned(), P::Delimiter),
        ("TP-23", "17 digits of parent-id", "00-T-P7-01".to_owned(), P::Delimiter),
        (
            "TP-05",
            "a trace-id in upper case",
            "00-0AF7651916cd43dd8448eb211c80319c-P-01".to_owned(),
            P::UpperCase,
        ),
        ("TP-05", "a parent-id in upper case", "00-T-B7ad6b7169203331-01".to_owned(), P::UpperCase),
        ("TP-05", "flags in upper case", "00-T-P-0A".to_owned(), P::UpperCase),
        (
            "TP-22",
            "a trace-id with a letter g",
            "00-0af7651916cd43dd8448eb211c80319g-P-01".to_owned(),
            P::TraceId,
        ),
        (
            "TP-22",
            "a letter g beside upper case",
            "00-0AF7651916cd43dd8448eb211c80319g-P-01".to_owned(),
            P::TraceId,
        ),
        (
            "TP-22",
            "a sign, which number parsers take",
            "00-+af7651916cd43dd8448eb211c80319c-P-01".to_owned(),
            P::TraceId,
        ),
        ("TP-23", "a parent-id with a dot", "00-T-.7ad6b7169203331-01".to_owned(), P::ParentId),
        ("TP-24", "flags with a dot", "00-T-P-.0".to_owned(), P::Flags),
        ("TP-20", "a trace-id of zeros", format!("00-{zeros}-P-01"), P::TraceIdZero),
        ("TP-20 TP-13", "the same in a future version", format!("cc-{zeros}-P-01"), P::TraceIdZero),
        ("TP-21", "a parent-id of zeros", "00-T-0000000000000000-01".to_owned(), P::ParentIdZero),
        ("TP-12", "a dash after version 00", "00-T-P-01-".to_owned(), P::Trailing),
        ("TP-12", "a dot after version 00", "00-T-P-01.".to_owned(), P::Trailing),
        (
            "TP-12",
            "a field after version 00",
            "00-T-P-01-what-the-future-will-be-like".to_owned(),
            P::Trailing,
        ),
        ("TP-12", "a comma after version 00", "00-T-P-01, ".to_owned(), P::Trailing),
        ("TP-14", "a future version that goes on without a dash", "cc-T-P-01.x".to_owned(), P::Trailing),
        ("TP-04", "white space, then more", "00-T-P-01 x".to_owned(), P::Trailing),
        ("TP-06", "two values joined by a comma", "00-T-P-01, 00-T-P-01".to_owned(), P::Repeated),
        ("TP-07", "a byte above 7e", "00-T-P-01\u{e9}".to_owned(), P::Trailing),
    ];
    let mut reasons_seen = Vec::new();
    for (rule, why, input, reason) in rows {
        assert_eq!(TraceParent::parse(&value(&input)), Err(reason), "{rule}: {why}");
        reasons_seen.push(reason);
    }
    for reason in P::ALL {
        assert!(reasons_seen.contains(reason), "no row reaches {reason:?}");
    }
}

#[test]
fn no_byte_in_any_place_is_read_as_another() {
    let valid = value("00-T-P-01");
    for place in 0..valid.len() {
        for byte in 0..=u8::MAX {
            let mut changed = valid.clone();
            changed[place] = byte;
            if changed == valid {
                continue;
            }
            if let Ok(parsed) = TraceParent::parse(&changed) {
                assert!(byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase(), "{byte:#x} at {place}");
                // The version is written as 00, and reserved flags as unset.
                if place > 2 && place < 53 {
                    assert_eq!(parsed.to_bytes().as_slice(), changed, "{byte:#x} at {place}");
                }
            }
        }
    }
}

#[test]
fn a_long_value_is_refused_whatever_it_holds() {
    for byte in [b'x', b' ', b'0', b'-', b',', 0xff] {
        assert!(TraceParent::parse(&vec![byte; 60_000]).is_err(), "TP-07: {byte:#x}");
    }
}

#[test]
fn flags_are_tested_by_mask() {
    for (text, sampled, random) in [
        ("00", false, false),
        ("01", true, false),
        ("02", false, true),
        ("fb", true, true),
        ("fc", false, false),
    ] {
        let flags = TraceParent::parse(&value(&format!("00-T-P-{text}"))).unwrap().flags;
        assert_eq!((flags.is_sampled(), flags.is_random()), (sampled, random), "TP-03: {text}");
    }
    for (sampled, random) in [(false, false), (false, true), (true, false), (true, true)] {
        let flags = TraceFlags::of(sampled, random);
        assert_eq!((flags.is_sampled(), flags.is_random()), (sampled, random));
    }
}

#[test]
fn new_ids_differ_and_read_back() {
    let mut rng = ChaCha12Rng::from_seed([7; 32]);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1000 {
        let (trace_id, span_id) = (TraceId::random(&mut rng), SpanId::random(&mut rng));
        assert_eq!(TraceId::parse(&trace_id.to_hex()), Ok(trace_id), "TP-42");
        assert_eq!(SpanId::parse(&span_id.to_hex()), Ok(span_id), "TP-45");
        assert!(seen.insert(trace_id.to_string()) && seen.insert(span_id.to_string()));
    }
}

/// A generator that begins with zeros, as a real one may once in 2^64 draws.
struct ZerosFirst(u32);

impl rand::TryRng for ZerosFirst {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        panic!("ids are drawn 64 bits at a time")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 += 1;
        Ok(u64::from(self.0.saturating_sub(2)))
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
        panic!("ids are drawn 64 bits at a time")
    }
}

impl rand::TryCryptoRng for ZerosFirst {}

#[test]
fn an_id_of_zeros_is_drawn_again() {
    assert_eq!(TraceId::random(&mut ZerosFirst(0)).to_string(), "00000000000000010000000000000002", "TP-42");
    assert_eq!(SpanId::random(&mut ZerosFirst(0)).to_string(), "0000000000000001", "TP-45");
}

/// The lines as one list, printed; or why they are none.
fn list(lines: &[&str]) -> Result<String, S> {
    let list = TraceState::parse(lines.iter().map(|line| line.as_bytes()))?;
    let out = String::from_utf8(list.to_bytes()).unwrap();
    assert_eq!(
        list.is_verbatim(),
        lines.is_empty() || !out.is_empty() && lines == [out.as_str()],
        "{lines:?}"
    );
    assert_eq!(list.is_empty(), out.is_empty());
    Ok(out)
}

#[test]
fn reads_every_valid_tracestate() {
    let all = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@= !\"#$%&'()*+-./0123456789:;<>?@AZ[\\]^_`az{|}~";
    let (key_256, value_256) = (format!("foo=1,{}=1", "z".repeat(256)), format!("foo={}", "x".repeat(256)));
    let members_32 = (1..=32).map(|n| format!("bar{n}={n}")).collect::<Vec<_>>().join(",");
    let long = (0..20).map(|n| format!("k{n}={}", "y".repeat(200))).collect::<Vec<_>>().join(",");
    let rows: &[(&str, &str, &[&str], &str)] = &[
        ("TS-01", "no header", &[], ""),
        ("TS-10", "order is kept", &["foo=1,bar=2"], "foo=1,bar=2"),
        ("TS-03", "lines are one list", &["foo=1,bar=2", "rojo=1", "baz=3"], "foo=1,bar=2,rojo=1,baz=3"),
        ("TS-04", "an empty header", &[""], ""),
        ("TS-04", "empty members and lines", &["", "foo=1,, \t,bar=2,"], "foo=1,bar=2"),
        ("TS-05", "white space around members", &["\tfoo=1 \t,\t bar=2 "], "foo=1,bar=2"),
        (
            "TS-22",
            "leading spaces belong to the value, trailing ones do not",
            &["foo=  1 ,bar=2"],
            "foo=  1,bar=2",
        ),
        ("TS-22", "a space inside", &["foo=a b"], "foo=a b"),
        ("TS-06", "the same member twice", &["foo=1,foo=1"], "foo=1"),
        ("TS-06", "the same key in two lines: the first stays", &["foo=1", "bar=1,foo=2"], "foo=1,bar=1"),
        ("TS-20 TS-22", "every legal byte", &[all], all),
        ("TS-21", "a digit first", &["1a=1"], "1a=1"),
        ("TS-21", "signs of Level 2 keys", &["foo@=1,foo@@bar=2,a@b@c=3"], "foo@=1,foo@@bar=2,a@b@c=3"),
        ("TS-23", "a key of 256 bytes", &[&key_256], &key_256),
        ("TS-24", "a value of 256 bytes", &[&value_256], &value_256),
        ("TS-07", "32 members", &[&members_32], &members_32),
        ("TS-07", "empty members do not count", &[&members_32, ",,,,,"], &members_32),
        ("TS-07", "nor do duplicates", &[&members_32, "bar1=2"], &members_32),
        ("TS-08", "4 KB of members", &[&long], &long),
    ];
    for (rule, why, lines, expected) in rows {
        assert_eq!(list(lines).as_deref(), Ok(*expected), "{rule}: {why}");
    }
}

#[test]
fn refuses_every_invalid_tracestate_with_its_reason() {
    let (key_257, value_257) = (format!("foo=1,{}=1", "z".repeat(257)), format!("foo={}", "x".repeat(257)));
    let members_33 = (1..=33).map(|n| format!("bar{n}={n}")).collect::<Vec<_>>().join(",");
    let rows: &[(&str, &str, &[&str], S)] = &[
        ("TS-25", "no equals sign", &["foo"], S::NoEquals),
        ("TS-30", "one bad member spoils the list", &["bar=2,foo"], S::NoEquals),
        ("TS-20", "no key", &["=1"], S::Key),
        ("TS-20", "upper case", &["FOO=1"], S::Key),
        ("TS-20", "a dot", &["foo.bar=1"], S::Key),
        ("TS-20", "a space before the equals sign", &["foo =1"], S::Key),
        ("TS-20", "an underscore first", &["_foo=1"], S::Key),
        ("TS-20 TS-30", "an at sign first", &["@foo=1,bar=2"], S::Key),
        ("TS-20", "not ASCII", &["f\u{e9}=1"], S::Key),
        ("TS-23", "a key of 257 bytes", &[&key_257], S::KeyLong),
        ("TS-22", "a second equals sign", &["foo=bar=baz"], S::Value),
        ("TS-22", "a tab inside", &["foo=a\tb"], S::Value),
        ("TS-22", "not ASCII", &["foo=\u{e9}"], S::Value),
        ("TS-22", "a control", &["foo=\u{7f}"], S::Value),
        ("TS-24", "no value", &["foo=,bar=3"], S::ValueEmpty),
        ("TS-24", "a value of spaces", &["foo=   ,bar=3"], S::ValueEmpty),
        ("TS-24", "a value of 257 bytes", &[&value_257], S::ValueLong),
        ("TS-07", "33 members", &[&members_33], S::Members),
        ("TS-07", "33 members in two lines", &["a=1", &members_33[7..]], S::Members),
    ];
    let mut reasons_seen = Vec::new();
    for (rule, why, lines, reason) in rows {
        assert_eq!(list(lines), Err(*reason), "{rule}: {why}");
        reasons_seen.push(*reason);
    }
    for reason in S::ALL {
        assert!(reasons_seen.contains(reason), "no row reaches {reason:?}");
    }
}

#[test]
fn a_member_of_our_own_is_as_valid_as_one_that_came() {
    for (key, value, reason) in [
        (&b"a"[..], &b"b "[..], S::Value),
        (b"a", b" ", S::Value),
        (b"a", b"", S::ValueEmpty),
        (b"A", b"b", S::Key),
        (b"a", b"b=c", S::Value),
    ] {
        assert_eq!(Member::new(key, value), Err(reason), "TS-22: {value:?}");
    }
    let list = TraceState::parse([b"x=1,a=2".as_slice()]).unwrap().with(Member::new(b"a", b" b").unwrap());
    assert_eq!(list.to_bytes(), b"a= b,x=1", "TS-41");
}

#[test]
fn members_are_handed_out_as_they_came() {
    let list = TraceState::parse([b"ot=th:8;rv:6e6d1a75832a2f, foo=1".as_slice()]).unwrap();
    let members: Vec<_> = list.members().iter().map(|m| (m.key(), m.value())).collect();
    assert_eq!(members, [(&b"ot"[..], &b"th:8;rv:6e6d1a75832a2f"[..]), (b"foo", b"1")], "TS-10");
}
