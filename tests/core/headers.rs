//! The lines of a header map, by name.

use core::ops::Range;

use tracewarden::headers::{Headers, Line, TRACEPARENT, TRACESTATE};

#[test]
fn finds_all_lines_in_order_and_nothing_else() {
    let headers: Headers = [
        (":path", &b"/"[..]),
        ("tracestate", b"a=1"),
        ("TraceParent", b"one"),
        ("trace-parent", b"x"),
        ("tracestate", b""),
        ("tracestatf", b"x"),
        ("TRACESTATE", b"\xff"),
    ]
    .into_iter()
    .collect();
    let (traceparent, tracestate) = (headers.lines(TRACEPARENT), headers.lines(TRACESTATE));
    assert_eq!(traceparent.iter().collect::<Vec<_>>(), [b"one"]);
    assert!(!traceparent.is_repeated());
    assert_eq!(tracestate.iter().collect::<Vec<_>>(), [&b"a=1"[..], b"", b"\xff"]);
    assert!(tracestate.is_repeated());
    assert_eq!(headers.first(TRACESTATE), Some(&b"a=1"[..]));
    assert!(!headers.has("b3") && headers.lines("b3").iter().next().is_none());
    assert!(!headers.has("") && Headers::default().first("b3").is_none());
}

#[test]
fn a_line_outside_of_the_bytes_is_refused() {
    let read = |line: Line| Headers::index(b"nv".to_vec(), 1, |_| Some(line.clone()));
    let backwards = Range { start: 2, end: 1 };
    for (name, value) in [(0..3, 1..2), (0..1, 1..3), (3..3, 0..0), (0..u32::MAX, 0..0), (0..1, backwards)] {
        let line = Line { name, value };
        assert!(read(line.clone()).is_none(), "{line:?}");
    }
    let headers = read(Line { name: 0..1, value: 1..2 }).unwrap();
    assert_eq!(headers.iter().collect::<Vec<_>>(), [(&b"n"[..], &b"v"[..])]);
}
