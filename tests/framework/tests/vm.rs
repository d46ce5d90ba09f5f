//! Modules, VMs and callbacks.

mod support;

use std::sync::LazyLock;

use proxy_wasm_test_framework::{Action, Error, Host, Module, Status, Trap, Vm};
use support::{module, on_request, reports, start};

#[test]
fn a_missing_file_is_named() {
    let error = Module::load("no/such/filter.wasm").unwrap_err();
    assert!(matches!(error, Error::Read(..)));
    assert!(error.to_string().starts_with("no/such/filter.wasm: "), "{error}");
}

#[test]
fn what_is_no_module_is_refused() {
    assert!(matches!(Module::from_bytes(b"nonsense"), Err(Error::Invalid(_))));
    let odd = r#"(module (import "env" "proxy_done" (func (param i64))))"#;
    let error = Module::from_bytes(wat::parse_str(odd).unwrap()).unwrap_err();
    assert!(error.to_string().contains("proxy_done"), "{error}");
}

#[test]
fn exports_and_imports_are_listed_in_order() {
    let text = r#"(module (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
                          (import "a" "b" (func)) (func (export "z")) (func (export "_initialize")))"#;
    let module = Module::from_bytes(wat::parse_str(text).unwrap()).unwrap();
    assert_eq!(module.exports(), ["_initialize", "z"]);
    assert_eq!(module.imports(), ["a.b", "env.proxy_log"]);
}

#[test]
fn a_module_is_shared_between_threads() {
    static MODULE: LazyLock<Module> = LazyLock::new(|| module(""));
    let threads = [(); 4].map(|()| std::thread::spawn(|| start(&MODULE).0.memory_bytes()));
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 65536);
    }
}

#[test]
fn callbacks_that_are_not_exported_agree() {
    let (mut vm, root) = start(&module(""));
    assert!(vm.reconfigure(root, b"new").unwrap());
    let stream = vm.stream(root).unwrap();
    assert_eq!(vm.request(stream, [("a", "b")]).unwrap(), Action::Continue);
    assert_eq!(vm.response(stream, [(":status", "200")]).unwrap(), Action::Continue);
    assert_eq!(vm.fuel_used(), 0);
    assert_eq!(vm.request_headers(stream).get("a"), Some(&b"b"[..]));
    vm.finish(stream).unwrap();
    assert!(vm.request_headers(stream).is_empty(), "a deleted stream is forgotten");
    assert_eq!(vm.request(stream, [("a", "b")]).unwrap_err().reason, "context 2 does not exist");
    assert_eq!(vm.delete(stream).unwrap_err().reason, "context 2 does not exist");
    assert!(vm.stream(root).is_ok(), "which is no trap of the module");
}

/// Reads the configuration and refuses it if it is empty.
const CONFIGURABLE: &str = r#"
    (func (export "proxy_on_configure") (param $id i32) (param $size i32) (result i32)
        (call $show (call $buffer (i32.const 7) (i32.const 0) (local.get $size) (i32.const 16) (i32.const 20)))
        (i32.ne (local.get $size) (i32.const 0)))
    (func (export "proxy_on_tick") (param $id i32)
        (call $show (call $buffer (i32.const 7) (i32.const 1) (i32.const 3) (i32.const 16) (i32.const 20))))
    (func (export "proxy_on_context_create") (param i32 i32)
        (drop (call $tick_every (i32.const 50))))
"#;

#[test]
fn a_refused_configuration_leaves_no_plugin() {
    let mut vm = Vm::start(&module(CONFIGURABLE)).unwrap();
    assert_eq!(vm.root(b"").unwrap(), None);
    assert!(vm.root(b"fine").unwrap().is_some());
    assert_eq!(reports(&vm), ["0", "", "0", "fine"]);
}

#[test]
fn a_vm_may_refuse_to_start() {
    let mut vm = Vm::start(&module(
        r#"(func (export "proxy_on_vm_start") (param i32) (param $size i32) (result i32)
               (call $show (call $buffer (i32.const 6) (i32.const 0) (i32.const 9) (i32.const 16) (i32.const 20)))
               (i32.eq (local.get $size) (i32.const 2)))"#,
    ))
    .unwrap();
    assert_eq!(vm.root(b"").unwrap(), None);
    vm.host_mut().vm_configuration = b"vm".to_vec();
    assert!(vm.root(b"").unwrap().is_some());
    assert_eq!(reports(&vm), ["0", "", "0", "vm"]);
}

