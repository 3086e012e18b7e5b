//! The functions of the measurements, as text.

/// The least a function can do and still answer.
pub(crate) const MINIMAL: &str = r#"(module
    (import "env" "response_set_body" (func $set_body (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "hello from the edge\n")
    (func (export "handle_request") (result i32) (call $set_body (i32.const 0) (i32.const 20))))"#;

/// The same after `reads` hits of the cache, whose key it sets if it is not there.
pub(crate) fn reading(reads: u32) -> String {
    format!(
        r#"(module
    (import "env" "response_set_body" (func $set_body (param i32 i32) (result i32)))
    (import "env" "cache_get" (func $read (param i32 i32) (result i32)))
    (import "env" "cache_set" (func $write (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "hello from the edge\n")
    (func (export "handle_request") (result i32) (local $left i32)
        (local.set $left (i32.const {reads}))
        (loop $next
            (if (i32.lt_s (call $read (i32.const 0) (i32.const 5)) (i32.const 0)) (then
                (if (i32.lt_s
                        (call $write (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 20) (i32.const 600))
                        (i32.const 0))
                    (then (return (i32.const -1))))))
            (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $set_body (i32.const 0) (i32.const 20))))"#
    )
}

/// 200 for what a limit of 100 a second lets through, 429 for the rest, 503 when nobody can tell.
pub(crate) const LIMITED: &str = r#"(module
    (import "env" "rate_limit" (func $limit (param i32 i32 i32 i32) (result i32)))
    (import "env" "request_terminate" (func $end (param i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "bench")
    (func (export "handle_request") (result i32) (local $wait i32)
        (local.set $wait (call $limit (i32.const 0) (i32.const 5) (i32.const 100) (i32.const 1)))
        (if (i32.eqz (local.get $wait)) (then (return (call $end (i32.const 200)))))
        (if (i32.lt_s (local.get $wait) (i32.const 0)) (then (return (call $end (i32.const 503)))))
        (call $end (i32.const 429))))"#;

/// Adds one to a count and answers with it as it was read back; 503 if it could not be.
pub(crate) const COUNTING: &str = r#"(module
    (import "env" "cache_increment" (func $add (param i32 i32 i64 i32) (result i64)))
    (import "env" "cache_get" (func $read (param i32 i32) (result i32)))
    (import "env" "request_terminate" (func $end (param i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "count")
    (func (export "handle_request") (result i32)
        (if (i64.lt_s (call $add (i32.const 0) (i32.const 5) (i64.const 1) (i32.const 600)) (i64.const 0))
            (then (return (call $end (i32.const 503)))))
        (drop (call $read (i32.const 0) (i32.const 5)))
        (i32.const 0)))"#;
