//! The lines of a header map, by name.

use tracewarden::headers::{Headers, TRACEPARENT, TRACESTATE};

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
    let read = |start, lengths| Headers::index(b"-n\0v\0".to_vec(), start, 1, |_| lengths);
    let max = u32::MAX;
    for (start, name, value) in
        [(1, 1, 2), (1, 2, 1), (2, 1, 1), (5, 0, 0), (1, max, 0), (1, max, max), (1, 0, max), (max, 0, 0)]
    {
        assert!(read(start, Some((name, value))).is_none(), "{start} {name} {value}");
    }
    assert!(read(1, None).is_none());
    let headers = read(1, Some((1, 1))).unwrap();
    assert_eq!(headers.iter().collect::<Vec<_>>(), [(&b"n"[..], &b"v"[..])]);
}
