//! The in-process store: kept between requests, by namespace, for as long as asked, bounded.

use std::time::{Duration, Instant};

use super::{counts, visits};
use crate::harness::{Request, answers, node, report};

#[test]
fn values_last_from_one_invocation_to_the_next() {
    assert_eq!(
        counts(&visits("", "").start(), &["/one", "/one", "/one"]),
        "1 2 3"
    );
}

#[test]
fn functions_do_not_see_each_others_keys_unless_they_share_a_namespace() {
    assert_eq!(
        counts(&visits("", "").start(), &["/one", "/one", "/two", "/one"]),
        "1 2 1 3"
    );
    let shared = visits("", "cache_namespace = \"one\"").start();
    assert_eq!(
        counts(&shared, &["/one", "/one", "/two", "/one"]),
        "1 2 3 4"
    );
}

#[test]
fn a_value_is_gone_after_its_lifetime() {
    let body = "
        (local.set $n (call $cache_get {short}))
        (call $note (local.get $n))
        (if (i32.eq (call $request_get_uri) (i32.const 4))
          (then (call $tried (call $cache_set {short} {12345} (i32.const 1)))))";
    let node = answers("", &report(body)).start();
    assert_eq!(node.get("/set").text(), "-1\n0\n");
    let start = Instant::now();
    let mut connection = node.connect();
    let mut seen = 0;
    while connection.exchange(&Request::get("/look")).unwrap().text() == "5\n" {
        seen += 1;
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "it is still there"
        );
    }
    assert!(
        seen > 0 && start.elapsed() > Duration::from_millis(900),
        "gone after {:?}",
        start.elapsed()
    );
}

#[test]
fn a_namespace_holds_no_more_than_its_capacity() {
    let body = "
        (loop $fill
          (i32.store (i32.const 0x100000) (local.get $i))
          (drop (call $cache_set (i32.const 0x100000) (i32.const 4) (i32.const 0x110000) (i32.const 4096) (i32.const 60)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $fill (i32.lt_u (local.get $i) (i32.const 200))))
        (loop $count
          (local.set $i (i32.sub (local.get $i) (i32.const 1)))
          (i32.store (i32.const 0x100000) (local.get $i))
          (if (i32.eq (call $cache_get (i32.const 0x100000) (i32.const 4)) (i32.const 4096))
            (then (local.set $n (i32.add (local.get $n) (i32.const 1)))))
          (br_if $count (local.get $i)))
        (call $note (local.get $n))";
    let keys = "[cache]\nnamespace_capacity = \"128KiB\"";
    let kept: u32 = answers(keys, &report(body))
        .start()
        .get("/")
        .text()
        .trim()
        .parse()
        .unwrap();
    assert!(
        (1..=32).contains(&kept),
        "{kept} values of 4 KiB in 128 KiB"
    );
}

#[test]
fn counters_and_rates_take_room_of_their_namespace_alone() {
    let fill = "
        (drop (call $cache_set {first} {v} (i32.const 60)))
        (loop $fill
          (i32.store (i32.const 0x100000) (local.get $i))
          (drop (call $CALL (i32.const 0x100000) (i32.const 4) ARGUMENTS))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $fill (i32.lt_u (local.get $i) (i32.const 400))))
        (call $tried (call $cache_get {first}))";
    let flood = |call: &str, arguments: &str| {
        report(&fill.replace("CALL", call).replace("ARGUMENTS", arguments))
    };
    let toml = r#"
        [functions.counts]
        module = "counts.wasm"
        limits = { fuel = 50_000_000 }
        [functions.limits]
        module = "limits.wasm"
        limits = { fuel = 50_000_000 }
        [functions.looks]
        module = "looks.wasm"
        [[routes]]
        path = "/counts"
        functions = ["counts"]
        [[routes]]
        path = "/limits"
        functions = ["limits"]
        [[routes]]
        path = "/looks"
        functions = ["looks"]
        [cache]
        capacity = "128KiB"
        namespace_capacity = "64KiB""#;
    let looks = "
        (call $tried (call $cache_get {k}))
        (drop (call $cache_set {k} {value} (i32.const 60)))";
    let node = node(toml)
        .wasm(
            "counts",
            flood("cache_increment", "(i64.const 1) (i32.const 60)"),
        )
        .wasm(
            "limits",
            flood("rate_limit", "(i32.const 1) (i32.const 3600)"),
        )
        .wasm("looks", report(looks))
        .start();
    assert_eq!(node.get("/looks").text(), "-1/1\n");
    assert_eq!(node.get("/counts").text(), "-1/1\n", "400 counters fit");
    assert_eq!(node.get("/limits").text(), "-1/1\n", "400 rates fit");
    assert_eq!(node.get("/looks").text(), "5\n", "they took from another");
}
