//! Floods and bombs on HTTP/2: the connection that sends them ends, and that is all that happens.

use std::time::{Duration, Instant};

use super::{echo, framed};
use crate::harness::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Ending, HEADERS, PING, PRIORITY, RST_STREAM, Raw,
    SETTINGS, WINDOW_UPDATE, block, frame, get, nth, request, reset,
};
use crate::harness::lines::PATIENCE;
use crate::harness::{Answer, EGRESS, Gate, Http2, Https, Node, Origin, answers, module};

/// On a connection of its own.
fn flood(node: &Node, make: impl Fn(u32) -> Vec<u8>) {
    Raw::open(node.address).flood(make);
}

/// The node serves others, at once and as before, and holds no more memory than `before` and a bit.
fn unharmed(node: &Node, before: u64) {
    let started = Instant::now();
    assert_eq!(Http2::open(node.address).get("/fixed").text(), "fixed");
    assert_eq!(node.get("/fixed").text(), "fixed");
    assert!(started.elapsed() < Duration::from_secs(2));
    let after = memory(node);
    assert!(
        after < before + (64 << 10),
        "{before} KiB, then {after} KiB"
    );
}

/// Resident, in KiB.
fn memory(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.process())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A node, and what it holds when it has served something.
fn quiet() -> (Origin, Node, u64) {
    let origin = echo();
    let node = framed("", &origin);
    assert_eq!(Http2::open(node.address).get("/fixed").text(), "fixed");
    let before = memory(&node);
    (origin, node, before)
}

#[test]
fn frames_that_bring_no_request_further_end_the_connection() {
    let (origin, node, before) = quiet();
    let setting = [0, 4, 0, 1, 0, 0];
    let floods: [(&str, Vec<u8>); 7] = [
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &setting)),
        ("empty SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        (
            "WINDOW_UPDATE",
            frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()),
        ),
        ("an unknown kind", frame(0x50, 0, 0, &[])),
        ("a large unknown kind", frame(0x50, 0, 0, &[0; 16_000])),
    ];
    for (name, bytes) in floods {
        eprintln!("{name}");
        flood(&node, |_| bytes.clone());
    }
    assert!(origin.requests().is_empty());
    unharmed(&node, before);
}

#[test]
fn streams_that_are_opened_and_reset_end_the_connection() {
    let (_origin, node, before) = quiet();
    flood(&node, |number| {
        [get(nth(number), "/fixed"), reset(nth(number))].concat()
    });
    unharmed(&node, before);
}

/// One after the other, each reset when it is worked on: concurrency alone would never bound it.
#[test]
fn paced_resets_end_the_connection_and_the_work_of_each() {
    let gate = Gate::default();
    let https = Https::start(move |_| Answer::ok("late").held(&gate));
    let wait = format!(
        "(if (i32.ne (call $request_get_header {{x-wait}}) (i32.const -1))
           (then (drop (call $http_get {{{}}}))))
         (drop (call $response_set_body {{here}})) (i32.const 0)",
        https.url("/")
    );
    let keys = format!(
        "limits = {{ max_in_flight = 2, wall_time = \"1h\" }}\n{EGRESS}\n[edge]\nqueue_timeout = \"10s\""
    );
    let setup = answers(&keys, &module(&wait)).listening("h2c = true");
    let node = https.reachable_from(setup).start();
    let mut client = Raw::open(node.address);
    let reading = client.reading();
    let asks = request("GET", "/", &[("x-wait", b"1")]);
    let mut sent = 0;
    while !reading.is_finished() && sent < 2000 {
        let ask = frame(HEADERS, END_HEADERS | END_STREAM, nth(sent), &asks);
        if !client.send(&ask) || !client.send(&reset(nth(sent))) {
            break;
        }
        // It has been looked at: the log tells of each.
        let seen = sent as usize + 1;
        while node.stdout.count() < seen && !reading.is_finished() {
            node.stdout.closed_within(Duration::from_millis(1));
        }
        sent += 1;
    }
    assert!((100..1500).contains(&sent), "{sent} resets");
    reading.join().unwrap();
    node.connect_until_served("/");
    assert_eq!(node.get("/").text(), "here");
}

#[test]
fn header_blocks_that_never_end_or_burst_end_the_connection() {
    let (origin, node, before) = quiet();
    let begun = frame(HEADERS, END_STREAM, 1, &request("GET", "/", &[]));
    for piece in [
        frame(CONTINUATION, 0, 1, &[]),
        frame(CONTINUATION, 0, 1, &block(&[("x", &[b'x'; 1000])])),
    ] {
        let mut client = Raw::open(node.address);
        client.send(&begun);
        client.flood(|_| piece.clone());
    }
    // A field of 4,000 bytes in the table, named again with a byte each.
    let mut bomb = request("GET", "/", &[]);
    bomb.push(0x40);
    bomb.extend(&block(&[("x-bomb", &[b'x'; 3900])])[1..]);
    bomb.extend([0xbe; 12_000]);
    let mut client = Raw::open(node.address);
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb));
    let ending = client.flood(|_| frame(PING, 0, 0, &[0; 8]));
    assert_ne!(ending, Ending::GoAway(0));
    assert!(origin.requests().is_empty());
    unharmed(&node, before);
}

