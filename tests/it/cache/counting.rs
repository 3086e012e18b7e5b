//! `cache_delete`, `cache_increment` and `rate_limit`, on both stores unless a test says which.

use std::thread;
use std::time::{Duration, Instant};

use super::{connected, on_both};
use crate::harness::lines::PATIENCE;
use crate::harness::{Node, Redis, Request, answers, report};

const CACHE: &str = "[cache]\nurl = \"redis://{redis}\"";

/// Notes the result of an increment, and after a failure the code.
const SUM: &str = "
    (call $note64 (local.get $t))
    (if (i64.eq (local.get $t) (i64.const 0x8000000000000000))
      (then (call $note (call $last_error_code))))";

fn sum(key: &str, delta: i64, ttl: i32) -> String {
    let call = format!("(call $cache_increment {{{key}}} (i64.const {delta}) (i32.const {ttl}))");
    format!("(local.set $t {call}) {SUM}\n")
}

fn rate(key: &str, limit: u32, window: u32) -> String {
    format!("(call $rate_limit {{{key}}} (i32.const {limit}) (i32.const {window}))")
}

fn tried(call: &str) -> String {
    format!("(call $tried {call})\n")
}

fn set(key: &str, value: &str) -> String {
    tried(&format!(
        "(call $cache_set {{{key}}} {{{value}}} (i32.const 60))"
    ))
}

fn text(key: &str) -> String {
    format!("(call $text (call $cache_get {{{key}}}))\n")
}

const FAILED: &str = "-9223372036854775808\n2\n";

#[test]
fn what_is_deleted_is_gone() {
    let delete = tried("(call $cache_delete {k\\0d\\0a\\00})");
    let body = [
        &delete,
        &set("k\\0d\\0a\\00", "v"),
        &delete,
        &text("k\\0d\\0a\\00"),
        &delete,
    ];
    let body = body.map(String::as_str).concat();
    assert_eq!(on_both("", &body), "0\n0\n1\n-1/1\n0\n");
}

#[test]
fn a_counter_counts_and_reads_as_text() {
    let body = [
        sum("c", 5, 60),
        sum("c", -7, 0),
        text("c"),
        set("c", "9223372036854775806"),
        sum("c", 1, 60),
        text("c"),
    ];
    let expected = "5\n-2\n-2\n0\n9223372036854775807\n9223372036854775807\n";
    assert_eq!(on_both("", &body.concat()), expected);
}

#[test]
fn increments_that_fail_tell_why_and_change_nothing() {
    let no_number = [set("k", "01"), sum("k", 1, 60), text("k")].concat();
    assert_eq!(on_both("", &no_number), format!("0\n{FAILED}01\n"));
    let overflow = [set("k", "-9"), sum("k", i64::MIN, 60), text("k")].concat();
    assert_eq!(on_both("", &overflow), format!("0\n{FAILED}-9\n"));
    let range = [sum("", 1, 60), sum("k", 1, 31_536_001), sum("k", 1, -1)].concat();
    assert_eq!(on_both("", &range), FAILED.repeat(3));
    let words = "(local.set $t (call $cache_increment {k} (i64.const 1) (i32.const 60)))
        (drop (call $cache_set {k} {x} (i32.const 60)))
        (drop (call $cache_increment {k} (i64.const 1) (i32.const 60)))
        (call $text (call $last_error))";
    assert_eq!(on_both("", words), "the value is not a number\n");
}

#[test]
fn a_rate_allows_its_limit_and_then_tells_how_long_to_wait() {
    let ask = tried(&rate("k", 2, 3600));
    let refused = format!(
        "(local.set $n {})
        (call $note (i32.and (i32.gt_s (local.get $n) (i32.const 1700000)) (i32.le_s (local.get $n) (i32.const 1800000))))",
        rate("k", 2, 3600)
    );
    let delete = tried("(call $cache_delete {k})");
    let body = [&ask, &ask, &refused, &delete, &ask]
        .map(String::as_str)
        .concat();
    assert_eq!(on_both("", &body), "0\n0\n1\n1\n0\n");
}

