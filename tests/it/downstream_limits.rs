//! `[server.limits]`: what a client may send, how long it may take, how many connections it may hold.

use std::time::Duration;

use crate::harness::framing::chunked;
use crate::harness::{Node, Origin, Request, node};

/// A node with `limits` in front of an origin that counts.
fn limited(limits: &str) -> (Origin, Node) {
    let origin = Origin::saying("fine");
    let node = node(&format!(
        r#"
        [server.limits]
        {limits}
        [upstreams.origin]
        backends = ["{{origin}}"]
        [[routes]]
        upstream = "origin"
        [[routes]]
        path = "/large"
        upstream = "origin"
        body_size = "4KiB""#
    ));
    (origin.clone(), node.set("origin", &origin.address).start())
}

#[test]
fn a_header_section_past_the_limit_is_431() {
    let (origin, node) = limited("header_size = \"1KiB\"");
    assert_eq!(
        node.send(&Request::get("/").header("x-large", &"x".repeat(500)))
            .status,
        200
    );
    assert_eq!(
        node.send(&Request::get("/").header("x-large", &"x".repeat(1100)))
            .error(),
        (431, "headers-too-large")
    );
    let many = (0..100).fold(Request::get("/"), |request, i| {
        request.header(&format!("x-{i}"), "0123456789")
    });
    assert_eq!(node.send(&many).error(), (431, "headers-too-large"));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_uri_past_the_limit_is_414() {
    let (origin, node) = limited("uri_length = 64");
    assert_eq!(node.get(&format!("/{}", "a".repeat(63))).status, 200);
    assert_eq!(
        node.get(&format!("/{}", "a".repeat(64))).error(),
        (414, "uri-too-long")
    );
    assert_eq!(
        node.get(&format!("/?{}", "a".repeat(64))).error(),
        (414, "uri-too-long")
    );
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_body_announced_past_the_limit_is_413_at_once() {
    let (origin, node) = limited("body_size = \"1KiB\"");
    assert_eq!(
        node.send(&Request::new("POST", "/").body(&[b'x'; 1024]))
            .status,
        200
    );
    let announced = node
        .raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n")
        .unwrap();
    assert_eq!(announced.error(), (413, "body-too-large"));
    assert_eq!(
        node.send(&Request::new("POST", "/").body(&[b'x'; 1025]))
            .error(),
        (413, "body-too-large")
    );
    assert_eq!(
        node.send(&Request::new("POST", "/large").body(&[b'x'; 4096]))
            .status,
        200
    );
    assert_eq!(
        node.send(&Request::new("POST", "/large").body(&[b'x'; 4097]))
            .error(),
        (413, "body-too-large")
    );
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_chunked_body_past_the_limit_is_413() {
    let (_origin, node) = limited("body_size = \"1KiB\"");
    assert_eq!(
        node.send(&Request::new("POST", "/").chunked(&[b'x'; 1024]))
            .status,
        200
    );
    let mut head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    head.extend(chunked(&[b'x'; 200_000], 100));
    let response = node.raw(&head).unwrap();
    assert_eq!(response.error(), (413, "body-too-large"));
}

#[test]
fn a_header_that_drips_in_is_cut_off_at_the_header_timeout() {
    let (origin, node) = limited("header_timeout = \"400ms\"");
    let mut connection = node.connect();
    let drips = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: {}",
        "x".repeat(10_000)
    );
    let answer = connection.drip(drips.as_bytes(), Duration::from_millis(20));
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(origin.requests().is_empty());
    assert_eq!(node.get("/").status, 200);
}

#[test]
fn a_body_that_stops_coming_is_408() {
    let (_origin, node) = limited("body_timeout = \"300ms\"");
    let response = node
        .raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nxxx")
        .unwrap();
    assert_eq!(response.error(), (408, "request-timeout"));
}

#[test]
fn an_idle_connection_is_closed() {
    let (_origin, node) = limited("idle_timeout = \"1s\"");
    let mut connection = node.connect();
    assert_eq!(connection.exchange(&Request::get("/")).unwrap().status, 200);
    assert_eq!(connection.exchange(&Request::get("/")).unwrap().status, 200);
    assert!(connection.read_to_close().is_empty());
}

#[test]
fn a_client_may_hold_so_many_connections_and_no_more() {
    for limit in ["connections_per_client = 2", "connections = 2"] {
        let (_origin, node) = limited(limit);
        let mut held = [node.connect(), node.connect()];
        for connection in &mut held {
            assert_eq!(
                connection.exchange(&Request::get("/")).unwrap().status,
                200,
                "{limit}"
            );
        }
        let refused = node.connect().exchange(&Request::get("/"));
        assert!(
            refused.is_none_or(|response| response.status == 503),
            "{limit}"
        );
        drop(held);
        node.connect_until_served("/");
    }
}

#[test]
fn a_client_that_does_not_read_is_dropped_after_the_write_timeout() {
    let body = "x".repeat(40_000_000);
    let origin = Origin::start(move |_| crate::harness::Answer::ok(body.clone()));
    let toml = r#"
        [server.limits]
        write_timeout = "300ms"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        upstream = "origin""#;
    let node = node(toml).set("origin", &origin.address).start();
    let mut connection = node.connect();
    connection.send(&Request::get("/unread").bytes());
    assert_eq!(node.access("/unread")["path"], "/unread");
    assert!(
        connection
            .read("GET")
            .is_none_or(|response| !response.complete)
    );
}
