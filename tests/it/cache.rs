//! The cache as guests use it, on both stores.

mod counting;
mod dragonfly;
mod embedded;
mod near;
mod nodes;
mod outages;
mod ways;

use crate::harness::{Node, Redis, Setup, answers, node, report};

/// Keeps one byte per visit under `visits` for a minute and answers with how many there are; 0 when the store fails.
const VISITS: &str = "
    (local.set $n (call $cache_get {visits}))
    (if (i32.eq (local.get $n) (i32.const -1))
      (then (local.set $n (i32.const 0)))
      (else (drop (call $get_shared_buffer (i32.const 0x100000) (i32.const 0) (local.get $n)))))
    (i32.store8 (i32.add (i32.const 0x100000) (local.get $n)) (i32.const 42))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (if (call $cache_set {visits} (i32.const 0x100000) (local.get $n) (i32.const 60))
      (then (local.set $n (i32.const 0))))
    (call $note (local.get $n))";

/// Functions `one` and `two` with the same guest on `/one` and `/two`; `keys` go into the table of `two`.
fn visits(cache: &str, keys: &str) -> Setup {
    let toml = r#"
        [functions.one]
        module = "visits.wasm"
        [functions.two]
        module = "visits.wasm"
        KEYS
        [[routes]]
        path = "/one"
        functions = ["one"]
        [[routes]]
        path = "/two"
        functions = ["two"]
        [[routes]]
        path = "/control"
        respond = { status = 200, body = "fine" }
        CACHE"#;
    node(&toml.replace("KEYS", keys).replace("CACHE", cache)).wasm("visits", report(VISITS))
}

fn counts(node: &Node, paths: &[&str]) -> String {
    paths
        .iter()
        .map(|path| node.get(path).text().trim().to_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// What a guest with `body`, configured with `keys`, reports on each store: the same.
fn on_both(keys: &str, body: &str) -> String {
    let redis = Redis::start();
    let keys_and_url = format!("{keys}\n[cache]\nurl = \"redis://{}\"", redis.address);
    let here = answers(keys, &report(body)).start().get("/").text();
    let there = answers(&keys_and_url, &report(body));
    assert_eq!(
        here,
        connected(there).get("/").text(),
        "not the same on both"
    );
    here
}

/// Starts a node and waits until it has found its store.
fn connected(setup: Setup) -> Node {
    let node = setup.start();
    node.stderr
        .wait_for(|line| line.contains("cache store connected"));
    node
}
