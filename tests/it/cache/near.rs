//! `[cache] near`: copies in the node of what the store holds.

use std::time::Instant;

use super::connected;
use crate::harness::lines::PATIENCE;
use crate::harness::{Node, Redis, answers, report};

const LOOK: &str = "(call $text (call $cache_get {k}))";

fn near(redis: &Redis, ttl: &str, body: &str) -> Node {
    let keys =
        "[cache]\nurl = \"redis://{redis}\"\nnear = { capacity = \"1MiB\", ttl = \"{ttl}\" }";
    let keys = keys
        .replace("{ttl}", ttl)
        .replace("{redis}", &redis.address.to_string());
    connected(answers(&keys, &report(body)))
}

fn asked(redis: &Redis) -> String {
    let statistics = redis.query(&["INFO", "commandstats"]);
    let line = statistics
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_get:calls="));
    line.map_or("0", |line| line.split(',').next().unwrap())
        .to_owned()
}

#[test]
fn a_hot_key_is_asked_for_once() {
    let redis = Redis::start();
    redis.query(&["SET", "aegis:f:k", "v"]);
    let node = near(&redis, "1m", LOOK);
    for _ in 0..20 {
        assert_eq!(node.get("/").text(), "v\n");
    }
    assert_eq!(asked(&redis), "1");
    redis.freeze();
    assert_eq!(node.get("/").text(), "v\n");
    redis.thaw();
}

#[test]
fn what_another_node_writes_is_seen_once_the_copy_is_too_old() {
    let redis = Redis::start();
    redis.query(&["SET", "aegis:f:k", "old"]);
    let node = near(&redis, "200ms", LOOK);
    assert_eq!(node.get("/").text(), "old\n");
    redis.query(&["SET", "aegis:f:k", "new"]);
    let start = Instant::now();
    while node.get("/").text() != "new\n" {
        assert!(start.elapsed() < PATIENCE, "the copy never ends");
    }
}

#[test]
fn a_function_sees_its_own_writes_at_once() {
    let body = "
        (loop $again
          (i32.store (i32.const 0x100000) (local.get $i))
          (drop (call $cache_set {k} (i32.const 0x100000) (i32.const 4) (i32.const 60)))
          (if (i32.eq (call $cache_get {k}) (i32.const 4))
            (then
              (drop (call $get_shared_buffer (i32.const 0x100010) (i32.const 0) (i32.const 4)))
              (if (i32.eq (i32.load (i32.const 0x100010)) (local.get $i))
                (then (local.set $n (i32.add (local.get $n) (i32.const 1)))))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 100))))
        (call $note (local.get $n))
        (drop (call $cache_set {k} {7} (i32.const 60)))
        (call $note64 (call $cache_increment {k} (i64.const 1) (i32.const 60)))
        (call $text (call $cache_get {k}))
        (call $tried (call $cache_delete {k}))
        (call $tried (call $cache_get {k}))
        (call $tried (call $rate_limit {k} (i32.const 1) (i32.const 60)))
        (call $tried (call $cache_get {k}))";
    let redis = Redis::start();
    let node = near(&redis, "1m", body);
    let expected = "100\n8\n8\n1\n-1/1\n0\n-1/2\n";
    assert_eq!(node.get("/").text(), expected);
}

#[test]
fn without_the_key_every_get_asks_the_store() {
    let redis = Redis::start();
    let keys = format!("[cache]\nurl = \"redis://{}\"", redis.address);
    let node = connected(answers(&keys, &report(LOOK)));
    for value in ["1", "2", "3"] {
        redis.query(&["SET", "aegis:f:k", value]);
        assert_eq!(node.get("/").text(), format!("{value}\n"));
    }
    assert_eq!(asked(&redis), "3");
}