#[test]
fn plugins_of_one_vm_have_configurations_of_their_own() {
    let mut vm = Vm::start(&module(CONFIGURABLE)).unwrap();
    let [one, two] = [b"one", b"two"].map(|name| vm.root(name).unwrap().unwrap());
    assert!(vm.reconfigure(two, b"2nd").unwrap());
    assert!(!vm.reconfigure(one, b"").unwrap(), "and the old one stays");
    vm.host_mut().logs.clear();
    vm.tick(one).unwrap();
    vm.tick(two).unwrap();
    assert_eq!(reports(&vm), ["0", "ne", "0", "nd"]);
    assert_eq!(vm.tick_period_ms(two), 50);
}

#[test]
fn a_pause_keeps_the_headers_open() {
    let (mut vm, root) = start(&module(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
           (func (export "proxy_on_done") (param i32) (result i32)
               (call $say (call $headers_size (i32.const 0) (i32.const 24)))
               (i32.const 0))
           (func (export "proxy_on_tick") (param $id i32)
               (drop (call $act_for (i32.const 2))) (call $say (call $finished)) (call $say (call $finished)))"#,
    ));
    let stream = vm.stream(root).unwrap();
    assert_eq!(vm.request(stream, [("a", "b")]).unwrap(), Action::Pause);
    assert!(!vm.done(stream).unwrap());
    vm.tick(root).unwrap();
    assert_eq!(reports(&vm), ["0", "0", "1"]);
}

#[test]
fn a_trap_is_the_end_of_the_vm() {
    let (mut vm, root) = start(&on_request("unreachable"));
    let stream = vm.stream(root).unwrap();
    let trap = vm.request(stream, [("a", "b")]).unwrap_err();
    assert_eq!(trap.export, "proxy_on_request_headers");
    assert!(
        trap.to_string().starts_with("proxy_on_request_headers trapped: wasm trap: wasm `unreachable`"),
        "{trap}"
    );
    assert_eq!(vm.log(stream).unwrap_err(), trap);
    assert_eq!(vm.root(b"").unwrap_err(), trap);
}

#[test]
fn what_cannot_go_on_traps() {
    let trap = |body: &str| -> Trap {
        let (mut vm, root) = start(&on_request(body));
        let stream = vm.stream(root).unwrap();
        vm.host_mut().fuel = 10_000;
        vm.request(stream, [("a", "b")]).unwrap_err()
    };
    assert!(trap("(loop (br 0))").reason.contains("fuel"));
    assert!(trap("(call $exit (i32.const 7))").reason.contains("proc_exit(7)"));
    assert!(trap("(drop (call $unknown))").reason.contains("proxy_not_a_function"));
}

#[test]
fn an_initialisation_that_traps_is_no_vm() {
    let text = r#"(module (func (export "_initialize") unreachable))"#;
    let module = Module::from_bytes(wat::parse_str(text).unwrap()).unwrap();
    assert_eq!(Vm::start(&module).unwrap_err().export, "_initialize");
}

#[test]
fn fuel_is_that_of_the_last_callback() {
    let (mut vm, root) = start(&on_request("(drop (i32.add (local.get $id) (local.get $lines)))"));
    let stream = vm.stream(root).unwrap();
    vm.request(stream, [("a", "b")]).unwrap();
    let used = vm.fuel_used();
    assert!((3..20).contains(&used), "{used}");
    vm.request(stream, [("a", "b")]).unwrap();
    assert_eq!(vm.fuel_used(), used);
}

#[test]
fn a_guest_that_cannot_allocate_gets_no_bytes() {
    let text = r#"(module
        (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "malloc") (param i32) (result i32) (i32.const 0))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (i32.ne (call $pairs (i32.const 0) (i32.const 16) (i32.const 20)) (i32.const STATUS))))"#;
    let text = text.replace("STATUS", &(Status::InvalidMemoryAccess as u32).to_string());
    let module = Module::from_bytes(wat::parse_str(text).unwrap()).unwrap();
    let mut vm = Vm::with(&module, Host::new()).unwrap();
    let root = vm.root(b"").unwrap().unwrap();
    let stream = vm.stream(root).unwrap();
    assert_eq!(vm.request(stream, [("a", "b")]).unwrap(), Action::Continue);
}
