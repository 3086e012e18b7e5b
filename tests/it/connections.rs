//! One connection, several requests: sent ahead, behind bodies, after errors, and from clients of HTTP/1.0.

use crate::harness::{Answer, Gate, Node, Origin, Request, answers, module, node};

/// A node that forwards everything to `backend` after a function read the body, but `/plain` as it comes.
fn buffering(backend: &impl ToString) -> Node {
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        body = "request"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        functions = ["f"]
        upstream = "origin"
        [[routes]]
        path = "/plain"
        upstream = "origin""#;
    node(toml)
        .set("origin", backend)
        .wasm("f", module("(i32.const 0)"))
        .start()
}

fn echo() -> Origin {
    Origin::start(|request| {
        let body = [request.target.as_bytes(), b" ", &request.body[..]].concat();
        Answer::ok(body)
    })
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let node = buffering(&echo().address);
    let mut connection = node.connect();
    let requests = [
        Request::get("/plain?1"),
        Request::new("POST", "/2").body(b"two"),
        Request::new("POST", "/plain?3").chunked(b"three"),
        Request::new("POST", "/4").chunked(b"four"),
        Request::get("/none-of-them").header("Connection", "close"),
    ];
    let bytes: Vec<u8> = requests.iter().flat_map(Request::bytes).collect();
    connection.send(&bytes);
    for expected in ["/plain?1 ", "/2 two", "/plain?3 three", "/4 four"] {
        assert_eq!(connection.read("POST").unwrap().text(), expected);
    }
    let last = connection.read("GET").unwrap();
    assert_eq!(last.header("connection"), Some("close"));
    assert!(connection.read_to_close().is_empty());
}

#[test]
fn a_request_sent_while_another_is_under_way_waits_for_its_turn() {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |request| Answer::ok(request.target.as_str()).held(&closed));
    let node = buffering(&origin.address);
    let mut connection = node.connect();
    connection.send(&Request::get("/plain?first").bytes());
    origin.wait_for(1);
    connection.send(&Request::get("/plain?second").bytes());
    gate.open();
    for expected in ["/plain?first", "/plain?second"] {
        assert_eq!(connection.read("GET").unwrap().text(), expected);
    }
}

#[test]
fn nothing_behind_a_buffered_body_is_lost() {
    let node = buffering(&echo().address);
    for path in ["/first", "/fi%20rst"] {
        for first in [
            Request::new("POST", path).body(b"body"),
            Request::new("POST", path).chunked(b"body"),
            Request::new("POST", path).body(&[b'b'; 100_000]),
            Request::new("POST", path).chunked(&[b'b'; 100_000]),
        ] {
            let mut connection = node.connect();
            let next = Request::get("/plain?next").bytes();
            let (begun, rest) = next.split_at(9);
            connection.send(&[&first.bytes()[..], begun].concat());
            assert_eq!(connection.read("POST").unwrap().status, 200, "{path}");
            connection.send(rest);
            assert_eq!(
                connection.read("GET").unwrap().text(),
                "/plain?next ",
                "{path}"
            );
        }
    }
}

#[test]
fn a_connection_its_client_wants_closed_is_closed_after_a_buffered_body() {
    let node = buffering(&echo().address);
    let request = Request::new("POST", "/last").header("Connection", "close");
    let mut connection = node.connect();
    let response = connection.exchange(&request.body(b"body")).unwrap();
    assert_eq!(
        (response.text().as_str(), response.header("connection")),
        ("/last body", Some("close"))
    );
    assert!(connection.read_to_close().is_empty());
}

#[test]
fn a_broken_chunk_ends_the_connection() {
    let node = buffering(&echo().address);
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n";
    let next = Request::get("/plain").bytes();
    let mut connection = node.connect();
    connection.send(&[request.as_bytes(), &next].concat());
    let response = connection.read("POST").unwrap();
    assert_eq!(
        (response.error(), response.header("connection")),
        ((400, "bad-request"), Some("close"))
    );
    assert!(connection.read_to_close().is_empty());
}

#[test]
fn a_proxying_error_says_that_the_connection_ends() {
    let node = buffering(&Origin::absent());
    for path in ["/", "/plain"] {
        let mut connection = node.connect();
        let response = connection.exchange(&Request::get(path)).unwrap();
        assert_eq!(
            (response.error(), response.header("connection")),
            ((502, "upstream-connect"), Some("close"))
        );
        assert!(connection.read_to_close().is_empty());
    }
}

#[test]
fn a_connection_serves_on_after_a_refused_request() {
    let node = answers("", &module("(i32.const 0)")).start();
    let mut connection = node.connect();
    let mut status = |request: &Request| connection.exchange(request).unwrap().status;
    assert_eq!(status(&Request::new("TRACE", "/")), 405);
    assert_eq!(status(&Request::get("/%00")), 400);
    assert_eq!(status(&Request::get("/control")), 200);
}

#[test]
fn an_error_after_an_interim_answer_is_told() {
    let origin = Origin::start(|_| Answer::raw("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"));
    let node = buffering(&origin.address);
    let mut connection = node.connect();
    connection.send(&Request::new("POST", "/plain").body(b"x").bytes());
    assert_eq!(connection.read_head().unwrap().0, 103);
    assert_eq!(
        connection.read("POST").unwrap().error(),
        (502, "upstream-reset")
    );
    let line = node.access("/plain");
    assert_eq!(
        (&line["status"], &line["code"]),
        (&502.into(), &"upstream-reset".into())
    );
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks_and_no_interim_answers() {
    let origin = Origin::start(|_| {
        Answer::raw(
            "HTTP/1.1 103 Early Hints\r\n\r\n\
             HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n4\r\nhalf\r\n0\r\n\r\n",
        )
    });
    let node = buffering(&origin.address);
    for keep in ["", "Connection: keep-alive\r\n"] {
        let mut connection = node.connect();
        let request = format!("GET /plain HTTP/1.0\r\nExpect: 100-continue\r\n{keep}\r\n");
        connection.send(request.as_bytes());
        let (status, headers) = connection.read_head().unwrap();
        assert_eq!(status, 200);
        let has = |name: &str, value: &str| {
            let equal = |(n, v): &(String, String)| n.eq_ignore_ascii_case(name) && v == value;
            headers.iter().any(equal)
        };
        assert!(!has("transfer-encoding", "chunked") && has("connection", "close"));
        assert_eq!(connection.read_to_close(), b"halfhalf");
        assert_eq!(origin.last().header("expect"), None);
    }
}
