//! Several nodes with one store count as one.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::http::Connection;
use crate::harness::{Node, Redis, Request, answers, module};

const NODES: usize = 4;
const CACHE: &str = "[cache]\nurl = \"redis://{redis}\"";

/// A burst of this many, and as many more each second.
const LIMIT: usize = 50;
const DURATION: Duration = Duration::from_secs(2);

/// 200 for what the limit lets through, 429 for the rest, and 503 when the store does not say.
const LIMITED: &str = "
    (local.set $n (call $rate_limit {k} (i32.const 50) (i32.const 1)))
    (if (i32.eqz (local.get $n)) (then (return (call $request_terminate (i32.const 200)))))
    (if (i32.lt_s (local.get $n) (i32.const 0)) (then (return (call $request_terminate (i32.const 503)))))
    (call $request_terminate (i32.const 429))";

/// What one client was let through, and when it began and ended.
struct Client {
    admitted: usize,
    first: (Instant, Instant),
    last: (Instant, Instant),
}

fn nodes(redis: &Redis, guest: &str) -> Vec<Node> {
    (0..NODES)
        .map(|_| answers(CACHE, guest).set("redis", &redis.address).start())
        .collect()
}

/// Asks as often as it can, and notes when its first and last requests were sent and answered.
fn hammer(address: SocketAddr, end: Instant) -> Client {
    let mut connection = Connection::open(address);
    let mut ask = || {
        let sent = Instant::now();
        let answer = connection.exchange(&Request::get("/")).expect("an answer");
        assert!([200, 429].contains(&answer.status), "{}", answer.status);
        (usize::from(answer.status == 200), (sent, Instant::now()))
    };
    let (mut admitted, first) = ask();
    let mut last = first;
    while Instant::now() < end {
        let (one, times) = ask();
        admitted += one;
        last = times;
    }
    Client {
        admitted,
        first,
        last,
    }
}

#[test]
fn a_rate_limit_is_exact_across_nodes() {
    let redis = Redis::start();
    let nodes = nodes(&redis, &module(LIMITED));
    let end = Instant::now() + DURATION;
    let running: Vec<_> = nodes
        .iter()
        .map(|node| node.address)
        .map(|address| thread::spawn(move || hammer(address, end)))
        .collect();
    let clients: Vec<_> = running
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    let admitted: usize = clients.iter().map(|client| client.admitted).sum();
    // The store saw the first request of all somewhere between its being sent and answered; the same for the last.
    let first = |of: fn(&Client) -> Instant| clients.iter().map(of).min().unwrap();
    let last = |of: fn(&Client) -> Instant| clients.iter().map(of).max().unwrap();
    let least = last(|c| c.last.0) - first(|c| c.first.1);
    let most = last(|c| c.last.1) - first(|c| c.first.0);
    let tokens = |time: Duration| LIMIT as f64 * (1.0 + time.as_secs_f64());
    let (least, most) = (tokens(least) * 0.99 - 1.0, tokens(most) * 1.01);
    assert!(
        (least..=most).contains(&(admitted as f64)),
        "{admitted} admitted, not {least:.1} to {most:.1}"
    );
}
