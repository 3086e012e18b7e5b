//! `body = "request"`: the guest gets the whole body, and the upstream still gets it intact.

mod echo;
mod http2;

use crate::harness::{Answer, Gate, Node, Origin, Request, answers, module, node};

const SIZES: [usize; 6] = [0, 1, 65_535, 65_536, 65_537, 1 << 20];

/// Says in `x-length` what the body getter returned.
const MEASURE: &str = "
    (call $note (call $request_get_body))
    (drop (call $response_set_header {x-length} (i32.const 0x10000) (i32.sub (global.get $end) (i32.const 0x10001))))
    (i32.const 0)";

/// Answers with the body it got.
const ECHO: &str = "
    (local.set $n (call $request_get_body))
    (drop (call $get_shared_buffer (i32.const 0x100000) (i32.const 0) (local.get $n)))
    (drop (call $response_set_body (i32.const 0x100000) (local.get $n)))
    (i32.const 0)";

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

fn both(body: &[u8]) -> [Request; 2] {
    [
        Request::new("POST", "/").body(body),
        Request::new("POST", "/").chunked(body),
    ]
}

fn forwarding(origin: &Origin, keys: &str) -> Node {
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        body = "request"
        KEYS
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        functions = ["f"]
        upstream = "origin""#;
    node(&toml.replace("KEYS", keys))
        .set("origin", &origin.address)
        .wasm("f", module(MEASURE))
        .start()
}

#[test]
fn a_body_the_guest_saw_reaches_the_upstream_intact() {
    let origin = Origin::start(|request| Answer::ok(request.body.clone()));
    let node = forwarding(&origin, "");
    let mut connection = node.connect();
    for size in SIZES {
        let body = pattern(size);
        for request in both(&body) {
            let response = connection.exchange(&request).unwrap();
            assert_eq!(
                (response.status, response.header("x-length")),
                (200, Some(size.to_string().as_str()))
            );
            assert!(
                origin.last().body == body && response.body == body,
                "{size}: {} bytes",
                origin.last().body.len()
            );
        }
    }
}

#[test]
fn the_guest_reads_every_byte() {
    let node = answers("body = \"request\"", &module(ECHO)).start();
    for size in SIZES {
        let body = pattern(size);
        for request in both(&body) {
            let response = node.send(&request);
            assert!(
                response.status == 200 && response.body == body,
                "{size}: {} bytes",
                response.body.len()
            );
        }
    }
}

#[test]
fn a_body_over_the_functions_limit_is_413_before_the_call() {
    let origin = Origin::saying("page");
    let node = forwarding(&origin, "limits = { body_size = \"64KiB\" }");
    for request in both(&pattern(65_537)) {
        let response = node.send(&request);
        assert_eq!(
            (response.error(), response.header("x-length")),
            ((413, "body-too-large"), None)
        );
    }
    assert!(origin.requests().is_empty());
    for request in both(&pattern(65_536)) {
        assert_eq!(node.send(&request).header("x-length"), Some("65536"));
    }
}

#[test]
fn a_client_that_waits_for_100_continue_is_told_to_go_on() {
    let node = answers("body = \"request\"", &module(ECHO)).start();
    let mut connection = node.connect();
    connection
        .send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(connection.read_head().unwrap().0, 100);
    connection.send(b"hello");
    assert_eq!(connection.read("POST").unwrap().text(), "hello");
}

#[test]
fn only_a_client_of_http_1_1_that_asks_for_100_gets_it() {
    let node = answers("body = \"request\"", &module(ECHO)).start();
    for (version, expect) in [("1.0", "100-continue"), ("1.1", "something-else")] {
        let mut connection = node.connect();
        let head = format!("POST / HTTP/{version}\r\nHost: a\r\nContent-Length: 5\r\n");
        connection.send(format!("{head}Expect: {expect}\r\n\r\nhello").as_bytes());
        assert_eq!(connection.read_head().unwrap().0, 200, "{version} {expect}");
    }
    let mut connection = node.connect();
    connection
        .send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n");
    assert_eq!(connection.read_head().unwrap().0, 100);
}

#[test]
fn a_connection_serves_on_after_a_body_no_guest_read() {
    let node = answers(
        "",
        &module("(drop (call $response_set_body {done})) (i32.const 0)"),
    )
    .start();
    for request in both(&pattern(1000)) {
        assert_eq!(node.send(&request).text(), "done");
    }
    assert_eq!(node.get("/control").text(), "fine");
}

#[test]
fn a_body_that_the_edges_memory_has_no_room_for_is_503() {
    let keys = "body = \"request\"\nlimits = { memory = \"4MiB\", body_size = \"8MiB\" }\n[edge]\nmemory = \"4MiB\"";
    let node = answers(keys, &module(MEASURE)).start();
    for request in both(&pattern(5 << 20)) {
        assert_eq!(node.send(&request).error(), (503, "overloaded"));
    }
    assert_eq!(node.send(&both(&pattern(1000))[0]).status, 200);
}

#[test]
fn an_answer_to_a_buffered_body_streams_as_on_other_routes() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        let first = format!("{hints}HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
        Answer::halves(first, &held, "later")
    });
    let node = forwarding(&origin, "");
    let mut connection = node.connect();
    let request = Request::new("POST", "/").header("Accept-Encoding", "br");
    connection.send(&request.body(b"hello").bytes());
    assert_eq!(connection.read_head().unwrap().0, 103);
    assert_eq!(connection.read_head().unwrap().0, 200);
    assert_eq!(connection.read_bytes(5), b"first");
    gate.open();
    assert_eq!(connection.read_bytes(5), b"later");
    assert_eq!(origin.last().all("accept-encoding"), ["br"]);
}
