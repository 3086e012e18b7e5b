//! What streams is not held up, and takes no memory.

use std::fs;

use super::{CODINGS, accepting, all, decode, decoded, text};
use crate::harness::{Answer, Connection, Gate, Node, Origin, Request};

/// One chunk as it came.
fn chunk(connection: &mut Connection) -> Vec<u8> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(connection.read_bytes(1));
    }
    let text = std::str::from_utf8(&line).unwrap();
    let size = usize::from_str_radix(text.trim_end(), 16).unwrap();
    let chunk = connection.read_bytes(size + 2);
    chunk[..size].to_vec()
}

#[test]
fn a_piece_can_be_read_before_the_next_one_is_there() {
    for coding in CODINGS {
        let gate = Gate::default();
        let held = gate.clone();
        let origin = Origin::start(move |_| {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\
                 Transfer-Encoding: chunked\r\n\r\n";
            let first = format!("{head}8\r\n{{\"a\":1}}\n\r\n");
            Answer::halves(first, &held, "8\r\n{\"b\":2}\n\r\n0\r\n\r\n")
        });
        let node = all(&origin);
        let mut connection = node.connect();
        connection.send(&accepting(coding).bytes());
        let (status, _) = connection.read_head().unwrap();
        assert_eq!(status, 200);
        let mut got = Vec::new();
        while decode(Some(coding), &got) != b"{\"a\":1}\n" {
            got.extend(chunk(&mut connection));
        }
        assert!(!gate.is_open());
        gate.open();
        loop {
            match chunk(&mut connection) {
                end if end.is_empty() => break,
                piece => got.extend(piece),
            }
        }
        assert_eq!(decode(Some(coding), &got), b"{\"a\":1}\n{\"b\":2}\n");
        // The connection is as good as before.
        let next = connection.exchange(&Request::get("/"));
        assert_eq!(next.unwrap().status, 200);
    }
}

#[test]
fn events_are_not_touched() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        Answer::halves(format!("{head}data: 1\n\n"), &held, "data: 2\n\n")
    });
    let node = all(&origin);
    let mut connection = node.connect();
    connection.send(&accepting("gzip, br, zstd").bytes());
    let (_, headers) = connection.read_head().unwrap();
    let named = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    assert!(!named("content-encoding") && !named("vary"));
    assert_eq!(chunk(&mut connection), b"data: 1\n\n");
    assert!(!gate.is_open());
    gate.open();
    assert_eq!(chunk(&mut connection), b"data: 2\n\n");
}

#[test]
fn an_answer_that_breaks_off_is_cut() {
    for coding in CODINGS {
        let origin = Origin::start(|_| {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10000";
            Answer::raw([head.as_bytes(), b"\r\n\r\n", &text(5000)].concat())
        });
        let node = all(&origin);
        let response = node.send(&accepting(coding));
        assert_eq!(response.header("content-encoding"), Some(coding));
        assert!(!response.complete, "{coding}");
        let got = decode(Some(coding), &response.body);
        assert!(text(5000).starts_with(&got), "{coding}");
    }
}

#[test]
fn a_large_body_comes_back_as_it_was_and_takes_no_memory() {
    const LENGTH: usize = 50 << 20;
    let expected = text(LENGTH);
    let body = expected.clone();
    let node = all(&Origin::start(move |_| {
        Answer::ok(body.clone()).header("Content-Type", "text/html")
    }));
    for coding in CODINGS {
        assert_eq!(node.send(&accepting("identity")).body.len(), LENGTH);
        let before = resident(&node);
        let response = node.send(&accepting(coding));
        assert!(resident(&node) < before + (20 << 20), "{coding}");
        assert!(decoded(&response) == expected, "{coding}");
        assert!(response.body.len() < LENGTH / 2, "{coding}");
    }
}

fn resident(node: &Node) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", node.process())).unwrap();
    // The most it ever was.
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}
