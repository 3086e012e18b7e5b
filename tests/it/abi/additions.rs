//! The additions: the last error, configuration values, time and randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::{answers, report};

#[test]
fn the_last_error_is_a_short_text_with_a_code() {
    let body = "
        (call $tried (call $request_get_header {x-absent}))
        (local.set $n (call $last_error))
        (call $text (local.get $n))
        (call $tried (call $response_set_status (i32.const 1)))";
    let text = answers("", &report(body)).start().get("/").text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[2]), ("-1/1", "-1/2"));
    assert!((3..200).contains(&lines[1].len()), "{text}");
}

#[test]
fn configuration_values_are_read_by_key() {
    let keys = r#"config = { greeting = "hello", "a key" = "ä", empty = "" }"#;
    let body = "(call $text (call $config_get {greeting})) (call $text (call $config_get {a key}))
        (call $text (call $config_get {empty})) (call $tried (call $config_get {Greeting}))";
    assert_eq!(
        answers(keys, &report(body)).start().get("/").text(),
        "hello\nä\n\n-1/1\n"
    );
}

#[test]
fn the_time_is_now_in_milliseconds() {
    let node = answers("", &report("(call $note64 (call $time_now))")).start();
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis()
    };
    let before = now();
    let told: u128 = node.get("/").text().trim().parse().unwrap();
    assert!(
        (before.saturating_sub(1000)..=now() + 1000).contains(&told),
        "{before} {told}"
    );
}

#[test]
fn random_bytes_differ_and_fill_exactly_their_buffer() {
    let body = "
        (drop (call $random_bytes (i32.const 0x100000) (i32.const 8)))
        (call $note64 (i64.load (i32.const 0x100000)))
        (call $note64 (i64.load (i32.const 0x100008)))
        (drop (call $random_bytes (i32.const 0x100000) (i32.const 8)))
        (call $note64 (i64.load (i32.const 0x100000)))";
    let node = answers("", &report(body)).start();
    let draws = [node.get("/").text(), node.get("/").text()];
    let mut numbers: Vec<&str> = draws.iter().flat_map(|text| text.lines()).collect();
    assert_eq!((numbers.remove(1), numbers.remove(3)), ("0", "0"));
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 4);
}
