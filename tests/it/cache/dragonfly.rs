//! The network store, on a real `redis-server`: keys and lifetimes as seen from outside, and what an outage does.

use std::time::{Duration, Instant};

use super::{counts, visits};
use crate::harness::lines::PATIENCE;
use crate::harness::{Node, Redis, answers, report};

const CACHE: &str = "[cache]\nurl = \"redis://{redis}\"\ntimeout = \"250ms\"";

fn serving(redis: &Redis, body: &str) -> Node {
    answers(CACHE, &report(body))
        .set("redis", &redis.address)
        .start()
}

/// Asks until the counter works again.
fn recovered(node: &Node) {
    let start = Instant::now();
    while counts(node, &["/one"]) == "0" {
        assert!(start.elapsed() < PATIENCE, "the cache never recovers");
    }
}

#[test]
fn keys_carry_the_namespace_and_a_lifetime() {
    let redis = Redis::start();
    let node = visits(CACHE, "").set("redis", &redis.address).start();
    assert_eq!(counts(&node, &["/one", "/one", "/two"]), "1 2 1");
    assert_eq!(redis.query(&["GET", "aegis:one:visits"]), "**");
    assert_eq!(redis.query(&["GET", "aegis:two:visits"]), "*");
    assert_eq!(redis.query(&["DBSIZE"]), "2");
    let left: u32 = redis.query(&["TTL", "aegis:one:visits"]).parse().unwrap();
    assert!((50..=60).contains(&left), "{left}");
}

#[test]
fn lifetime_0_is_the_nodes_default() {
    let redis = Redis::start();
    let node = serving(
        &redis,
        "(call $tried (call $cache_set {k} {v} (i32.const 0)))",
    );
    assert_eq!(node.get("/").text(), "0\n");
    let left: u32 = redis.query(&["TTL", "aegis:f:k"]).parse().unwrap();
    assert!((3590..=3600).contains(&left), "{left}");
}

#[test]
fn keys_and_values_are_binary_safe_and_stay_in_their_namespace() {
    let redis = Redis::start();
    let keys = [
        "k\\0d\\0aFLUSHALL\\0d\\0a",
        "..",
        "{x",
        "\\00",
        "other:k",
        "*",
    ]
    .map(|key| key.replace('{', "\\7b"));
    let body = keys.iter().map(|key| {
        format!("(call $tried (call $cache_set {{{key}}} {{\\00v\\0d\\0a\\ff}} (i32.const 60))) (call $tried (call $cache_get {{{key}}}))\n")
    });
    assert_eq!(redis.query(&["SET", "aegis:other:k", "untouched"]), "OK");
    let node = serving(&redis, &body.collect::<String>());
    assert_eq!(node.get("/").text(), "0\n5\n".repeat(keys.len()));
    assert_eq!(redis.query(&["DBSIZE"]), (keys.len() + 1).to_string());
    assert_eq!(redis.query(&["GET", "aegis:other:k"]), "untouched");
    assert_eq!(redis.query(&["STRLEN", "aegis:f:k\r\nFLUSHALL\r\n"]), "5");
}

#[test]
fn a_hung_store_costs_its_timeout_and_no_more_and_comes_back() {
    let redis = Redis::start();
    let node = visits(CACHE, "").set("redis", &redis.address).start();
    assert_eq!(counts(&node, &["/one"]), "1");
    redis.freeze();
    let start = Instant::now();
    assert_eq!(counts(&node, &["/one"]), "0");
    assert!(
        start.elapsed() < Duration::from_millis(1500),
        "two calls took {:?}",
        start.elapsed()
    );
    assert_eq!(node.get("/control").text(), "fine");
    redis.thaw();
    recovered(&node);
}

#[test]
fn a_dead_store_is_an_error_to_the_guest_and_is_reconnected_to() {
    let mut redis = Redis::start();
    let node = visits(CACHE, "").set("redis", &redis.address).start();
    assert_eq!(counts(&node, &["/one", "/one"]), "1 2");
    redis.kill();
    let start = Instant::now();
    assert_eq!(counts(&node, &["/one", "/one", "/one"]), "0 0 0");
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(node.get("/control").text(), "fine");
    node.stderr
        .wait_for(|line| line.contains("WARN") && line.contains("cache"));
    redis.restart();
    recovered(&node);
    assert_ne!(redis.query(&["GET", "aegis:one:visits"]), "nil");
}

#[test]
fn the_node_starts_and_serves_without_its_store() {
    let mut redis = Redis::start();
    redis.kill();
    let body = "(local.set $n (call $cache_get {k})) (call $note (local.get $n)) (call $note (call $last_error_code))";
    let node = serving(&redis, body);
    let text = node.get("/").text();
    assert!(text == "-1\n6\n" || text == "-1\n5\n", "{text}");
    assert_eq!(node.get("/control").text(), "fine");
    redis.restart();
    let start = Instant::now();
    while node.get("/").text() != "-1\n1\n" {
        assert!(start.elapsed() < PATIENCE, "the store is never found");
    }
}
