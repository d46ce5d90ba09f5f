;; The floor: what a filter of the same host calls costs when it has no logic at all.
;;
;; The length of its configuration says what it does: 0 nothing; 1 the request pass (reads all headers, writes
;; traceparent, counts); 2 the response pass as well (reads one header, writes one). It exports every callback of an
;; HTTP filter; `xtask prune` keeps those that Tracewarden exports, so that the host calls the same ones.
(module
  (import "env" "proxy_get_header_map_pairs"
    (func $headers (param $map i32) (param $data i32) (param $size i32) (result i32)))
  (import "env" "proxy_get_header_map_value"
    (func $header (param $map i32) (param $key i32) (param $length i32) (param $data i32) (param $size i32)
      (result i32)))
  (import "env" "proxy_replace_header_map_value"
    (func $replace (param $map i32) (param $key i32) (param $length i32) (param $value i32) (param $size i32)
      (result i32)))
  (import "env" "proxy_define_metric"
    (func $define (param $type i32) (param $name i32) (param $length i32) (param $id i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param $id i32) (param $by i64) (result i32)))

  ;; Four pages: the host's buffers are written at 4096, one at a time, and Envoy's headers are at most 60 KiB.
  (memory (export "memory") 4)
  (data (i32.const 0) "traceparent")
  (data (i32.const 16) "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00")
  (data (i32.const 80) "floor_requests_total")
  ;; 128: the metric's id. 132, 136: where the host puts a buffer's address and size.

  (global $passes (mut i32) (i32.const 0))

  (func (export "_initialize"))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param $context i32) (param $size i32) (result i32)
    (global.set $passes (local.get $size))
    (drop (call $define (i32.const 0) (i32.const 80) (i32.const 20) (i32.const 128)))
    (i32.const 1))
  (func (export "proxy_on_tick") (param i32))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32))

  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (if (global.get $passes) (then
      (drop (call $headers (i32.const 0) (i32.const 132) (i32.const 136)))
      (drop (call $replace (i32.const 0) (i32.const 0) (i32.const 11) (i32.const 16) (i32.const 55)))
      (drop (call $increment (i32.load (i32.const 128)) (i64.const 1)))))
    (i32.const 0))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_request_trailers") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (if (i32.eq (global.get $passes) (i32.const 2)) (then
      (drop (call $header (i32.const 2) (i32.const 0) (i32.const 11) (i32.const 132) (i32.const 136)))
      (drop (call $replace (i32.const 2) (i32.const 0) (i32.const 11) (i32.const 16) (i32.const 55)))))
    (i32.const 0))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_trailers") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_log") (param i32))
  (func (export "proxy_on_delete") (param i32)))
