//! The lines about losses and corruption: seldom, with a reason and a peer, never with what came.

use proxy_wasm_test_framework::{Call, Host, LogLevel, Status};

use crate::edge::{Vm, start};
use crate::scenarios::requests::{EDGE, NEVER, runs};
use crate::scenarios::support::{INBOUND, Line, OBSERVE, OUTBOUND, SAMPLED, UPPER, with_bystanders};

const SECOND: u64 = 1_000_000_000;

#[test]
fn one_line_in_ten_seconds_tells_how_many_were_held_back() {
    let mut vm = start(host(&[]));
    let start = 1_700_000_000 * SECOND;
    // when; how many requests; how the line ends that they bring, if they do
    let rows = [
        (0, 1, Some("no traceparent came")),
        (0, 5, None),
        (10 * SECOND - 1, 2, None),
        (10 * SECOND, 1, Some("(7 more since the last such line)")),
        (19 * SECOND, 1, None),
        (20 * SECOND, 3, Some("(1 more since the last such line)")),
        (1000 * SECOND, 1, Some("(2 more since the last such line)")),
        (2000 * SECOND, 1, Some("no traceparent came")),
    ];
    for (when, requests, ends) in rows {
        vm.host_mut().now_ns = start + when;
        vm.host_mut().logs.clear();
        for _ in 0..requests {
            lose(&mut vm, INBOUND, &[]);
        }
        let logged = said(&vm);
        assert_eq!(logged.len(), ends.iter().count(), "{when}: {logged:?}");
        assert!(logged.iter().zip(ends).all(|(line, end)| line.ends_with(end)), "{when}: {logged:?}");
    }
}

#[test]
fn all_plugins_of_a_vm_share_the_ten_seconds() {
    let mut vm = start(host(&[]));
    for config in [INBOUND, OUTBOUND, INBOUND] {
        lose(&mut vm, config, &[]);
    }
    assert_eq!(vm.host().logged(LogLevel::Warn).len(), 1);
}

