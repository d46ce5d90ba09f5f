//! Bytes that no decent client sends: each gets its verdict, and the filter lives on.

use rand::rngs::ChaCha12Rng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tracewarden::w3c::TraceParent;

use crate::support::bootstrap::{all_to, tracewarden};
use crate::support::client::{Client, get};
use crate::support::envoy::{Counters, Envoy};
use crate::support::upstream::{Upstream, ok};
use crate::support::{SAMPLED, assert_new_trace};

const CONTINUED: &str = "requests inbound internal enforce continued";
const CORRUPT: &str = "requests inbound internal enforce corrupt";
const LOST: &str = "requests inbound internal enforce lost";

const MUTATIONS: u64 = 2000;

/// What the upstream must receive.
enum Sent {
    /// The trace that came, and these lines of `tracestate`.
    AsItCame(Vec<Vec<u8>>),
    NewTrace,
}
use Sent::{AsItCame, NewTrace};

struct Row {
    why: &'static str,
    /// The bytes between the `host` line and the empty line.
    bytes: Vec<u8>,
    verdict: &'static str,
    reason: Option<&'static str>,
    sent: Sent,
}

fn row(
    why: &'static str,
    bytes: impl AsRef<[u8]>,
    verdict: &'static str,
    reason: Option<&'static str>,
    sent: Sent,
) -> Row {
    Row { why, bytes: bytes.as_ref().to_vec(), verdict, reason, sent }
}

fn valid_and(more: &[u8]) -> Vec<u8> {
    [b"traceparent: ", SAMPLED, b"\r\n", more].concat()
}

/// Thirty-two members of 514 bytes each, the longest list that is valid.
fn longest_list() -> Vec<u8> {
    let member = |number| format!("{number:0>256}={}", "v".repeat(256));
    (10..42).map(member).collect::<Vec<_>>().join(",").into_bytes()
}

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let long_value = ["tracestate: a=", &"v".repeat(50_000), "\r\n"].concat();
    let long_list = "a=1,".repeat(12_500).into_bytes();
    let longest = longest_list();
    vec![
        row("bytes that are not UTF-8 in traceparent", b"traceparent: \xff\xfe\x80\r\n",
            CORRUPT, Some("traceparent version"), NewTrace),
        row("one of them in the middle of an id",
            b"traceparent: 00-0af7651916cd43dd8448eb211c8031\xff\xff-b7ad6b7169203331-01\r\n",
            CORRUPT, Some("traceparent trace_id"), NewTrace),
        row("bytes that are not UTF-8 in tracestate", valid_and(b"tracestate: a=\xff\xfe\r\n"),
            CONTINUED, Some("tracestate value"), AsItCame(vec![])),
        row("bytes that are not UTF-8 in a key of tracestate", valid_and(b"tracestate: \xc3\x28=1\r\n"),
            CONTINUED, Some("tracestate key"), AsItCame(vec![])),
        row("bytes that are not UTF-8 in other headers", valid_and(b"x-any: \xff\x80\xc0\r\nuser-agent: \xfe\r\n"),
            CONTINUED, None, AsItCame(vec![])),
        row("a tracestate of 50 kB with one long value", valid_and(long_value.as_bytes()),
            CONTINUED, Some("tracestate value_too_long"), AsItCame(vec![])),
        row("a tracestate of 50 kB with one member again and again", valid_and(&[b"tracestate: ", &long_list[..], b"\r\n"].concat()),
            CONTINUED, None, AsItCame(vec![long_list])),
        row("the longest tracestate that is valid", valid_and(&[b"tracestate: ", &longest[..], b"\r\n"].concat()),
            CONTINUED, None, AsItCame(vec![longest])),
        row("40 lines of traceparent", valid_and(b"").repeat(40),
            CORRUPT, Some("traceparent repeated"), NewTrace),
        row("40 lines of tracestate with a member each", valid_and(&lines(|n| format!("k{n}=1"))),
            CONTINUED, Some("tracestate too_many_members"), AsItCame(vec![])),
        row("40 lines of tracestate that are empty", valid_and(&lines(|_| String::new())),
            CONTINUED, None, AsItCame(vec![vec![]; 40])),
        row("40 lines of tracestate without traceparent", lines(|n| format!("k{n}=1")),
            LOST, None, NewTrace),
        row("names in odd case", [b"tRaCePaReNt: ", SAMPLED, b"\r\nTRACESTATE: a=1\r\n"].concat(),
            CONTINUED, None, AsItCame(vec![b"a=1".to_vec()])),
        row("traceparent in two cases", [valid_and(b""), b"TraceParent: x\r\n".to_vec()].concat(),
            CORRUPT, Some("traceparent repeated"), NewTrace),
        row("names that are nearly ours", b"trace-parent: x\r\ntraceparen: x\r\ntraceparents: x\r\n",
            LOST, None, NewTrace),
        row("a traceparent folded over two lines, which Envoy joins by a space",
            b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-\r\n b7ad6b7169203331-01\r\n",
            CORRUPT, Some("traceparent delimiter"), NewTrace),
        row("a tracestate folded over two lines", valid_and(b"tracestate: a=1,\r\n b=2\r\n"),
            CONTINUED, None, AsItCame(vec![b"a=1, b=2".to_vec()])),
        row("a value of white space", b"traceparent: \t  \t\r\n",
            CORRUPT, Some("traceparent empty"), NewTrace),
    ]
}

fn lines(value: impl Fn(u8) -> String) -> Vec<u8> {
    (0..40).map(|n| format!("tracestate: {}\r\n", value(n))).collect::<String>().into_bytes()
}

