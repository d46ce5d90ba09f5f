//! Planned misbehaviour, and the counts of calls.

mod support;

use proxy_wasm_test_framework::{Call, Fault, Module, Status, Vm};
use support::{on_request, reports, start};

const GET: &str =
    "(call $show (call $get (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 16) (i32.const 20)))";

fn getter() -> Module {
    on_request(GET)
}

/// What one request with a `name` header reports under a fault.
fn report(fault: impl Into<Fault>) -> Vec<String> {
    let (mut vm, root) = start(&getter());
    vm.host_mut().fault(Call::GetHeader, fault);
    let stream = vm.stream(root).unwrap();
    vm.request(stream, [("name", "truth")]).unwrap();
    reports(&vm).into_iter().map(str::to_owned).collect()
}

#[test]
fn every_call_has_a_name_of_its_own() {
    let mut names: Vec<_> = Call::ALL.iter().map(|call| call.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Call::ALL.len());
    assert_eq!(Call::ReplaceHeader.name(), "proxy_replace_header_map_value");
}

#[test]
fn a_status_is_answered_and_nothing_done() {
    for status in Status::ALL {
        let digit = char::from(b'0' + status as u8).to_string();
        assert_eq!(report(status), [digit.as_str(), ""], "{status:?}");
    }
    assert_eq!(report(Fault::Status(79)), ["\u{7f}", ""]);
}

#[test]
fn bytes_are_handed_out_in_place_of_the_truth() {
    assert_eq!(report(Fault::Buffer(b"lie".to_vec())), ["0", "lie"]);
    assert_eq!(report(Fault::Buffer(Vec::new())), ["0", ""]);
    assert_eq!(report(Fault::Null), ["0", ""]);
    // The guest logs what is at address 0: the digit it has just written there, and a NUL.
    assert_eq!(report(Fault::NullWithSize(2)), ["0", "0\0"]);
}

#[test]
fn random_bytes_can_be_chosen() {
    let (mut vm, root) = start(&on_request(
        "(call $say (call $random (i32.const 200) (i32.const 5))) (call $print (i32.const 200) (i32.const 5))",
    ));
    let stream = vm.stream(root).unwrap();
    vm.host_mut().fault_nth(Call::RandomGet, 1, Fault::Buffer(b"ab".to_vec()));
    vm.host_mut().fault_nth(Call::RandomGet, 2, Fault::Status(6));
    vm.host_mut().logs.clear();
    vm.request(stream, [("a", "")]).unwrap();
    assert_eq!(reports(&vm), ["0", "ababa"]);
    vm.request(stream, [("a", "")]).unwrap();
    assert_eq!(reports(&vm)[2..], ["6", "ababa"]);
}

#[test]
fn the_nth_call_from_now_misbehaves_once() {
    let (mut vm, root) = start(&getter());
    let stream = vm.stream(root).unwrap();
    vm.request(stream, [("name", "a")]).unwrap();
    vm.host_mut().fault(Call::GetHeader, Fault::Buffer(b"always".to_vec()));
    vm.host_mut().fault_nth(Call::GetHeader, 2, Fault::Buffer(b"second".to_vec()));
    vm.host_mut().fault_nth(Call::GetHeader, 2, Fault::Buffer(b"later plan".to_vec()));
    vm.host_mut().reset_calls();
    for _ in 0..3 {
        vm.request(stream, [("name", "a")]).unwrap();
    }
    vm.host_mut().clear_faults();
    vm.request(stream, [("name", "a")]).unwrap();
    let values: Vec<_> = reports(&vm).into_iter().skip(1).step_by(2).collect();
    assert_eq!(values, ["a", "always", "later plan", "always", "a"]);
}

#[test]
#[should_panic(expected = "no effect on proxy_remove_header_map_value")]
fn a_fault_without_effect_is_refused() {
    let mut vm = Vm::start(&getter()).unwrap();
    vm.host_mut().fault(Call::RemoveHeader, Fault::Null);
}

#[test]
fn calls_and_bytes_are_counted() {
    let (mut vm, root) = start(&getter());
    let stream = vm.stream(root).unwrap();
    vm.host_mut().reset_calls();
    vm.request(stream, [("name", "12345")]).unwrap();

    let host = vm.host();
    assert_eq!(host.calls(Call::GetHeader), 1);
    assert_eq!(host.total_calls(), 3);
    assert_eq!(
        host.calls_by_name().into_iter().collect::<Vec<_>>(),
        [("proxy_get_header_map_value", 1), ("proxy_log", 2)]
    );
    assert_eq!(host.bytes_from_guest(), 4 + 1 + 5, "the name, the status, the value");
    assert_eq!(host.bytes_to_guest(), 5 + 4 + 4, "the value, its address, its size");

    vm.host_mut().reset_calls();
    assert_eq!(vm.host().total_calls(), 0);
}