#[test]
fn empty_and_tiny_pieces_of_bodies_end_the_connection_or_cost_nothing() {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("late").held(&closed));
    let node = framed("", &origin);
    assert_eq!(Http2::open(node.address).get("/fixed").text(), "fixed");
    let before = memory(&node);
    let owed = frame(HEADERS, END_HEADERS, 1, &request("POST", "/fixed", &[]));
    let mut client = Raw::open(node.address);
    client.send(&owed);
    client.flood(|_| frame(DATA, 0, 1, &[]));
    // Each is one byte in a window of 128 KiB, and hundreds of bytes in memory.
    let mut client = Raw::open(node.address);
    let asks = request("POST", "/", &[("content-length", b"100000")]);
    client.send(&frame(HEADERS, END_HEADERS, 1, &asks));
    let tiny: Vec<u8> = frame(DATA, 0, 1, b"x").repeat(100_000);
    client.send(&tiny);
    unharmed(&node, before);
    gate.open();
}

/// Streams that the node itself has to reset, for what the client says of them.
#[test]
fn resets_that_a_client_provokes_end_the_connection() {
    let (_origin, node, before) = quiet();
    let provocations: [fn(u32) -> Vec<u8>; 4] = [
        |stream| frame(WINDOW_UPDATE, 0, stream, &[0; 4]),
        |stream| frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffffu32.to_be_bytes()),
        |stream| frame(PRIORITY, 0, stream, &stream.to_be_bytes().repeat(2)[..5]),
        |stream| frame(DATA, END_STREAM, stream, b"too much"),
    ];
    for provocation in provocations {
        flood(&node, |number| {
            let fields: [(&str, &[u8]); 1] = [("content-length", b"1")];
            let asks = request("POST", "/fixed", &fields);
            let ask = frame(HEADERS, END_HEADERS, nth(number), &asks);
            [ask, provocation(nth(number))].concat()
        });
    }
    unharmed(&node, before);
}

#[test]
fn malformed_requests_end_the_connection_in_the_end() {
    let (origin, node, before) = quiet();
    flood(&node, |number| {
        let host: [(&str, &[u8]); 1] = [("host", b"other.test")];
        let asks = request("GET", "/", &host);
        frame(HEADERS, END_HEADERS | END_STREAM, nth(number), &asks)
    });
    flood(&node, |number| {
        let asks = request("GET", "/", &[("connection", b"close")]);
        frame(HEADERS, END_HEADERS | END_STREAM, nth(number), &asks)
    });
    assert!(origin.requests().is_empty());
    unharmed(&node, before);
}

#[test]
fn streams_past_the_hundredth_are_refused() {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("late").held(&closed));
    let node = framed("", &origin);
    let mut client = Raw::open(node.address);
    for number in 0..110 {
        client.send(&get(nth(number), "/"));
    }
    for number in 100..110 {
        let refused = client.wait_for(RST_STREAM, nth(number)).unwrap();
        assert_eq!(refused.payload, 7u32.to_be_bytes(), "REFUSED_STREAM");
    }
    origin.wait_for(100);
    assert_eq!(origin.requests().len(), 100);
    gate.open();
    client.wait_for(DATA, nth(99)).unwrap();
}

#[test]
fn answers_that_are_asked_for_and_not_taken_stay_small() {
    let large = vec![b'x'; 2 << 20];
    let origin = Origin::start(move |_| Answer::ok(large.clone()));
    let node = framed("[server.limits]\nwrite_timeout = \"1s\"", &origin);
    assert_eq!(Http2::open(node.address).get("/fixed").text(), "fixed");
    let before = memory(&node);
    let mut client = Raw::open(node.address);
    let room = 0x7fff_0000u32.to_be_bytes();
    client.send(&frame(SETTINGS, 0, 0, &[&[0, 4][..], &room].concat()));
    client.send(&frame(WINDOW_UPDATE, 0, 0, &room));
    for number in 0..100 {
        client.send(&get(nth(number), "/"));
    }
    origin.wait_for(100);
    // All of it ends with the write timeout; meanwhile the node keeps little of it.
    let mut most = 0;
    let started = Instant::now();
    while node.stdout.count() < 101 && started.elapsed() < PATIENCE {
        most = most.max(memory(&node));
        node.stdout.closed_within(Duration::from_millis(20));
    }
    assert_eq!(node.stdout.count(), 101, "answers are still under way");
    assert!(most < before + (96 << 10), "{before} KiB, then {most} KiB");
    // The allocator keeps what a hundred answers held for the next ones, for some seconds.
    unharmed(&node, before + (32 << 10));
}
