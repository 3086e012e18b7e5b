//! Cache keys, values and lifetimes at their limits, and the request getters.

use crate::harness::{Request, answers, report};

fn noted(keys: &str, body: &str) -> String {
    answers(keys, &report(body))
        .start()
        .send(&Request::get("/v?q=1").header("X-User", "ada"))
        .text()
}

fn set(key: (u32, u32), length: u32, ttl: i32) -> String {
    format!(
        "(call $tried (call $cache_set (i32.const {}) (i32.const {}) (i32.const 0x100000) (i32.const {length}) (i32.const {ttl})))\n",
        key.0, key.1
    )
}

#[test]
fn values_are_taken_up_to_a_mebibyte() {
    let body = [
        set((0x400, 3), 1 << 20, 60),
        set((0x400, 3), (1 << 20) + 1, 60),
    ]
    .concat();
    let body = format!("{body} (call $tried (call $cache_get (i32.const 0x400) (i32.const 3)))");
    assert_eq!(noted("", &body), "0\n-1/3\n1048576\n");
}

#[test]
fn keys_are_taken_from_1_to_256_bytes() {
    let results = noted(
        "",
        &[
            set((0x100000, 0), 1, 60),
            set((0x100000, 256), 1, 60),
            set((0x100000, 257), 1, 60),
        ]
        .concat(),
    );
    let results: Vec<&str> = results.lines().collect();
    assert_eq!(results[..2], ["-1/2", "0"]);
    assert!(matches!(results[2], "-1/2" | "-1/3"), "{}", results[2]);
}

#[test]
fn lifetimes_are_unsigned_seconds_up_to_a_year() {
    let key = (0x400, 1);
    let body = [
        set(key, 1, 0),
        set(key, 1, 31_536_000),
        set(key, 1, 31_622_401),
        set(key, 1, -1),
    ]
    .concat();
    assert_eq!(noted("", &body), "0\n0\n-1/2\n-1/2\n");
}

#[test]
fn an_empty_value_is_a_value() {
    let body = format!(
        "{} (call $tried (call $cache_get (i32.const 0x400) (i32.const 2)))",
        set((0x400, 2), 0, 60)
    );
    assert_eq!(noted("", &body), "0\n0\n");
}

#[test]
fn the_calls_of_one_invocation_to_the_cache_are_limited() {
    let body = "(drop (call $cache_get {a})) (drop (call $cache_get {a}))
        (call $tried (call $cache_get {a})) (call $tried (call $cache_set {a} {b} (i32.const 1)))";
    assert_eq!(noted("limits = { cache_calls = 2 }", body), "-1/7\n-1/7\n");
}

#[test]
fn absent_things_are_not_found() {
    let body = "(call $tried (call $cache_get {absent})) (call $tried (call $request_get_header {x-absent}))
        (call $tried (call $config_get {absent}))";
    assert_eq!(noted("", body), "-1/1\n-1/1\n-1/1\n");
}

#[test]
fn a_body_not_asked_for_is_not_given() {
    assert_eq!(
        noted("", "(call $tried (call $request_get_body))"),
        "-1/4\n"
    );
    assert_eq!(
        noted(
            "body = \"request\"",
            "(call $tried (call $request_get_body))"
        ),
        "0\n"
    );
}

#[test]
fn a_guest_does_not_see_what_the_node_takes_away() {
    let body = "(call $tried (call $request_get_header {x-forwarded-for}))
        (call $tried (call $request_get_header {x-aegis-role}))
        (call $text (call $request_get_header {x-USER}))";
    let node = answers("", &report(body)).start();
    let request = Request::get("/")
        .header("X-Forwarded-For", "1.2.3.4")
        .header("X-Aegis-Role", "admin");
    assert_eq!(
        node.send(&request.header("x-user", "ada")).text(),
        "-1/1\n-1/1\nada\n"
    );
}
