//! The hop audit: what a proxy did to a context, as far as the headers before and after it say so.

use tracewarden::headers::{Headers, TRACEPARENT};
use tracewarden::hop::{Changes, Record, Snapshot};
use tracewarden::words::Labelled;

type Lines<'a> = &'a [(&'a str, &'a [u8])];

const TP: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const RANDOM: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
const UNKNOWN_FLAG: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-09";
const VERSION_01: &[u8] = b"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CHILD: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
const HALF: &[u8] = b"00-00000000000000008448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &[u8] = b"00-11111111111111111111111111111111-2222222222222222-01";
const UPPER: &[u8] = b"00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01";
const B3: &[u8] = b"0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1";
const B3_CHILD: &[u8] = b"0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-0";
const B3_HALF: &[u8] = b"8448eb211c80319c-b7ad6b7169203331-1";
const HALF_ZERO: &[u8] = b"11111111111111110000000000000000-2222222222222222-1";
const B3_OTHER: &[u8] = b"11111111111111111111111111111111-2222222222222222-1";

fn snapshot(lines: Lines<'_>, header: &str) -> Snapshot {
    Snapshot::of(&lines.iter().copied().collect::<Headers>(), header)
}

fn labels(changes: Changes) -> Vec<&'static str> {
    changes.iter().map(Labelled::label).collect()
}

#[test]
fn each_change_has_its_rows() {
    let rows: &[(&str, Lines<'_>, Lines<'_>, &[&str])] = &[
        // kept
        ("nothing came and nothing went", &[], &[], &["kept"]),
        ("the same context", &[("traceparent", TP)], &[("traceparent", TP)], &["kept"]),
        (
            "other headers are none of its business",
            &[("traceparent", TP)],
            &[("traceparent", TP), ("x", b"1")],
            &["kept"],
        ),
        (
            "the order of headers says nothing",
            &[("tracestate", b"a=1"), ("traceparent", TP)],
            &[("traceparent", TP), ("tracestate", b"a=1")],
            &["kept"],
        ),
        (
            "one invalid context for another: there was none",
            &[("traceparent", UPPER)],
            &[("traceparent", b"x")],
            &["kept"],
        ),
        ("the version is not kept", &[("traceparent", TP)], &[("traceparent", VERSION_01)], &["kept"]),
        (
            "white space around it",
            &[("traceparent", TP)],
            &[("traceparent", &[b" ", TP].concat())],
            &["kept"],
        ),
        ("a flag that has no meaning", &[("traceparent", TP)], &[("traceparent", UNKNOWN_FLAG)], &["kept"]),
        ("names in another case", &[("traceparent", TP)], &[("TraceParent", TP)], &["kept"]),
        // child, replaced
        ("another parent-id", &[("traceparent", TP)], &[("traceparent", CHILD)], &["child"]),
        ("another trace-id", &[("traceparent", TP)], &[("traceparent", OTHER)], &["replaced"]),
        (
            "a trace-id that was cut: W3C's ids have no short spelling",
            &[("traceparent", TP)],
            &[("traceparent", HALF)],
            &["replaced"],
        ),
        // removed, added
        ("it is gone", &[("traceparent", TP)], &[], &["removed"]),
        ("it is invalid now", &[("traceparent", TP)], &[("traceparent", UPPER)], &["removed"]),
        (
            "a second line makes it invalid",
            &[("traceparent", TP)],
            &[("traceparent", TP), ("traceparent", TP)],
            &["removed"],
        ),
        ("it is new", &[], &[("traceparent", TP)], &["added"]),
        ("an invalid one was mended", &[("traceparent", UPPER)], &[("traceparent", TP)], &["added"]),
        // flags
        ("sampled no longer", &[("traceparent", TP)], &[("traceparent", UNSAMPLED)], &["flags"]),
        ("random no longer", &[("traceparent", RANDOM)], &[("traceparent", TP)], &["flags"]),
        // tracestate
        ("a member was added", &[("tracestate", b"a=1")], &[("tracestate", b"b=2,a=1")], &["tracestate"]),
        ("it is gone", &[("tracestate", b"a=1")], &[], &["tracestate"]),
        ("an empty one is there", &[], &[("tracestate", b"")], &["tracestate"]),
        (
            "two lines joined are the same list",
            &[("tracestate", b"a=1"), ("tracestate", b"b=2")],
            &[("tracestate", b"a=1,b=2")],
            &["kept"],
        ),
        (
            "two lines in another order are not",
            &[("tracestate", b"a=1"), ("tracestate", b"b=2")],
            &[("tracestate", b"b=2,a=1")],
            &["tracestate"],
        ),
        // format
        ("a format was added", &[], &[("b3", B3)], &["format"]),
        (
            "a format was removed",
            &[("uber-trace-id", b"0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1")],
            &[],
            &["format"],
        ),
        ("a format names another trace", &[("b3", B3)], &[("b3", B3_OTHER)], &["format"]),
        ("a format names another span and another decision", &[("b3", B3)], &[("b3", B3_CHILD)], &["kept"]),
        ("a format names the same trace in 64 bits", &[("b3", B3)], &[("b3", B3_HALF)], &["kept"]),
        ("a decision without a trace is added", &[], &[("b3", b"0")], &["format"]),
        (
            "a decision in another format, without a trace",
            &[("b3", b"0")],
            &[("x-b3-sampled", b"0")],
            &["format"],
        ),
        ("a trace whose right half is zero", &[("b3", b"0")], &[("b3", HALF_ZERO)], &["format"]),
        ("a decision becomes a context", &[("b3", b"0")], &[("b3", B3)], &["format"]),
        ("a context becomes garbage", &[("b3", B3)], &[("b3", b"garbage")], &["format"]),
        ("garbage becomes a decision: no trace was named", &[("b3", b"garbage")], &[("b3", b"0")], &["kept"]),
        (
            "one format for another",
            &[("b3", B3)],
            &[("x-b3-traceid", b"0af7651916cd43dd8448eb211c80319c"), ("x-b3-spanid", b"b7ad6b7169203331")],
            &["format"],
        ),
        (
            "the last format of the list",
            &[],
            &[("x-datadog-trace-id", b"7"), ("x-datadog-parent-id", b"9")],
            &["format"],
        ),
        // several
        (
            "a child that is not sampled, with a list",
            &[("traceparent", RANDOM)],
            &[("traceparent", CHILD), ("tracestate", b"")],
            &["child", "flags", "tracestate"],
        ),
        (
            "another trace that is not sampled",
            &[("traceparent", TP)],
            &[("traceparent", b"00-11111111111111111111111111111111-b7ad6b7169203331-00")],
            &["replaced", "flags"],
        ),
        (
            "all is gone",
            &[("traceparent", TP), ("tracestate", b"a=1"), ("b3", B3)],
            &[],
            &["removed", "tracestate", "format"],
        ),
        (
            "all is new",
            &[],
            &[("traceparent", TP), ("tracestate", b"a=1"), ("b3", B3)],
            &["added", "tracestate", "format"],
        ),
    ];
    for (reason, before, after, expected) in rows {
        let [before, after] = [before, after].map(|lines| snapshot(lines, TRACEPARENT));
        assert_eq!(labels(before.changes(&after)), *expected, "{reason}");
    }
}

