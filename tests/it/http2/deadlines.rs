//! How slow a client may be on HTTP/2: with bodies, headers, the connection's opening, and answers.

use std::time::{Duration, Instant};

use h2::Reason;

use super::{echo, framed};
use crate::harness::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Ending, GOAWAY, HEADERS,
    PING, PREFACE, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, frame, get, request as block,
};
use crate::harness::http2::{Windows, request};
use crate::harness::{Answer, Gate, Http2, Origin, answers, report};

fn took(what: impl FnOnce(), at_least: u64) {
    let started = Instant::now();
    what();
    let took = started.elapsed();
    let expected = Duration::from_millis(at_least)..Duration::from_millis(at_least + 5000);
    assert!(expected.contains(&took), "{took:?}");
}

const CALM: Ending = Ending::GoAway(ENHANCE_YOUR_CALM);

#[test]
fn a_body_that_stops_is_408_and_its_neighbours_go_on() {
    let origin = echo();
    let node = framed("[server.limits]\nbody_timeout = \"300ms\"", &origin);
    let client = Http2::open(node.address);
    let mut stopped = client.begin(request("POST", "/stopped"));
    stopped.send(b"a piece", false);
    took(
        || {
            let answered = stopped.answer();
            assert_eq!(answered.response.error(), (408, "request-timeout"));
        },
        250,
    );
    assert_eq!(
        client.exchange(request("POST", "/"), b"body").text(),
        "body"
    );
    assert_eq!(node.access("/stopped")["code"], "request-timeout");
}

#[test]
fn a_body_that_comes_in_pieces_in_time_is_taken() {
    let origin = echo();
    let node = framed("[server.limits]\nbody_timeout = \"2s\"", &origin);
    let client = Http2::open(node.address);
    let mut slow = client.begin(request("POST", "/"));
    for piece in ["a ", "slow ", "body"] {
        // Another request in between: time passes, and the connection is busy.
        assert_eq!(client.get("/fixed").status, 200);
        slow.send(piece.as_bytes(), false);
    }
    slow.send(b"", true);
    assert_eq!(slow.answer().response.text(), "a slow body");
}

#[test]
fn a_body_for_a_function_that_stops_is_408() {
    let limits = "body = \"request\"\n[server.limits]\nbody_timeout = \"300ms\"";
    let node = answers(limits, &report("(call $note (i32.const 1))"));
    let node = node.listening("h2c = true").start();
    let client = Http2::open(node.address);
    let mut stopped = client.begin(request("POST", "/"));
    stopped.send(b"a piece", false);
    assert_eq!(stopped.answer().response.error(), (408, "request-timeout"));
    assert_eq!(client.exchange(request("POST", "/"), b"body").status, 200);
}

#[test]
fn a_body_slower_than_the_rate_is_408() {
    let origin = echo();
    let node = framed("[server.limits]\nbody_rate = \"1KiB\"", &origin);
    let client = Http2::open(node.address);
    let mut slow = client.begin(request("POST", "/"));
    let done = Gate::default();
    let seen = done.clone();
    let answering = std::thread::spawn(move || {
        while !seen.is_open() {
            slow.send(b"x", false);
            seen.wait(Duration::from_millis(250));
            if slow.is_reset() {
                return slow.answer();
            }
        }
        slow.answer()
    });
    done.wait(Duration::from_millis(10_600));
    done.open();
    let answered = answering.join().unwrap();
    assert_eq!(answered.response.error(), (408, "request-timeout"));
}

#[test]
fn headers_that_do_not_end_end_the_connection() {
    let origin = echo();
    let node = framed("[server.limits]\nheader_timeout = \"400ms\"", &origin);
    let whole = block("GET", "/", &[("x-slow", &[b'x'; 4000])]);
    let in_one = frame(HEADERS, END_STREAM | END_HEADERS, 1, &whole);
    let begun = frame(HEADERS, END_STREAM, 1, &whole[..100]);
    for bytes in [&in_one[..2000], &begun] {
        let mut client = Raw::open(node.address);
        took(
            || {
                client.send(bytes);
                assert_eq!(client.ending(), CALM);
            },
            350,
        );
    }
    let mut dripping = Raw::open(node.address);
    took(|| dripping.drip(&in_one, Duration::from_millis(20)), 350);
    let mut continuing = Raw::open(node.address);
    continuing.send(&begun);
    let pieces = frame(CONTINUATION, 0, 1, b"");
    took(
        || continuing.drip(&pieces.repeat(400), Duration::from_millis(20)),
        350,
    );
    assert!(origin.requests().is_empty());
}

