//! `instance = "reuse"`: one sandbox serves several requests, and what never passes from one to the next.

use crate::harness::http::Response;
use crate::harness::{Answer, EGRESS, Gate, Https, Node, Request, answers, module, node};

/// Counts its requests in its memory, and does what the request's headers say.
const COUNTING: &str = "
    (if (i32.eq (call $request_get_header {x-plain}) (i32.const -1)) (then
      (drop (call $response_set_header {x-edit} {of this request}))))
    (if (i32.ne (call $request_get_header {x-trap}) (i32.const -1)) (then unreachable))
    (if (i32.ne (call $request_get_header {x-fail}) (i32.const -1))
      (then (return (i32.const -3))))
    (if (i32.ne (call $request_get_header {x-spin}) (i32.const -1)) (then (loop $l (br $l))))
    (i32.store (i32.const 0x100000) (i32.add (i32.const 1) (i32.load (i32.const 0x100000))))
    (global.set $end (i32.const 0x10000))
    (call $note (i32.load (i32.const 0x100000)))
    (call $answer)
    (i32.const 0)";

fn counting(keys: &str) -> Node {
    answers(&format!("instance = \"reuse\"\n{keys}"), &module(COUNTING)).start()
}

fn count(response: &Response) -> u32 {
    assert_eq!(response.status, 200, "{}", response.text());
    response.text().trim().parse().unwrap()
}

fn counts(node: &Node, requests: usize) -> Vec<u32> {
    (0..requests).map(|_| count(&node.get("/"))).collect()
}

#[test]
fn an_instance_serves_up_to_its_limit_and_then_a_new_one_does() {
    let node = counting("reuse_limit = 3");
    assert_eq!(counts(&node, 7), [1, 2, 3, 1, 2, 3, 1]);
    let fresh = answers("", &module(COUNTING)).start();
    assert_eq!(counts(&fresh, 3), [1, 1, 1]);
}

#[test]
fn an_instance_is_not_used_again_after_a_failure() {
    let node = counting("");
    for header in ["x-trap", "x-fail", "x-spin"] {
        assert_eq!(counts(&node, 2), [1, 2], "before {header}");
        let failed = node.send(&Request::get("/").header(header, "1"));
        assert_eq!(failed.status, 500);
    }
    assert_eq!(counts(&node, 2), [1, 2]);
}

#[test]
fn edits_of_one_request_do_not_reach_the_next() {
    let node = counting("");
    let first = node.get("/");
    assert_eq!(first.header("x-edit"), Some("of this request"));
    let second = node.send(&Request::get("/").header("x-plain", "1"));
    assert_eq!((count(&second), second.header("x-edit")), (2, None));
}

#[test]
fn the_host_side_begins_anew_with_each_request() {
    // The shared buffer, the last error, and the figures that limits are held to.
    let body = "
        (global.set $end (i32.const 0x10000))
        (call $note (call $get_shared_buffer (i32.const 0x90000) (i32.const 0) (i32.const 1)))
        (drop (call $request_get_method))
        (drop (call $cache_get {absent}))
        (call $note (call $last_error_code))
        (call $answer) (i32.const 0)";
    let limits = "limits = { cache_calls = 1, fuel = 100_000 }";
    let node = answers(&format!("instance = \"reuse\"\n{limits}"), &module(body)).start();
    for _ in 0..40 {
        assert_eq!(node.get("/").text(), "-1\n1\n");
    }
}

#[test]
fn the_start_section_runs_once_for_each_instance() {
    let guest = r#"(module
        (import "env" "response_add_header" (func $add (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "x-started1")
        (func $start (drop (call $add (i32.const 0) (i32.const 9) (i32.const 9) (i32.const 1))))
        (func (export "handle_request") (result i32) (i32.const 0))
        (start $start))"#;
    let node = answers("instance = \"reuse\"\nreuse_limit = 2", guest).start();
    let started = |_| node.get("/").header("x-started").is_some();
    let started: Vec<_> = (0..4).map(started).collect();
    assert_eq!(started, [true, false, true, false]);
}

#[test]
fn an_instance_serves_one_request_at_a_time_and_none_after_its_client_left() {
    let gate = Gate::default();
    let closed = gate.clone();
    let https = Https::start(move |_| Answer::ok("late").held(&closed));
    let wait = format!(
        "(if (i32.ne (call $request_get_header {{x-wait}}) (i32.const -1))
           (then (drop (call $http_get {{{}}}))))",
        https.url("/")
    );
    let guest = module(&format!("{wait}\n{COUNTING}"));
    let node = https
        .reachable_from(answers(&format!("instance = \"reuse\"\n{EGRESS}"), &guest))
        .start();
    assert_eq!(counts(&node, 2), [1, 2]);
    let waiting = Request::get("/").header("x-wait", "1");
    let mut connection = node.connect();
    connection.send(&waiting.bytes());
    https.origin.wait_for(1);
    assert_eq!(counts(&node, 2), [1, 2], "the first instance is busy");
    drop(connection);
    node.stdout.wait_for(|line| line.contains("\"cancelled\""));
    assert_eq!(counts(&node, 1), [3], "only the second one is left");
    gate.open();
    assert_eq!(counts(&node, 1), [4]);
}

#[test]
fn a_reload_starts_from_new_instances() {
    let node = counting("");
    assert_eq!(counts(&node, 2), [1, 2]);
    node.reload_files().unwrap();
    assert_eq!(counts(&node, 2), [1, 2]);
}

#[test]
fn idle_instances_leave_the_memory_to_those_that_run() {
    // Each holds 40 of 64 MiB: past its quarter for idle ones nothing is kept.
    let big = "(memory.fill (i32.const 0x200000) (i32.const 1) (i32.const 39000000))";
    let guest = module(&format!("{big}\n{COUNTING}"));
    let guest = guest.replace(
        "(memory (export \"memory\") 40)",
        "(memory (export \"memory\") 640)",
    );
    let toml = r#"
        [edge]
        memory = "64MiB"
        [functions.big]
        module = "big.wasm"
        instance = "reuse"
        limits = { execution_time = "5s" }
        [functions.other]
        module = "big.wasm"
        limits = { execution_time = "5s" }
        [[routes]]
        path = "/other"
        functions = ["other"]
        [[routes]]
        functions = ["big"]"#;
    let node = node(toml).wasm("big", guest).start();
    for _ in 0..3 {
        assert_eq!(count(&node.get("/")), 1, "none is kept");
        assert_eq!(count(&node.get("/other")), 1);
    }
}

#[test]
fn a_function_that_is_reused_has_its_time_anew_with_each_request() {
    let spin = "
        (local.set $i (i32.const 3_000_000))
        (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (i32.const 0)";
    let keys =
        "instance = \"reuse\"\nlimits = { fuel = 1_000_000_000, execution_time = \"100ms\" }";
    let node = answers(keys, &module(spin)).start();
    for _ in 0..50 {
        assert_eq!(node.get("/").status, 200);
    }
}