/// In a mesh that renamed the header, W3C's own name is that of another format, which Envoy's tracers write.
#[test]
fn a_renamed_header_is_compared_and_the_standards_name_is_another_format() {
    let rows: &[(&str, Lines<'_>, Lines<'_>, &[&str])] = &[
        ("the mesh's own", &[("x-tp", TP)], &[("x-tp", CHILD)], &["child"]),
        ("a tracer adds its own", &[("x-tp", TP)], &[("x-tp", TP), ("traceparent", OTHER)], &["format"]),
        ("a tracer adds garbage", &[], &[("traceparent", UPPER)], &["format"]),
        ("which was there", &[("traceparent", TP)], &[("traceparent", CHILD)], &["kept"]),
    ];
    for (reason, before, after, expected) in rows {
        let [before, after] = [before, after].map(|lines| snapshot(lines, "x-tp"));
        assert_eq!(labels(before.changes(&after)), *expected, "{reason}");
    }
}

fn records() -> Vec<Record> {
    let all: Lines<'_> = &[
        ("traceparent", RANDOM),
        ("tracestate", b"a=1"),
        ("b3", B3_HALF),
        ("x-b3-sampled", b"1"),
        ("x-datadog-trace-id", b"7"),
        ("x-datadog-parent-id", b"9"),
        ("sw8", b"garbage"),
    ];
    let [nothing, all, child] =
        [&[][..], all, &[("traceparent", CHILD)]].map(|lines| snapshot(lines, TRACEPARENT));
    let pairs = [(nothing, nothing), (nothing, all), (all, child), (all, nothing), (child, all)];
    pairs.map(|(before, sent)| Record { sent, changes: before.changes(&sent) }).to_vec()
}

#[test]
fn a_record_says_all_and_always_has_the_same_size() {
    for record in records() {
        let bytes = record.to_bytes();
        assert_eq!(Record::parse(&bytes), Some(record));
        assert_eq!(bytes.len(), 200);
    }
}

#[test]
fn anything_can_be_written_under_the_key() {
    for record in records() {
        let bytes = record.to_bytes();
        for end in 0..bytes.len() {
            assert_eq!(Record::parse(&bytes[..end]), None, "{end} bytes");
        }
        assert_eq!(Record::parse(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(Record::parse(&[&[2], &bytes[1..]].concat()), None, "of another release");
    }
    // What is not a record and looks like one is read all the same, and compared.
    let read = Record::parse(&[&[1], &[0xff; 199][..]].concat());
    assert!(read.is_some_and(|read| labels(read.changes).len() == 7));
}

/// What the proxy did before an earlier attempt counts for the next one too.
#[test]
fn changes_add_up() {
    let [before, child, other] =
        [TP, CHILD, OTHER].map(|context| snapshot(&[("traceparent", context)], TRACEPARENT));
    let both = before.changes(&child).and(child.changes(&other));
    assert_eq!(labels(both), ["child", "replaced"]);
    assert_eq!(labels(Changes::default().and(Changes::default())), ["kept"]);
}