#[test]
fn each_header_block_has_the_time_for_itself() {
    let origin = echo();
    let node = framed("[server.limits]\nheader_timeout = \"600ms\"", &origin);
    let mut client = Raw::open(node.address);
    let started = Instant::now();
    for number in 0..8 {
        let request = get(2 * number + 1, "/fixed");
        let (begin, rest) = request.split_at(12);
        client.send(begin);
        client.pause(Duration::from_millis(150));
        client.send(rest);
        client.wait_for(DATA, 2 * number + 1).expect("an answer");
    }
    assert!(started.elapsed() > Duration::from_millis(1100));
}

#[test]
fn a_connection_must_be_opened_in_time() {
    let origin = echo();
    let node = framed("[server.limits]\nheader_timeout = \"300ms\"", &origin);
    for said in [&PREFACE[..5], &PREFACE[..23], PREFACE] {
        let mut client = Raw::silent(node.address);
        took(
            || {
                client.send(said);
                let ending = client.ending();
                assert!(ending == CALM || said.len() < PREFACE.len(), "{ending:?}");
            },
            250,
        );
    }
    // Half a line of HTTP/1 is no beginning of the other.
    let mut client = node.connect();
    client.send(b"PUT / HT");
    let answer = client.read("PUT").unwrap();
    assert_eq!(answer.error(), (408, "request-timeout"));
}

#[test]
fn a_connection_without_requests_is_closed_politely() {
    let origin = echo();
    let node = framed("[server.limits]\nidle_timeout = \"400ms\"", &origin);
    let client = Http2::open(node.address);
    assert_eq!(client.get("/fixed").text(), "fixed");
    took(|| assert_eq!(client.ended(), None), 350);
    // Neither does it wait for a client that does not take part, nor count PINGs as use.
    let mut pinging = Raw::open(node.address);
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(200);
    took(|| pinging.drip(&pings, Duration::from_millis(20)), 350);
    let mut silent = Raw::open(node.address);
    assert_eq!(silent.ending(), Ending::GoAway(0));
}

#[test]
fn a_request_under_way_is_not_idle() {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("late").held(&closed));
    let node = framed("[server.limits]\nidle_timeout = \"200ms\"", &origin);
    let client = Http2::open(node.address);
    let exchange = client.start(request("GET", "/"), b"");
    origin.wait_for(1);
    // Longer than another connection is allowed to idle.
    let idle = Http2::open(node.address);
    assert_eq!(idle.ended(), None);
    gate.open();
    assert_eq!(exchange.answer().response.text(), "late");
}

#[test]
fn an_answer_that_nobody_takes_is_reset_and_others_pass() {
    let large = vec![b'x'; 1 << 20];
    let origin = Origin::start(move |_| Answer::ok(large.clone()));
    let node = framed("[server.limits]\nwrite_timeout = \"500ms\"", &origin);
    let windows = Windows {
        stream: 65_535,
        connection: 1 << 24,
    };
    let client = Http2::open_with(node.address, windows);
    let (status, unread) = client.start(request("GET", "/"), b"").head();
    assert_eq!(status, 200);
    took(|| assert_eq!(unread.end(), Some(Reason::CANCEL)), 400);
    assert_eq!(client.get("/").body.len(), 1 << 20);
}

#[test]
fn a_client_that_reads_nothing_at_all_is_cut_off() {
    let large = vec![b'x'; 32 << 20];
    let origin = Origin::start(move |_| Answer::ok(large.clone()));
    let node = framed("[server.limits]\nwrite_timeout = \"500ms\"", &origin);
    let mut client = Raw::open(node.address);
    let room = 0x7fff_0000u32.to_be_bytes();
    let setting = [&[0, 4][..], &room].concat();
    client.send(&frame(SETTINGS, 0, 0, &setting));
    client.send(&frame(WINDOW_UPDATE, 0, 0, &room));
    client.send(&get(1, "/"));
    let line = node.access("/");
    assert!(line["bytes_sent"].as_u64() < Some(32 << 20), "{line}");
    // What was written before is read, and then the stream is reset, or the connection over.
    while let Some(frame) = client.next().filter(|frame| frame.kind != RST_STREAM) {
        assert!(frame.kind != DATA || frame.flags & END_STREAM == 0);
    }
}

#[test]
fn acknowledgements_are_no_requests() {
    let origin = echo();
    let node = framed("", &origin);
    let mut client = Raw::open(node.address);
    client.send(&frame(SETTINGS, ACK, 0, &[]));
    client.send(&get(1, "/fixed"));
    assert!(client.wait_for(DATA, 1).is_some());
    client.send(&frame(RST_STREAM, 0, 1, &8u32.to_be_bytes()));
    client.send(&get(3, "/fixed"));
    assert!(client.wait_for(DATA, 3).is_some());
    client.send(&frame(GOAWAY, 0, 0, &[0; 8]));
    assert_eq!(client.ending(), Ending::GoAway(0));
}