#[test]
fn a_line_has_the_reason_and_the_peer_and_nothing_of_the_value() {
    // No three letters of the marker stand in any word that the filter knows.
    const MARKS: &[u8] = b"qzjXVKqw7kZy9jQx";
    let marked = |text: &str| text.replace("MARK", "qzjXVKqw7kZy9jQx").into_bytes();
    let [mark, state] = ["MARK", "MARK=MARK"].map(marked);
    let long = marked(&"MARK".repeat(200));
    let nearly = marked("00-0af7651916cd43dd8448eb211c80319c-MARK-01");
    let hostile = [&b"00-\r\n\0\x1b[31m\xff\xfe{}%s%(trace_id)s"[..], MARKS].concat();
    let rows: &[(&[Line<'_>], &str)] = &[
        (&[("tracestate", &state)], "lost inbound, from 10.0.0.7:1234: no traceparent came"),
        (&[("traceparent", &mark)], "corrupt inbound, from 10.0.0.7:1234: traceparent: "),
        (&[("traceparent", &long)], "corrupt inbound, from 10.0.0.7:1234: traceparent: "),
        (&[("traceparent", &nearly)], "corrupt inbound, from 10.0.0.7:1234: traceparent: "),
        (&[("traceparent", &hostile)], "corrupt inbound, from 10.0.0.7:1234: traceparent: "),
        (
            &[("traceparent", &mark), ("traceparent", &mark)],
            "corrupt inbound, from 10.0.0.7:1234: traceparent: ",
        ),
        (
            &[("traceparent", SAMPLED), ("tracestate", &mark)],
            "continued inbound, from 10.0.0.7:1234: tracestate: ",
        ),
    ];
    for (request, says) in rows {
        let mut vm = start(host(&[(&["source", "address"], b"10.0.0.7:1234")]));
        lose(&mut vm, INBOUND, request);
        let logged = said(&vm);
        let [line] = logged.as_slice() else { panic!("{logged:?}") };
        assert!(line.contains(says), "{line}");
        assert!(line.len() < 300, "{line}");
        assert_no_part_of(MARKS, line.as_bytes());
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[test]
fn the_peer_is_who_the_certificate_says_or_an_address() {
    const CERTIFICATE: &[&str] = &["connection", "uri_san_peer_certificate"];
    const ADDRESS: &[&str] = &["source", "address"];
    type Known<'a> = &'a [(&'static [&'static str], &'a [u8])];
    let spiffe = b"spiffe://cluster.local/ns/shop/sa/cart";
    let rows: &[(&str, Known<'_>, &str)] = &[
        (
            INBOUND,
            &[(CERTIFICATE, spiffe), (ADDRESS, b"10.0.0.7:1")],
            "from spiffe://cluster.local/ns/shop/sa/cart: ",
        ),
        (INBOUND, &[(CERTIFICATE, b""), (ADDRESS, b"10.0.0.7:1")], "from 10.0.0.7:1: "),
        (INBOUND, &[], "from an unknown peer: "),
        (INBOUND, &[(ADDRESS, b"")], "from an unknown peer: "),
        (OUTBOUND, &[(ADDRESS, b"10.0.0.7:1")], "from this workload: "),
        (INBOUND, &[(ADDRESS, b"a\r\nb\0c\x1b[31md\xc2\x9be\xe2\x80\xaef\x7f")], "from abc[31mdef: "),
        (INBOUND, &[(ADDRESS, b"\xff\xfe!")], "from !: "),
    ];
    for (config, properties, says) in rows {
        let mut vm = start(host(properties));
        lose(&mut vm, config, &[]);
        let logged = vm.host().logged(LogLevel::Warn);
        assert!(logged.len() == 1 && logged[0].contains(says), "{says}: {logged:?}");
    }
    let long = b"x".repeat(100_000);
    let mut vm = start(host(&[(CERTIFICATE, &long)]));
    lose(&mut vm, INBOUND, &[]);
    let length = vm.host().logged(LogLevel::Warn)[0].len();
    assert!((200..400).contains(&length), "{length}");
}

#[test]
fn a_line_names_the_listener_and_what_an_application_called() {
    let named = r#"{"direction": "outbound", "metrics": {"listener": "checkout"}}"#;
    let call: &[Line<'_>] = &[(":method", b"GET"), (":authority", b"me:pw@api.example.org:80")];
    let hostile: &[Line<'_>] = &[(":method", b"G\r\nT"), (":authority", b"a\x1b[31m\xffb")];
    let long = [b'a'; 1_000];
    let rows: &[(&str, &[Line<'_>], &str)] = &[
        (INBOUND, call, "lost inbound on 10.0.0.1:80, from an unknown peer: no"),
        (OUTBOUND, call, "lost outbound on 10.0.0.1:80, from this workload, GET api.example.org:80: no"),
        (named, call, "lost outbound on checkout, from this workload, GET api.example.org:80: no"),
        (OUTBOUND, hostile, "from this workload, GT a[31mb: no"),
        (OUTBOUND, &[(":path", b"/")], "lost outbound on 10.0.0.1:80, from this workload: no"),
    ];
    for (config, request, says) in rows {
        let mut vm = start(host(&[(&["destination", "address"], b"10.0.0.1:80")]));
        let root = vm.root(config.as_bytes()).unwrap().unwrap();
        let stream = vm.stream(root).unwrap();
        vm.request(stream, request.to_vec()).unwrap();
        let logged = said(&vm);
        assert!(logged.len() == 1 && logged[0].contains(says), "{says}: {logged:?}");
    }
    let mut vm = start(host(&[]));
    let root = vm.root(OUTBOUND.as_bytes()).unwrap().unwrap();
    let stream = vm.stream(root).unwrap();
    vm.request(stream, vec![(":method", &b"GET"[..]), (":authority", &long[..])]).unwrap();
    assert!(said(&vm)[0].len() < 400, "what a line shows is bounded");
}

#[test]
fn a_line_begins_as_the_configuration_says() {
    let mut vm = start(host(&[]));
    let config =
        r#"{"direction": "inbound", "log": {"format": "trace=%(trace_id)s span=%(span_id)s 100%%"}}"#;
    let sent = lose(&mut vm, config, &[]);
    let ids = String::from_utf8(sent).unwrap();
    let [_, trace, span, _] = ids.split('-').collect::<Vec<_>>()[..] else { panic!("{ids}") };
    let logged = vm.host().logged(LogLevel::Warn);
    let begins = format!("tracewarden: trace={trace} span={span} 100% lost inbound");
    assert!(logged[0].starts_with(&begins), "{logged:?}");
}

#[test]
fn without_a_clock_nothing_is_said_of_requests() {
    let mut vm = start(host(&[]));
    vm.host_mut().fault(Call::GetCurrentTime, Status::InternalFailure);
    for _ in 0..3 {
        lose(&mut vm, INBOUND, &[]);
    }
    let logged = said(&vm);
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert!(logged[0].contains("get_current_time_nanoseconds"), "{logged:?}");
}

#[test]
fn a_loss_and_a_corruption_are_offered_to_the_log() {
    let rows: &[(&str, &[Line<'_>], usize)] = &[
        (INBOUND, &[], 1),
        (INBOUND, &[("traceparent", UPPER)], 1),
        (INBOUND, &[("traceparent", SAMPLED), ("tracestate", b"a")], 1),
        (OBSERVE, &[], 1),
        (NEVER, &[], 1),
        (EDGE, &[], 0),
        (INBOUND, &[("traceparent", SAMPLED)], 0),
    ];
    for (config, request, lines) in rows {
        let outcome = runs(config, request, None);
        assert_eq!(outcome.logged, *lines, "{config}, {} headers", request.len());
    }
}

fn host(properties: &[(&[&str], &[u8])]) -> Host {
    let mut host = Host::new();
    for (path, value) in properties {
        host.set_property(path, *value);
    }
    host
}

/// Passes one request through a plugin of this configuration; returns the `traceparent` that goes on.
fn lose(vm: &mut Vm, config: &str, request: &[Line<'_>]) -> Vec<u8> {
    let root = vm.root(config.as_bytes()).expect("no trap").expect(config);
    let stream = vm.stream(root).expect("no trap");
    vm.request(stream, with_bystanders(request)).expect("no trap");
    let sent = vm.request_headers(stream).get("traceparent").unwrap_or_default().to_vec();
    vm.finish(stream).expect("no trap");
    sent
}

/// What was logged at any level, but for the line that says which build it is.
fn said(vm: &Vm) -> Vec<&str> {
    let all = vm.host().logged(LogLevel::Trace).into_iter();
    all.filter(|line| !line.starts_with("tracewarden: version ")).collect()
}

fn assert_no_part_of(marks: &[u8], line: &[u8]) {
    for part in marks.windows(3) {
        let found = line.windows(3).any(|bytes| bytes.eq_ignore_ascii_case(part));
        assert!(!found, "{} in {}", part.escape_ascii(), line.escape_ascii());
    }
}
