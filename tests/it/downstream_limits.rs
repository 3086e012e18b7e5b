//! `[server.limits]`: what a client may send, how long it may take, how many connections it may hold.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::framing::chunked;
use crate::harness::{Gate, Node, Origin, Request, answers, module, node};

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
fn a_header_section_past_what_the_parser_takes_is_431_too() {
    let (origin, node) = limited("header_size = \"1MiB\"\nuri_length = 1048576");
    let large = |length| Request::get("/").header("x-large", &"x".repeat(length));
    assert_eq!(node.send(&large(1_000_000)).status, 200);
    let response = node.send(&large(1_100_000));
    assert_eq!(response.error(), (431, "headers-too-large"));
    let response = node.get(&format!("/{}", "x".repeat(1_100_000)));
    assert_eq!(response.error(), (414, "uri-too-long"));
    let many = (0..300).fold(Request::get("/"), |request, _| request.header("x", ""));
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
fn an_idle_timeout_may_be_shorter_than_a_second() {
    let (_origin, node) = limited("idle_timeout = \"50ms\"");
    let mut connection = node.connect();
    assert_eq!(connection.exchange(&Request::get("/")).unwrap().status, 200);
    let start = Instant::now();
    assert!(connection.read_to_close().is_empty());
    assert!(start.elapsed() < Duration::from_millis(900));
}

#[test]
fn a_header_that_stops_coming_is_408_on_a_kept_connection_too() {
    let (origin, node) = limited("header_timeout = \"1500ms\"\nidle_timeout = \"1s\"");
    let mut connection = node.connect();
    assert_eq!(connection.exchange(&Request::get("/")).unwrap().status, 200);
    connection.send(b"GET / HTTP/1.1\r\nHost");
    let response = connection.read("GET").expect("an answer");
    assert_eq!(response.error(), (408, "request-timeout"));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_body_that_comes_too_slowly_is_408_whether_a_function_waits_for_it_or_not() {
    let toml = r#"
        [server.limits]
        body_rate = "1KiB"
        [functions.f]
        module = "f.wasm"
        body = "request"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        path = "/buffered"
        functions = ["f"]
        upstream = "origin"
        [[routes]]
        upstream = "origin""#;
    let origin = Origin::saying("fine");
    let setup = node(toml).set("origin", &origin.address);
    let node = setup.wasm("f", module("(i32.const 0)")).start();
    std::thread::scope(|scope| {
        for path in ["/buffered", "/passing"] {
            let mut connection = node.connect();
            scope.spawn(move || {
                let head =
                    format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n");
                connection.send(head.as_bytes());
                let said = connection.drip(&[b'x'; 60], Duration::from_millis(500));
                let said = String::from_utf8_lossy(&said);
                assert!(said.starts_with("HTTP/1.1 408"), "{path}: {said}");
            });
        }
    });
    assert_eq!(node.access("/buffered")["code"], "request-timeout");
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

/// Answers with 20 MB: more than sockets take in advance.
const LARGE: &str = "
    (drop (memory.grow (i32.const 300)))
    (drop (call $response_set_body (i32.const 0) (i32.const 20000000)))
    (i32.const 0)";

#[test]
fn a_client_that_reads_slowly_but_steadily_gets_everything() {
    let keys = "limits = { shared_buffer = \"32MiB\" }\n[server.limits]\nwrite_timeout = \"1s\"";
    let node = answers(keys, &module(LARGE)).start();
    let mut connection = node.connect();
    connection.send(&Request::get("/").bytes());
    assert_eq!(connection.read_head().unwrap().0, 200);
    let never = Gate::default();
    for _ in 0..20 {
        assert_eq!(connection.read_bytes(1_000_000).len(), 1_000_000);
        never.wait(Duration::from_millis(100));
    }
}

#[test]
fn a_client_that_reads_no_headers_is_dropped_after_the_write_timeout() {
    let toml = r#"
        [server.limits]
        write_timeout = "300ms"
        [[routes]]
        respond = { status = 204 }"#;
    let node = node(toml).start();
    let mut stream = TcpStream::connect(node.address).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let many = Request::get("/").bytes().repeat(1000);
    let error = (0..10_000)
        .find_map(|_| stream.write_all(&many).err())
        .expect("an end of the node's patience");
    assert_ne!(
        error.kind(),
        std::io::ErrorKind::WouldBlock,
        "it never ends"
    );
}

/// Answers at once, in chunks without end, whatever becomes of the request.
fn hasty() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n";
            stream.write_all(begun).ok();
            std::io::copy(&mut stream, &mut std::io::sink()).ok();
        }
    });
    address
}

#[test]
fn a_body_that_goes_wrong_after_the_answer_began_cuts_the_answer() {
    let toml = r#"
        [server.limits]
        body_size = "1KiB"
        upgrade_idle_timeout = "1s"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        upstream = "origin""#;
    let node = node(toml).set("origin", &hasty()).start();
    let large = chunked(&[b'x'; 2000], 1000);
    for (path, rest) in [
        ("/large", &large[..]),
        ("/broken", b"none\r\n"),
        ("/silent", b""),
    ] {
        let mut connection = node.connect();
        let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        connection.send(&[head.as_bytes(), b"1\r\nx\r\n"].concat());
        assert_eq!(connection.read_head().unwrap().0, 200, "{path}");
        connection.send(rest);
        let body = connection.read_to_close();
        let text = String::from_utf8_lossy(&body);
        assert!(
            text.contains("begun") && !text.contains("\r\n0\r\n"),
            "{path}: {text}"
        );
        assert!(!text.contains("HTTP/1.1"), "{path}: {text}");
    }
}