#[test]
fn a_wait_that_does_not_fit_is_the_longest_there_is() {
    let body = [
        tried(&rate("k", 1, 31_536_000)),
        tried(&rate("k", 1, 31_536_000)),
    ];
    assert_eq!(on_both("", &body.concat()), "0\n2147483647\n");
}

#[test]
fn rates_out_of_range_are_bad_arguments() {
    let body = [
        tried(&rate("k", 0, 60)),
        tried(&rate("k", 1, 0)),
        tried(&rate("k", 1, 31_536_001)),
        tried(&rate("", 1, 60)),
        tried("(call $rate_limit {k} (i32.const 1) (i32.const -1))"),
        tried("(call $rate_limit (i32.const -1) (i32.const 1) (i32.const 1) (i32.const 1))"),
        tried("(call $cache_delete (i32.const 0) (i32.const 257))"),
    ];
    assert_eq!(on_both("", &body.concat()), "-1/2\n".repeat(6) + "-1/3\n");
}

#[test]
fn values_and_rates_of_one_key_do_not_mix() {
    let body = [
        set("v", "1"),
        tried(&rate("v", 1, 60)),
        tried(&rate("r", 1, 60)),
        text("r"),
        sum("r", 1, 60),
    ];
    assert_eq!(
        on_both("", &body.concat()),
        format!("0\n-1/2\n0\n-1/2\n{FAILED}")
    );
}

#[test]
fn each_call_counts_as_a_cache_call() {
    for (call, first) in [
        (tried("(call $cache_delete {k})"), "0\n"),
        (tried(&rate("k", 9, 60)), "0\n"),
    ] {
        let told = on_both("limits = { cache_calls = 1 }", &call.repeat(2));
        assert_eq!(told, format!("{first}-1/7\n"));
    }
    let told = on_both("limits = { cache_calls = 1 }", &sum("k", 1, 60).repeat(2));
    assert_eq!(told, "1\n-9223372036854775808\n7\n");
    let told = on_both("limits = { cache_calls = 0 }", &sum("k", 1, 60));
    assert_eq!(told, "-9223372036854775808\n7\n");
}

#[test]
fn they_yield_no_body() {
    let body = "(drop (call $cache_increment {k} (i64.const 1) (i32.const 60)))
        (drop (call $rate_limit {r} (i32.const 1) (i32.const 60)))
        (drop (call $cache_delete {k})) (i32.const 0)";
    let node = answers("", &crate::harness::module(body)).start();
    assert_eq!(node.get("/").text(), "");
}

#[test]
fn counters_and_rates_of_other_namespaces_are_out_of_reach() {
    let redis = Redis::start();
    redis.query(&["SET", "aegis:other:c", "7"]);
    let body = [
        sum("c", 1, 60),
        sum("other:c", 1, 60),
        tried(&rate("r", 1, 60)),
    ]
    .concat()
        + &tried("(call $cache_delete {aegis:other:c})");
    let node = answers(CACHE, &report(&body)).set("redis", &redis.address);
    assert_eq!(connected(node).get("/").text(), "1\n1\n0\n0\n");
    assert_eq!(redis.query(&["GET", "aegis:other:c"]), "7");
    assert_eq!(redis.query(&["GET", "aegis:f:c"]), "1");
    assert_eq!(redis.query(&["TYPE", "aegis:f:r"]), "hash");
    let left: u32 = redis.query(&["TTL", "aegis:f:c"]).parse().unwrap();
    assert!((50..=60).contains(&left), "{left}");
}

