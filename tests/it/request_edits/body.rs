//! `request_set_body`: the new body goes out framed by its length, and what the client sent of the old one harms nobody.

use super::{Chain, FORWARD, chain, set, tell};
use crate::harness::{Answer, Node, Origin, Request};

/// Sets a body of `$n` bytes.
const SET: &str = "(memory.fill (i32.const 0x100000) (i32.const 120) (local.get $n))
    (if (i32.ne (call $request_set_body (i32.const 0x100000) (local.get $n)) (i32.const 0))
        (then unreachable))";

fn echo() -> Origin {
    Origin::start(|request| Answer::ok(request.body.clone()))
}

fn setting(origin: &Origin, length: usize, keys: &str, route: &str) -> Node {
    let first = format!("(local.set $n (i32.const {length})) {SET} {FORWARD}");
    let parts = Chain {
        keys,
        route,
        first: &first,
        second: &[
            &tell("body", "(call $request_get_header {content-length})"),
            FORWARD,
        ]
        .concat(),
    };
    chain(origin, &parts)
}

fn clients_bodies() -> [Request; 6] {
    let large = vec![b'c'; 200_000];
    [
        Request::get("/"),
        Request::new("POST", "/").body(b""),
        Request::new("POST", "/").body(b"client's"),
        Request::new("PUT", "/").body(&large),
        Request::new("POST", "/").chunked(&large),
        Request::new("DELETE", "/")
            .header("Content-Encoding", "gzip")
            .body(b"not gzip"),
    ]
}

#[test]
fn a_new_body_is_framed_by_its_length_whatever_the_client_sent() {
    let origin = echo();
    for keys in ["", "body = \"request\""] {
        for length in [0, 1, 65_536, 65_537, 300_000] {
            let node = setting(&origin, length, keys, "");
            let mut connection = node.connect();
            for request in clients_bodies() {
                let response = connection.exchange(&request).unwrap();
                let received = origin.last();
                let said = response.header("x-body").map(str::to_owned);
                assert_eq!((response.status, response.body.len()), (200, length));
                assert!(received.body.iter().all(|byte| *byte == b'x'));
                assert_eq!(received.all("content-length"), [length.to_string()]);
                assert!(received.all("transfer-encoding").is_empty());
                assert!(received.all("content-encoding").is_empty());
                assert_eq!(said, Some(length.to_string()), "to the next function");
            }
        }
    }
}

#[test]
fn the_requests_behind_it_on_the_connection_are_served() {
    let origin = echo();
    let node = setting(&origin, 3, "", "");
    let mut connection = node.connect();
    let requests = clients_bodies();
    let bytes: Vec<u8> = requests.iter().flat_map(Request::bytes).collect();
    connection.send(&bytes);
    for _ in &requests {
        assert_eq!(connection.read("GET").unwrap().text(), "xxx");
    }
    assert_eq!(origin.requests().len(), requests.len());
}

#[test]
fn what_a_function_says_of_its_own_body_stays() {
    let origin = echo();
    let parts = Chain {
        keys: "",
        route: "",
        first: &[
            &set("content-encoding", "br"),
            "(drop (call $request_set_body {body}))",
            &tell("encoding", "(call $request_get_header {content-encoding})"),
            FORWARD,
        ]
        .concat(),
        second: FORWARD,
    };
    let request = Request::new("POST", "/")
        .header("Content-Encoding", "gzip")
        .header("Digest", "of the old one")
        .header("Content-Type", "text/plain")
        .body(b"old");
    let response = chain(&origin, &parts).send(&request);
    let received = origin.last();
    assert_eq!(received.all("content-encoding"), ["br"]);
    assert_eq!(received.all("content-type"), ["text/plain"]);
    assert!(received.all("digest").is_empty());
    assert_eq!(response.header("x-encoding"), Some("br"));
}

#[test]
fn a_client_that_waits_to_be_asked_for_its_body_is_served() {
    let origin = echo();
    let node = setting(&origin, 3, "", "");
    let mut connection = node.connect();
    let request = Request::new("POST", "/").header("Expect", "100-continue");
    let bytes = request.body(b"client's").bytes();
    let (head, body) = bytes.split_at(bytes.len() - 8);
    connection.send(head);
    assert_eq!(connection.read_head().unwrap().0, 100);
    connection.send(body);
    assert_eq!(connection.read("POST").unwrap().text(), "xxx");
    assert!(origin.last().all("expect").is_empty());
}

#[test]
fn the_routes_limit_is_for_the_clients_body_and_not_for_the_functions() {
    let origin = echo();
    let node = setting(&origin, 300_000, "", "body_size = \"100KiB\"");
    let small = Request::new("POST", "/").body(b"small");
    assert_eq!(node.send(&small).body.len(), 300_000);
    for large in [
        Request::new("POST", "/").body(&vec![b'c'; 150_000]),
        Request::new("POST", "/").chunked(&vec![b'c'; 150_000]),
    ] {
        assert_eq!(node.send(&large).error(), (413, "body-too-large"));
    }
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_body_past_the_shared_buffers_size_is_too_large() {
    let origin = echo();
    let first = format!(
        "(call $tried (call $request_set_body (i32.const 0x100000) (i32.const 1001)))
         (call $tried (call $request_set_body (i32.const 0x100000) (i32.const 0x7fffffff)))
         (call $tried (call $request_set_body (i32.const -1) (i32.const 1)))
         (call $answer) {FORWARD}"
    );
    let parts = Chain {
        keys: "limits = { shared_buffer = \"1000B\" }",
        route: "",
        first: &first,
        second: FORWARD,
    };
    let node = chain(&origin, &parts);
    let response = node.send(&Request::new("POST", "/").body(b"client's"));
    assert_eq!(response.text(), "-1/3\n-1/2\n-1/2\n");
    assert_eq!(origin.last().body, b"client's");
}

#[test]
fn a_body_for_a_function_that_takes_less_is_too_large_for_it() {
    let origin = echo();
    let parts = Chain {
        keys: "body = \"request\"\nlimits = { body_size = \"10B\" }",
        route: "",
        first: &format!("(local.set $n (i32.const 11)) {SET} {FORWARD}"),
        second: &[&tell("body", "(call $request_get_body)"), FORWARD].concat(),
    };
    let response = chain(&origin, &parts).get("/");
    assert_eq!(response.header("x-body"), Some("-1/3"));
    assert_eq!(response.text(), "x".repeat(11));
}

#[test]
fn new_bodies_count_against_the_edges_memory() {
    let origin = echo();
    let grow = "(memory.fill (i32.const 0x100000) (i32.const 1) (i32.const 0x180000))";
    let first = format!(
        "{grow} (call $tried (call $request_set_body (i32.const 0x100000) (i32.const 0x180000)))
         (drop (call $response_set_header {{x-tried}} (i32.const 0x10000)
            (i32.sub (global.get $end) (i32.const 0x10001)))) {FORWARD}"
    );
    for (memory, result) in [("3MiB", "-1/7"), ("16MiB", "0")] {
        let parts = Chain {
            keys: "limits = { memory = \"3MiB\", fuel = 50_000_000 }",
            route: &format!("[edge]\nmemory = \"{memory}\""),
            first: &first,
            second: FORWARD,
        };
        let response = chain(&origin, &parts).get("/");
        assert_eq!(response.header("x-tried"), Some(result), "{memory}");
    }
}
