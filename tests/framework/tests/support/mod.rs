//! Small modules in the text format.

use proxy_wasm_test_framework::{LogLevel, Module, RootId, Vm};

/// Imports, an allocator, and ways to report a status (`$say`) and the bytes behind the pointers at 16 (`$show`).
const PRELUDE: &str = r#"
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
    (import "env" "proxy_set_header_map_pairs" (func $set_pairs (param i32 i32 i32) (result i32)))
    (import "env" "proxy_get_header_map_size" (func $headers_size (param i32 i32) (result i32)))
    (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
    (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
    (import "env" "proxy_record_metric" (func $record (param i32 i64) (result i32)))
    (import "env" "proxy_get_metric" (func $metric (param i32 i32) (result i32)))
    (import "env" "proxy_get_shared_data" (func $shared (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_set_shared_data" (func $share (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_http_call" (func $http (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_set_effective_context" (func $act_for (param i32) (result i32)))
    (import "env" "proxy_set_tick_period_milliseconds" (func $tick_every (param i32) (result i32)))
    (import "env" "proxy_get_current_time_nanoseconds" (func $now (param i32) (result i32)))
    (import "env" "proxy_done" (func $finished (result i32)))
    (import "env" "proxy_not_a_function" (func $unknown (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (global $heap (mut i32) (i32.const 4096))
    (func (export "_initialize"))
    (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
        (global.get $heap)
        (global.set $heap (i32.add (global.get $heap) (local.get $size))))
    (func $print (param $data i32) (param $size i32)
        (drop (call $log (i32.const 2) (local.get $data) (local.get $size))))
    (func $say (param $status i32)
        (i32.store8 (i32.const 0) (i32.add (i32.const 48) (local.get $status)))
        (call $print (i32.const 0) (i32.const 1)))
    (func $show (param $status i32)
        (call $say (local.get $status))
        (call $print (i32.load (i32.const 16)) (i32.load (i32.const 20))))
"#;

/// A module of the prelude and that.
pub fn module(text: &str) -> Module {
    let bytes = wat::parse_str(format!("(module {PRELUDE} {text})")).expect("the text is a module");
    Module::from_bytes(bytes).expect("the module compiles")
}

/// A module whose request pass does that.
pub fn on_request(body: &str) -> Module {
    module(&format!(
        r#"(func (export "proxy_on_request_headers") (param $id i32) (param $lines i32) (param i32) (result i32)
            {body}
            (i32.const 0))
        {DATA}"#
    ))
}

/// Texts the bodies use: `name` at 100, `value` at 110, `other` at 120, the path of a header property at 130.
pub const DATA: &str = r#"(data (i32.const 100) "name") (data (i32.const 110) "value")
    (data (i32.const 120) "other") (data (i32.const 130) "request\00headers\00name")"#;

/// A VM of that module with one plugin.
pub fn start(module: &Module) -> (Vm, RootId) {
    let mut vm = Vm::start(module).expect("the VM starts");
    let root = vm.root(b"{}").expect("no trap").expect("the configuration is accepted");
    (vm, root)
}

/// What the module reported.
pub fn reports(vm: &Vm) -> Vec<&str> {
    vm.host().logged(LogLevel::Trace)
}