/// Asks all nodes at once, `count` times each on a connection of its own.
fn flood(nodes: &[Node], connections: usize, count: usize) -> Vec<String> {
    let flood = |node: &Node| {
        let mut connection = node.connect();
        let mut ask = || connection.exchange(&Request::get("/")).unwrap().text();
        (0..count).map(|_| ask()).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let nodes = nodes
            .iter()
            .flat_map(|node| (0..connections).map(move |_| node));
        let floods: Vec<_> = nodes.map(|node| scope.spawn(move || flood(node))).collect();
        let told = floods.into_iter().flat_map(|flood| flood.join().unwrap());
        told.collect()
    })
}

#[test]
fn ten_thousand_increments_through_four_nodes_are_ten_thousand() {
    let redis = Redis::start();
    let body = sum("c", 1, 60).repeat(25);
    let keys = format!("limits = {{ fuel = 50_000_000 }}\n{CACHE}\ntimeout = \"5s\"");
    let node = || connected(answers(&keys, &report(&body)).set("redis", &redis.address));
    let nodes = [node(), node(), node(), node()];
    let told = flood(&nodes, 4, 25).concat();
    let mut sums: Vec<u32> = told.lines().map(|sum| sum.parse().unwrap()).collect();
    sums.sort_unstable();
    assert!(sums.into_iter().eq(1..=10_000));
    assert_eq!(redis.query(&["GET", "aegis:f:c"]), "10000");
}

#[test]
fn increments_in_process_are_atomic_too() {
    let body = sum("c", 1, 60).repeat(25);
    let keys = "limits = { fuel = 50_000_000 }";
    let nodes = [answers(keys, &report(&body)).start()];
    let told = flood(&nodes, 4, 25).concat();
    let mut sums: Vec<u32> = told.lines().map(|sum| sum.parse().unwrap()).collect();
    sums.sort_unstable();
    assert!(sums.into_iter().eq(1..=2_500));
}

#[test]
fn a_hung_store_costs_its_timeout_and_an_absent_one_nothing() {
    let mut redis = Redis::start();
    let body = [
        sum("c", 1, 60),
        tried(&rate("r", 1_000, 1)),
        tried("(call $cache_delete {d})"),
    ];
    let node = answers(CACHE, &report(&body.concat()))
        .set("redis", &redis.address)
        .start();
    let good = |text: &str| text.ends_with("\n0\n0\n") && !text.starts_with('-');
    let recovers = || {
        let start = Instant::now();
        while !good(&node.get("/").text()) {
            assert!(start.elapsed() < PATIENCE, "the cache never recovers");
        }
    };
    recovers();
    redis.freeze();
    let start = Instant::now();
    let told = node.get("/").text();
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert!(told.starts_with("-9223372036854775808\n5\n-1/"), "{told}");
    assert_eq!(node.get("/control").text(), "fine");
    redis.thaw();
    recovers();
    redis.kill();
    let told = node.get("/").text();
    assert!(
        told.starts_with("-9223372036854775808\n") && told.ends_with("-1/6\n"),
        "{told}"
    );
    redis.restart();
    recovers();
}

#[test]
fn a_store_that_is_full_is_unavailable_and_the_operator_hears_of_it() {
    let redis = Redis::start();
    let body = [
        sum("c", 1, 60),
        tried(&rate("r", 1_000, 60)),
        set("k", "x"),
        sum("k", 1, 60),
    ];
    let node = answers(CACHE, &report(&body.concat()))
        .set("redis", &redis.address)
        .start();
    let start = Instant::now();
    while node.get("/").text() != format!("1\n0\n0\n{FAILED}") {
        redis.query(&["FLUSHALL"]);
        assert!(start.elapsed() < PATIENCE, "the store is never found");
    }
    let refusal = |line: &String| line.contains("refuses");
    assert!(
        !node.stderr.all().iter().any(refusal),
        "a guest's mistake is told of"
    );
    redis.query(&["CONFIG", "SET", "maxmemory", "1"]);
    let told = node.get("/").text();
    assert!(
        told.starts_with("-9223372036854775808\n6\n-1/6\n-1/6\n"),
        "{told}"
    );
    node.stderr
        .wait_for(|line| line.contains("cache store refuses operations"));
}
