//! SIGTERM and SIGINT: an idle node exits at once, a busy one finishes what is in flight, but not for ever.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::{Answer, Gate, Node, Origin, Request, node};

/// A node with one request waiting for an origin that answers when the gate opens.
fn busy(drain: &str, gate: &Gate) -> (Node, crate::harness::Connection) {
    let closed = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("finished").held(&closed));
    let toml = format!(
        "[server]\ndrain_timeout = \"{drain}\"\n[upstreams.o]\nbackends = [\"{}\"]\n[[routes]]\nupstream = \"o\"\n[[routes]]\npath = \"/late\"\nrespond = {{ status = 200 }}",
        origin.address
    );
    let node = node(&toml).start();
    let mut connection = node.connect();
    connection.send(&Request::get("/").bytes());
    origin.wait_for(1);
    (node, connection)
}

#[test]
fn an_idle_node_exits_at_once_with_0() {
    for signal in ["TERM", "INT"] {
        let mut node = node("[[routes]]\nrespond = { status = 200, body = \"x\" }").start();
        let mut kept_alive = node.connect();
        assert_eq!(kept_alive.exchange(&Request::get("/")).unwrap().status, 200);
        let start = Instant::now();
        node.signal(signal);
        assert_eq!(node.exit(), Some(0), "{signal}");
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "{signal} took {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_request_in_flight_is_finished_first() {
    let gate = Gate::default();
    let (mut node, mut connection) = busy("15s", &gate);
    node.signal("TERM");
    let start = Instant::now();
    node.stderr.wait_for(|line| line.contains("stopping"));
    let late = TcpStream::connect(node.address)
        .is_ok()
        .then(|| node.connect().exchange(&Request::get("/late")));
    let let_go = late
        .flatten()
        .is_none_or(|response| response.header("connection") == Some("close"));
    assert!(let_go, "a connection is kept although the node stops");
    gate.open();
    assert_eq!(connection.read("GET").unwrap().text(), "finished");
    assert_eq!(node.exit(), Some(0));
    assert!(
        start.elapsed() < Duration::from_secs(12),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn draining_ends_at_its_timeout() {
    let gate = Gate::default();
    let (mut node, mut connection) = busy("1s", &gate);
    let start = Instant::now();
    node.signal("TERM");
    assert_eq!(node.exit(), Some(0));
    let took = start.elapsed();
    assert!(
        (Duration::from_millis(800)..Duration::from_millis(3500)).contains(&took),
        "{took:?}"
    );
    assert!(connection.read("GET").is_none());
    gate.open();
}

#[test]
fn a_node_that_can_be_connected_to_can_be_stopped_properly() {
    for _ in 0..5 {
        // The harness waits for the listening socket and for nothing else.
        let mut node = node("[[routes]]\nrespond = { status = 200 }").start();
        node.signal("TERM");
        assert_eq!(node.exit(), Some(0));
    }
}
