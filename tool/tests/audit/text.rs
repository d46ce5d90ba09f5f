//! What people see.

use crate::support::{Span, TWO, audit, span, zipkin};

const ID: &[(&str, &str)] = &[("guid:x-request-id", "6f1c")];
const SPANS: [Span; 6] = [
    span(1, 0, "shop", "server", (1000, 9000)),
    span(2, 1, "shop", "client", (2000, 8000)).tagged(ID),
    span(3, 77, "cart", "server", (3000, 7000)).tagged(ID),
    span(4, 1, "shop", "client", (2500, 8000)),
    span(5, 77, "stock", "consumer", (9100, 9200)),
    span(6, 0, "till", "server", (3100, 3200)).of(TWO).tagged(ID),
];

#[test]
fn a_person_sees_tables() {
    let said = audit(&["-"], &zipkin(&SPANS));
    let expected = "\
6 spans of 2 traces
missing: 2 of 4 parents, 50.0 %

Parents that are missing
caller -> callee    spans  missing    share  why
(unknown) -> stock      1        1  100.0 %  1 cause not known
shop -> cart            1        1  100.0 %  1 behind a proxy that records no
                                             span (proved)

Traces that start anew in the middle
caller -> callee  begin  anew    share  why
cart -> till          1     1  100.0 %  1 proved: same request id; trace 0af765
";
    assert_eq!(said.code, Some(1));
    assert!(said.out.starts_with(&expected[..expected.len() - 20]), "{}", said.out);
    assert!(said.out.contains("\nnext: "), "{}", said.out);
    assert_eq!(said.err, "");
}

#[test]
fn nothing_missing_is_said() {
    let said = audit(&["-"], &zipkin(&SPANS[..2]));
    let expected =
        "2 spans of 1 trace\nmissing: 0 of 1 parent, 0.0 %\nNo trace is known to start anew in the middle.\n";
    assert_eq!((said.code, said.out.as_str()), (Some(0), expected));
}

#[test]
fn names_of_others_do_no_harm() {
    let evil = Span { service: "\u{1b}[2Jcart\u{202e}", ..SPANS[2] };
    let said = audit(&["-"], &zipkin(&[evil]));
    assert!(said.out.contains("[2Jcart") && !said.out.contains(['\u{1b}', '\u{202e}']), "{said:?}");
}

#[test]
fn a_part_of_the_pairs_is_printed() {
    let said = audit(&["-", "--top", "1"], &zipkin(&SPANS));
    assert!(said.out.contains("and 1 more: --top 2 prints all"), "{}", said.out);
    assert!(!said.out.contains("shop -> cart"), "{}", said.out);
}

#[test]
fn help_has_the_exit_statuses() {
    let said = audit(&["--help"], "");
    for part in [
        "0 nothing is missing",
        "1 parents are missing or traces start anew",
        "2 something could not be read",
    ] {
        assert!(said.out.replace("\n          ", " ").replace('\n', " ").contains(part), "{}", said.out);
    }
}
