//! Metrics, properties, shared data, calls to other services, time, randomness and the environment.

mod support;

use proxy_wasm_test_framework::{HeaderMap, Host, Vm};
use support::{on_request, reports, start};

/// Runs one request pass in that host.
fn run(host: Host, body: &str) -> Vm {
    let mut vm = Vm::with(&on_request(body), host).unwrap();
    let root = vm.root(b"").unwrap().unwrap();
    let stream = vm.stream(root).unwrap();
    vm.request(stream, [("name", "a"), ("name", "b")]).unwrap();
    vm
}

/// Defines a metric of that kind called `name`, with its id at that address.
fn define(kind: u32, at: u32) -> String {
    format!("(call $say (call $define (i32.const {kind}) (i32.const 100) (i32.const 4) (i32.const {at})))")
}

#[test]
fn a_counter_only_grows() {
    let vm = run(
        Host::new(),
        &(define(0, 24)
            + "(call $say (call $increment (i32.load (i32.const 24)) (i64.const 5)))
               (call $say (call $increment (i32.load (i32.const 24)) (i64.const 0)))
               (call $say (call $increment (i32.load (i32.const 24)) (i64.const -1)))
               (call $say (call $record (i32.load (i32.const 24)) (i64.const 3)))
               (call $say (call $metric (i32.load (i32.const 24)) (i32.const 32)))
               (call $say (i32.load (i32.const 32)))"),
    );
    assert_eq!(reports(&vm), ["0", "0", "2", "2", "0", "0", "8"]);
    assert_eq!(vm.host().metric("name"), Some(8));
}

#[test]
fn a_second_definition_has_another_id_and_the_same_stat() {
    let vm = run(
        Host::new(),
        &(define(0, 24)
            + &define(0, 28)
            + "(call $say (i32.eq (i32.load (i32.const 24)) (i32.load (i32.const 28))))
               (call $say (i32.eqz (i32.load (i32.const 24))))
               (call $say (call $increment (i32.load (i32.const 24)) (i64.const 1)))
               (call $say (call $increment (i32.load (i32.const 28)) (i64.const 1)))"),
    );
    assert_eq!(reports(&vm), ["0", "0", "0", "0", "0", "0"]);
    assert_eq!(vm.host().metrics().iter().collect::<Vec<_>>(), [("name", 2)]);
    assert_eq!(vm.host().metrics().definitions(), 2);
}

#[test]
fn gauges_move_both_ways_and_histograms_keep_values() {
    let vm = run(
        Host::new(),
        &(define(1, 24)
            + &define(2, 28)
            + "(call $say (call $record (i32.load (i32.const 24)) (i64.const 9)))
               (call $say (call $increment (i32.load (i32.const 24)) (i64.const -2)))
               (call $say (call $record (i32.load (i32.const 28)) (i64.const 40)))
               (call $say (call $record (i32.load (i32.const 28)) (i64.const 2)))
               (call $say (call $increment (i32.load (i32.const 28)) (i64.const 1)))"),
    );
    assert_eq!(reports(&vm), ["0", "0", "0", "0", "0", "0", "2"]);
    assert_eq!(vm.host().metric("name"), Some(7));
    assert_eq!(vm.host().metrics().histogram("name"), Some(&[40, 2][..]));
}

#[test]
fn unknown_metrics_are_not_found() {
    let vm = run(
        Host::new(),
        "(call $say (call $increment (i32.const 0) (i64.const 1)))
         (call $say (call $record (i32.const 4) (i64.const 1)))
         (call $say (call $metric (i32.const 4) (i32.const 32)))
         (call $say (call $define (i32.const 3) (i32.const 100) (i32.const 4) (i32.const 24)))",
    );
    assert_eq!(reports(&vm), ["1", "1", "1", "2"]);
    assert_eq!(vm.host().metric("name"), None);
}

#[test]
fn properties_are_set_by_the_test_or_by_the_stream() {
    let read = "(call $show (call $property (i32.const 100) (i32.const 4) (i32.const 16) (i32.const 20)))";
    let write =
        "(call $say (call $set_property (i32.const 100) (i32.const 4) (i32.const 120) (i32.const 5)))";
    let mut host = Host::new();
    host.set_property(&["name"], "known");
    assert_eq!(reports(&run(host, read)), ["0", "known"]);
    assert_eq!(reports(&run(Host::new(), read)), ["1", ""]);

    let (mut vm, root) = start(&on_request(&format!("{write} {read}")));
    let streams = [vm.stream(root).unwrap(), vm.stream(root).unwrap()];
    vm.request(streams[0], [("a", "b")]).unwrap();
    assert_eq!(reports(&vm), ["0", "0", "other"]);
    assert_eq!(vm.filter_state(streams[0], "wasm.name"), Some(&b"other"[..]));
    assert_eq!(vm.filter_state(streams[1], "wasm.name"), None);
}

#[test]
fn a_header_property_joins_the_lines() {
    let vm = run(
        Host::new(),
        &format!(
            "(call $show (call $property (i32.const 130) (i32.const {}) (i32.const 16) (i32.const 20)))",
            "request.headers.name".len()
        ),
    );
    assert_eq!(reports(&vm), ["0", "a,b"]);
}

#[test]
fn shared_data_is_guarded_by_its_number() {
    let share = |cas: &str| {
        format!("(call $say (call $share (i32.const 100) (i32.const 4) (i32.const 110) (i32.const 5) {cas}))")
    };
    let read = "(call $show (call $shared (i32.const 100) (i32.const 4) (i32.const 16) (i32.const 20) (i32.const 24)))";
    let (any, seen, wrong) = ("(i32.const 0)", "(i32.load (i32.const 24))", "(i32.const 77)");
    let vm = run(
        Host::new(),
        &[read.to_owned(), share(any), read.to_owned(), share(seen), share(seen), share(wrong)].join(" "),
    );
    assert_eq!(reports(&vm), ["1", "", "0", "0", "value", "0", "8", "8"]);
    assert_eq!(vm.host().shared_data[&b"name"[..]].0, b"value");
}

#[test]
fn an_http_call_needs_its_pseudo_headers() {
    let call = "(call $say (call $pairs (i32.const 0) (i32.const 16) (i32.const 20)))
                (call $say (call $http (i32.const 100) (i32.const 4)
                    (i32.load (i32.const 16)) (i32.load (i32.const 20)) (i32.const 110) (i32.const 5)
                    (i32.const 0) (i32.const 0) (i32.const 250) (i32.const 24)))";
    assert_eq!(reports(&run(Host::new(), call)), ["0", "2"]);

    let (mut vm, root) = start(&on_request(&format!("{call} (call $say (i32.load (i32.const 24)))")));
    let stream = vm.stream(root).unwrap();
    let headers = HeaderMap::from([(":method", "POST"), (":path", "/"), (":authority", "c")]);
    vm.request(stream, headers.clone()).unwrap();
    assert_eq!(reports(&vm), ["0", "0", "1"]);
    let [sent] = &vm.host().http_calls[..] else { panic!("one call") };
    assert_eq!((sent.token, sent.upstream.as_str(), sent.timeout_ms), (1, "name", 250));
    assert_eq!((&sent.headers, &sent.body[..]), (&headers, &b"value"[..]));
}

#[test]
fn the_clock_stands_still() {
    let mut host = Host::new();
    host.now_ns = 5;
    let vm = run(
        host,
        "(call $say (call $now (i32.const 32))) (call $say (i32.load (i32.const 32)))
         (call $say (call $clock (i32.const 0) (i64.const 0) (i32.const 40))) (call $say (i32.load (i32.const 40)))
         (call $say (call $clock (i32.const 2) (i64.const 0) (i32.const 40)))",
    );
    let not_supported = char::from(b'0' + 58).to_string();
    assert_eq!(reports(&vm), ["0", "5", "0", "5", &not_supported]);
}

#[test]
fn random_bytes_depend_on_the_seed_only() {
    let bytes = |seed: u64| {
        let mut host = Host::new();
        host.seed(seed);
        let vm = run(
            host,
            "(call $say (call $random (i32.const 200) (i32.const 13))) (call $print (i32.const 200) (i32.const 13))",
        );
        let [status, bytes] = reports(&vm)[..] else { panic!("two reports") };
        assert_eq!(status, "0");
        bytes.to_owned()
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn random_bytes_have_the_limits_of_envoy() {
    let vm = run(
        Host::new(),
        "(call $say (call $random (i32.const 200) (i32.const 65537)))
         (call $say (call $random (i32.const 65535) (i32.const 2)))",
    );
    let [invalid, fault] = [28, 21].map(|errno| char::from(b'0' + errno).to_string());
    assert_eq!(reports(&vm), [invalid, fault]);
}

#[test]
fn standard_error_is_kept() {
    let vm = run(
        Host::new(),
        "(i32.store (i32.const 320) (i32.const 100)) (i32.store (i32.const 324) (i32.const 4))
         (i32.store (i32.const 328) (i32.const 120)) (i32.store (i32.const 332) (i32.const 5))
         (call $say (call $write (i32.const 2) (i32.const 320) (i32.const 2) (i32.const 24)))
         (call $say (i32.load (i32.const 24)))
         (call $say (call $write (i32.const 5) (i32.const 320) (i32.const 2) (i32.const 24)))
         (call $say (call $write (i32.const 1) (i32.const 320) (i32.const -1) (i32.const 24)))",
    );
    let fault = char::from(b'0' + 21).to_string();
    assert_eq!(reports(&vm), ["0", "9", "8", &fault]);
    assert_eq!(vm.host().stderr, b"nameother");
    assert!(vm.host().stdout.is_empty());
}

#[test]
fn the_environment_is_that_of_the_host() {
    let mut host = Host::new();
    host.environment.insert("B".to_owned(), "2".to_owned());
    host.environment.insert("A".to_owned(), "1".to_owned());
    let vm = run(
        host,
        "(call $say (call $environ_sizes (i32.const 24) (i32.const 28)))
         (call $say (i32.load (i32.const 24)))
         (call $say (i32.load (i32.const 28)))
         (call $say (call $environ (i32.const 200) (i32.const 300)))
         (call $print (i32.load (i32.const 204)) (i32.const 4))",
    );
    assert_eq!(reports(&vm), ["0", "2", "8", "0", "B=2\0"]);
}
