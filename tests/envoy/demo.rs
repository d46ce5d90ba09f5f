//! The applications of the demo mesh, between a client and an upstream of the test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::client::{Client, get};
use crate::support::http1::Message;
use crate::support::upstream::{Upstream, ok};
use crate::support::{SAMPLED, in_repository, python, wait_for};

/// A name, the ports where it listens and where it calls (both counted from the base port), whom it calls, and the path
/// that it answers alone.
struct Application(&'static str, u16, u16, (&'static str, &'static str), Option<&'static str>);

const CHECKOUT: Application = Application("checkout", 7, 2, ("lossy", "/stock"), Some("/price"));
const LOSSY: Application = Application("lossy", 8, 4, ("checkout", "/price"), Some("/stock"));
const MANGLER: Application = Application("mangler", 9, 6, ("checkout", "/price"), None);

type Lines<'a> = &'a [(&'a str, &'a [u8])];

const UPPER: &[u8] = b"00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01";
const EVERYTHING: Lines<'_> = &[
    ("traceparent", SAMPLED),
    ("tracestate", b"a=1"),
    ("tracestate", b"b=2"),
    ("x-request-id", b"r"),
    ("authorization", b"secret"),
];
const HOSTILE: Lines<'_> = &[("traceparent", b"\xff\xfe\t;a")];

#[test]
fn each_application_sends_on_what_it_should_and_nothing_else() {
    let all = EVERYTHING.split_last().expect("five").1;
    let mangled = [&[("traceparent", UPPER)], all.get(1..).expect("four")].concat();
    let rows: &[(Application, &[(Lines<'_>, Lines<'_>)])] = &[
        (CHECKOUT, &[(EVERYTHING, all), (HOSTILE, HOSTILE), (&[], &[])]),
        (LOSSY, &[(EVERYTHING, &[("x-request-id", b"r")]), (HOSTILE, &[]), (&[], &[])]),
        (MANGLER, &[(EVERYTHING, &mangled), (HOSTILE, &[("traceparent", b"\xff\xfe\t;A")]), (&[], &[])]),
    ];
    for (application, exchanges) in rows {
        let Application(name, _, _, (host, path), _) = application;
        let demo = Demo::calling(application, |_| ok(&[]));
        for (received, sent) in *exchanges {
            assert_eq!(demo.get(&format!("/{name}"), received).second_word(), "200", "{name}");
            let call = demo.upstream.take_one();
            let expected: Vec<_> = [("host", host.as_bytes())].iter().chain(*sent).copied().collect();
            let lines: Vec<_> =
                call.lines.iter().map(|(name, value)| (name.as_slice(), &value[..])).collect();
            let expected: Vec<_> =
                expected.into_iter().map(|(name, value)| (name.as_bytes(), value)).collect();
            assert_eq!(lines, expected, "{name}");
            assert_eq!(call.second_word(), *path, "{name}");
        }
    }
}

#[test]
fn an_application_tells_its_story_without_what_a_terminal_would_obey() {
    let answer: fn(&Message) -> Vec<u8> =
        |_| b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n\x1b[2J\xff\n".to_vec();
    let demo = Demo::calling(&LOSSY, answer);
    let story = demo.get("/lossy?a", &[("traceparent", b"\xff\t;\x1b"), ("b3", b"0")]);
    assert_eq!(
        String::from_utf8_lossy(&story.body),
        "lossy received /lossy with\n  traceparent: \\xff\\t;\\x1b\n  b3: 0\n\
         lossy forgets the trace context and called http://checkout/price with\n  no trace header at all\n    \
         \u{fffd}[2J\u{fffd}\n"
    );
}

#[test]
fn a_failed_call_and_an_unknown_path_are_reported() {
    let answer: fn(&Message) -> Vec<u8> =
        |_| b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
    let demo = Demo::calling(&CHECKOUT, answer);
    let failed = demo.get("/checkout", &[]);
    assert_eq!(failed.second_word(), "502");
    assert!(failed.body.ends_with(b"checkout's call failed: lossy answered 503\n"), "{failed:?}");
    let unknown = demo.get("/elsewhere", &[]);
    assert_eq!(
        (unknown.second_word(), &unknown.body[..]),
        ("404", &b"no such path here: try /checkout\n"[..])
    );
    let post = b"POST /price HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nok";
    assert_eq!(Client::connect(demo.port).send(post).second_word(), "200");
}

#[test]
fn every_call_goes_to_a_path_that_the_called_application_answers_alone() {
    for Application(name, _, _, (host, path), _) in [CHECKOUT, LOSSY, MANGLER] {
        let callee = [CHECKOUT, LOSSY].into_iter().find(|callee| callee.0 == host).expect("an application");
        assert_eq!(callee.4, Some(path), "{name}");
        let demo = Demo::calling(&callee, |_| ok(&[]));
        assert_eq!(demo.get(path, &[]).second_word(), "200", "{name}");
        assert!(demo.upstream.take().is_empty(), "{host} calls nobody for {path}");
    }
}

/// The applications, one of which calls the test's upstream.
struct Demo {
    port: u16,
    upstream: Upstream,
    process: Child,
}

impl Demo {
    /// The ports are those around the upstream's, so another upstream is tried if they are not free.
    fn calling(application: &Application, answer: fn(&Message) -> Vec<u8>) -> Self {
        let Application(_, port, outbound, _, _) = application;
        wait_for("the applications", || {
            let upstream = Upstream::answering(answer);
            let base = upstream.port - outbound;
            base.checked_add(9)?;
            let program = in_repository("envoy/demo.py");
            let process = Command::new(python())
                .args(["-B", &program.to_string_lossy(), "--base-port", &base.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .expect("Python runs");
            let mut demo = Self { port: base + port, upstream, process };
            demo.serves().then_some(demo)
        })
    }

    /// Whether it says that it serves, and does not end instead.
    fn serves(&mut self) -> bool {
        let mut line = String::new();
        let out = self.process.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).is_ok_and(|_| line.starts_with("The applications listen"))
    }

    fn get(&self, path: &str, lines: Lines<'_>) -> Message {
        get(self.port, path, lines)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