#[test]
fn hostile_bytes_are_judged_and_break_nothing() {
    let upstream = Upstream::start();
    let filters = [tracewarden(r#"{"direction": "inbound"}"#)];
    let envoy = Envoy::before(&upstream, "hostile", &filters, all_to("upstream"));
    let machines = envoy.stats("^wasm\\.");

    let mut expected = Counters::new();
    for row in rows() {
        let bytes = [b"GET / HTTP/1.1\r\nhost: test\r\n", &row.bytes[..], b"\r\n"].concat();
        let answer = Client::connect(envoy.port("mesh")).send(&bytes);
        assert_eq!(answer.status(), 200, "{}", row.why);
        let received = upstream.take_one();
        match &row.sent {
            AsItCame(tracestate) => {
                assert_eq!(received.all("traceparent"), [SAMPLED], "{}", row.why);
                assert!(received.all("tracestate") == *tracestate, "{}", row.why);
            }
            NewTrace => {
                assert_new_trace(row.why, &received);
            }
        }
        note(&mut expected, &row);

        assert_eq!(get(envoy.port("mesh"), "/after", &[("traceparent", SAMPLED)]).status(), 200);
        assert_eq!(upstream.take_one().all("traceparent"), [SAMPLED], "{}: the next request", row.why);
        for name in [CONTINUED, "sampled record parent", "responses absent"] {
            *expected.entry(name.to_owned()).or_default() += 1;
        }
        assert_eq!(envoy.counters(), expected, "{}", row.why);
    }
    assert_eq!(envoy.stats("^wasm\\."), machines, "no VM has failed, and none was started anew");
}

/// Whatever becomes of a context on its way, Envoy with the filter judges it as the parser does.
#[test]
fn mutated_contexts_are_judged_as_the_parser_judges_them() {
    let upstream = Upstream::start();
    let filters = [tracewarden(r#"{"direction": "inbound"}"#)];
    let mut envoy = Envoy::before(&upstream, "mutated", &filters, all_to("upstream"));
    let mut client = Client::connect(envoy.port("mesh"));
    let mut rng = ChaCha12Rng::from_seed([11; 32]);
    let mut valid = 0;
    for _ in 0..MUTATIONS {
        let value = mutate(SAMPLED, &mut rng);
        let name = value.escape_ascii().to_string();
        assert_eq!(client.get("/", &[("traceparent", &value)]).status(), 200, "{name}");
        let received = upstream.take_one();
        match TraceParent::parse(&value) {
            Ok(_) => assert_eq!(received.all("traceparent"), [value.trim_ascii()], "{name}"),
            Err(_) => assert_new_trace(&name, &received),
        }
        valid += u64::from(TraceParent::parse(&value).is_ok());
    }
    let counters = envoy.news();
    assert_eq!(counters.get(CONTINUED), Some(&valid));
    assert_eq!(counters.get(CORRUPT), Some(&(MUTATIONS - valid)));
    assert!(valid > MUTATIONS / 20 && valid < MUTATIONS / 2, "{valid} of {MUTATIONS} are valid");
}

/// Overwrites, inserts, removes or repeats a few bytes, none of which Envoy refuses by itself.
fn mutate(value: &[u8], rng: &mut ChaCha12Rng) -> Vec<u8> {
    const LIKELY: &[u8] = b"0123456789abcdefABCDEF-- \t,.";
    let mut value = value.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let byte = match rng.random_range(0..3) {
            0 => rng.random_range(0x80..=0xff),
            _ => *LIKELY.choose(rng).unwrap_or(&b'0'),
        };
        let at = rng.random_range(0..value.len());
        match rng.random_range(0..8) {
            0 => value.truncate(at + 1),
            1 => value.insert(at, byte),
            2 => drop(value.remove(at)),
            _ => value.splice(at..=at, [byte]).for_each(drop),
        }
    }
    value
}

/// The same, from the other side.
#[test]
fn hostile_responses_are_judged_and_break_nothing() {
    let upstream = Upstream::answering(|message| match message.second_word() {
        "/bytes" => ok(&[("traceparent", b"\xff\xfe"), ("x-any", b"\x80\xff"), ("server", b"\xc0")]),
        "/empty" => ok(&[("traceparent", b"")]),
        "/lines" => ok(&[("traceparent", &b"a"[..]); 40]),
        "/long" => ok(&[("traceparent", &[b'0'; 50_000])]),
        _ => ok(&[("traceparent", b"00-11111111111111111111111111111111-2222222222222222-01")]),
    });
    let filters = [tracewarden(r#"{"direction": "inbound"}"#)];
    let mut envoy = Envoy::before(&upstream, "hostile-responses", &filters, all_to("upstream"));
    for (path, context) in [
        ("/bytes", "corrupt"),
        ("/empty", "corrupt"),
        ("/lines", "corrupt"),
        ("/long", "corrupt"),
        ("/another-trace", "mismatch"),
    ] {
        let answer = get(envoy.port("mesh"), path, &[("traceparent", SAMPLED)]);
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.all("traceparent"), [SAMPLED], "{path}");
        let expected = Counters::from([
            (CONTINUED.to_owned(), 1),
            ("sampled record parent".to_owned(), 1),
            (format!("responses {context}"), 1),
        ]);
        assert_eq!(envoy.news(), expected, "{path}");
    }
}

fn note(expected: &mut Counters, row: &Row) {
    let mended: &[&str] = match row.sent {
        AsItCame(_) => &["sampled record parent"],
        NewTrace => &["sampled record probability", "repairs inbound new"],
    };
    let reason = row.reason.map(|reason| format!("corrupt inbound {reason}"));
    let names =
        [row.verdict, "responses absent"].into_iter().chain(mended.iter().copied()).map(str::to_owned);
    for name in names.chain(reason) {
        *expected.entry(name).or_default() += 1;
    }
}
