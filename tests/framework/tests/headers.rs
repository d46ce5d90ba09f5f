//! Header calls, and when they are allowed.

mod support;

use proxy_wasm_test_framework::{Action, HeaderMap, Status, Vm};
use support::{DATA, module, on_request, reports, start};

const LINES: [(&str, &str); 3] = [("name", "first"), ("via", "x"), ("Name", "second")];
const GET: &str =
    "(call $show (call $get (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 16) (i32.const 20)))";

/// Runs one request pass over [`LINES`] and answers the VM and the headers after it.
fn request(body: &str) -> (Vm, HeaderMap) {
    let (mut vm, root) = start(&on_request(body));
    let stream = vm.stream(root).unwrap();
    assert_eq!(vm.request(stream, LINES).unwrap(), Action::Continue);
    let headers = vm.request_headers(stream).clone();
    (vm, headers)
}

#[test]
fn a_get_sees_the_first_line_only() {
    let (vm, headers) = request(GET);
    assert_eq!(reports(&vm), ["0", "first"]);
    assert_eq!(headers, HeaderMap::from(LINES));
}

#[test]
fn a_get_of_an_absent_name_is_not_found() {
    let (vm, _) = request(&GET.replace("100", "110"));
    assert_eq!(reports(&vm)[0], "1");
}

#[test]
fn a_replace_leaves_one_line() {
    let (vm, headers) = request(
        "(call $say (call $replace (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 110) (i32.const 5)))",
    );
    assert_eq!(reports(&vm), ["0"]);
    assert_eq!(headers, HeaderMap::from([("via", "x"), ("name", "value")]));
}

#[test]
fn an_add_appends_a_line() {
    let (_, headers) = request(
        "(call $say (call $add (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 110) (i32.const 5)))",
    );
    assert_eq!(headers.lines("name"), [&b"first"[..], b"second", b"value"]);
}

#[test]
fn a_remove_takes_all_lines() {
    let (_, headers) = request("(call $say (call $remove (i32.const 0) (i32.const 100) (i32.const 4)))");
    assert_eq!(headers, HeaderMap::from([("via", "x")]));
}

#[test]
fn all_pairs_can_be_read_and_written_back() {
    let (vm, headers) = request(
        "(call $say (call $pairs (i32.const 0) (i32.const 16) (i32.const 20)))
         (call $say (call $set_pairs (i32.const 0) (i32.load (i32.const 16)) (i32.load (i32.const 20))))
         (call $say (call $headers_size (i32.const 0) (i32.const 24)))
         (call $say (i32.load (i32.const 24)))",
    );
    assert_eq!(headers, HeaderMap::from(LINES));
    let bytes = char::from(b'0' + u8::try_from(headers.byte_size()).unwrap()).to_string();
    assert_eq!(reports(&vm), ["0", "0", "0", &bytes]);
}

#[test]
fn the_pass_is_told_how_many_lines_there_are() {
    let (vm, _) = request("(call $say (local.get $lines))");
    assert_eq!(reports(&vm), ["3"]);
}

#[test]
fn a_pointer_outside_memory_is_an_invalid_memory_access() {
    for (name, size) in [("65536", "1"), ("65530", "7"), ("-1", "-1"), ("100", "-1")] {
        let (vm, headers) = request(&format!(
            "(call $say (call $remove (i32.const 0) (i32.const {name}) (i32.const {size})))
             (call $say (call $pairs (i32.const 0) (i32.const 65533) (i32.const 20)))"
        ));
        let invalid = (Status::InvalidMemoryAccess as u32).to_string();
        assert_eq!(reports(&vm), [invalid.as_str(); 2], "{name} {size}");
        assert_eq!(headers, HeaderMap::from(LINES));
    }
}

#[test]
fn a_map_is_closed_outside_its_pass_and_readable_in_the_log() {
    let calls = |map: u32| {
        format!(
            "(call $say (call $get (i32.const {map}) (i32.const 100) (i32.const 4) (i32.const 16) (i32.const 20)))
             (call $say (call $pairs (i32.const {map}) (i32.const 16) (i32.const 20)))
             (call $say (i32.ne (i32.load (i32.const 16)) (i32.const 0)))
             (call $say (call $remove (i32.const {map}) (i32.const 110) (i32.const 5)))"
        )
    };
    let (request, response) = (calls(0), calls(2));
    let (mut vm, root) = start(&module(&format!(
        r#"(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
               {request} {response} (i32.const 0))
           (func (export "proxy_on_log") (param i32) {request} {response})
           {DATA}"#
    )));

    // Without a request callback the request is still there to be logged.
    let stream = vm.stream(root).unwrap();
    assert_eq!(vm.request(stream, LINES).unwrap(), Action::Continue);
    vm.response(stream, LINES).unwrap();
    assert_eq!(
        reports(&vm),
        ["2", "0", "0", "2", "0", "0", "1", "0"],
        "value, pairs, pairs not null, remove"
    );

    vm.host_mut().logs.clear();
    vm.log(stream).unwrap();
    assert_eq!(reports(&vm), ["0", "0", "1", "2", "0", "0", "1", "2"]);

    vm.host_mut().logs.clear();
    let stream = vm.stream(root).unwrap();
    vm.finish(stream).unwrap();
    assert_eq!(reports(&vm), ["1", "0", "0", "2", "1", "0", "0", "2"], "a stream that never had a pass");
}

#[test]
fn another_streams_headers_stay_closed() {
    let (mut vm, root) = start(&on_request(&format!(
        "(call $say (call $act_for (i32.sub (local.get $id) (i32.const 1)))) {GET}
         (call $say (call $act_for (i32.const 99)))"
    )));
    let streams = [vm.stream(root).unwrap(), vm.stream(root).unwrap()];
    vm.request(streams[1], LINES).unwrap();
    assert_eq!(reports(&vm), ["0", "2", "", "2"]);
}
