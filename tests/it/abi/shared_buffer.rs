//! The shared buffer: empty at first, replaced by each call that yields data, left alone by one that fails.

use crate::harness::{Request, answers, report};

fn noted(body: &str) -> String {
    answers("", &report(body))
        .start()
        .send(&Request::get("/shared").header("x-user", "ada"))
        .text()
}

/// Copies `length` bytes from `offset` to 1 MiB.
fn copy(offset: i64, length: i64) -> String {
    format!(
        "(call $tried (call $get_shared_buffer (i32.const 0x100000) (i32.const {offset}) (i32.const {length})))\n"
    )
}

#[test]
fn it_is_empty_at_the_start() {
    assert_eq!(
        noted(&[copy(0, 0), copy(0, 1), copy(1, 0)].concat()),
        "0\n-1/2\n-1/2\n"
    );
}

#[test]
fn parts_of_it_are_copied_and_nothing_past_its_end() {
    let body = [
        "(drop (call $request_get_uri))\n", // /shared
        &copy(1, 6),
        "(call $note (i32.load8_u (i32.const 0x100000)))\n(call $note (i32.load8_u (i32.const 0x100006)))\n",
        &copy(7, 0),
        &copy(1, 7),
        &copy(8, 0),
        &copy(-1, 2),
        &copy(0, -1),
        "(call $note (i32.load8_u (i32.const 0x100006)))",
    ];
    assert_eq!(
        noted(&body.concat()),
        format!("6\n{}\n0\n0\n-1/2\n-1/2\n-1/2\n-1/2\n0\n", u32::from(b's'))
    );
}

#[test]
fn a_call_that_yields_data_replaces_it_and_one_that_fails_does_not() {
    let body = "
        (drop (call $request_get_uri))
        (local.set $n (call $request_get_method))
        (drop (call $request_get_header {x-absent}))
        (drop (call $cache_get {absent}))
        (drop (call $response_set_status (i32.const 200)))
        (call $text (local.get $n))
        (call $text (call $request_get_header {x-user}))";
    assert_eq!(noted(body), "GET\nada\n");
}

#[test]
fn it_is_each_invocations_own() {
    let node = answers("", &report("(call $tried (call $get_shared_buffer (i32.const 0x100000) (i32.const 0) (i32.const 1)))
        (drop (call $request_get_uri))")).start();
    let mut connection = node.connect();
    for _ in 0..3 {
        assert_eq!(
            connection
                .exchange(&Request::get("/secret"))
                .unwrap()
                .text(),
            "-1/2\n"
        );
    }
}

#[test]
fn a_value_larger_than_its_limit_is_too_large() {
    let set = "(call $tried (call $cache_set {large} (i32.const 0x100000) (i32.const 5000) (i32.const 60)))
        (call $tried (call $cache_get {large}))";
    let node = answers("limits = { shared_buffer = \"4KiB\" }", &report(set)).start();
    assert_eq!(node.get("/").text(), "0\n-1/3\n");
}
