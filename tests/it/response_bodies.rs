//! `body = "response"` and `"both"`: the guest gets the whole body of the upstream's answer, and the client what the guest
//! makes of it.

mod carrying;
mod faults;

use crate::harness::framing::field;
use crate::harness::{Answer, Gate, Node, Origin, Request, node, phases};

const SIZES: [usize; 7] = [0, 1, 65_535, 65_536, 65_537, 1 << 20, 8 << 20];

/// Says in `x-length` what the body getter returned.
const MEASURE: &str = "
    (call $tried (call $response_get_body))
    (drop (call $response_set_header {x-length} (i32.const 0x10000) (i32.sub (global.get $end) (i32.const 0x10001))))
    (i32.const 0)";

/// Replaces the body by itself, with the first byte increased.
const REPLACE: &str = "
    (local.set $n (call $response_get_body))
    (drop (memory.grow (i32.const 200)))
    (drop (call $get_shared_buffer (i32.const 0x200000) (i32.const 0) (local.get $n)))
    (if (local.get $n) (then (i32.store8 (i32.const 0x200000)
      (i32.add (i32.load8_u (i32.const 0x200000)) (i32.const 1)))))
    (drop (call $response_set_body (i32.const 0x200000) (local.get $n)))
    (i32.const 0)";

/// Bytes whose order shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

fn both(body: &[u8]) -> [Request; 2] {
    [
        Request::new("POST", "/").body(body),
        Request::new("POST", "/").chunked(body),
    ]
}

/// A guest that does nothing until the response is there, and then `body`.
fn on_response(body: &str) -> String {
    phases("(i32.const 0)", body)
}

/// Answers with the request's body, framed as the path says.
fn echo() -> Origin {
    Origin::start(|request| {
        let answer = Answer::ok(request.body.clone());
        match request.target.as_str() {
            "/chunked" => answer.header("Transfer-Encoding", "chunked"),
            _ => answer,
        }
    })
}

/// A node whose routes all go through `guest`, configured with `keys`, to the backends at `origin`.
fn through(keys: &str, guest: &str, backends: &str) -> Node {
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        response_entry = "handle_response"
        KEYS
        [upstreams.origin]
        BACKENDS
        [[routes]]
        functions = ["f"]
        upstream = "origin""#;
    node(&toml.replace("KEYS", keys).replace("BACKENDS", backends))
        .wasm("f", on_response(guest))
        .start()
}

fn backends(origin: &Origin) -> String {
    format!("backends = [\"{}\"]", origin.address)
}

fn measuring(origin: &Origin, keys: &str) -> Node {
    through(keys, MEASURE, &backends(origin))
}

const LARGE: &str = "limits = { body_size = \"8MiB\" }";

#[test]
fn bodies_of_any_size_pass_a_guest_that_reads_them_intact() {
    let origin = echo();
    for access in ["response", "both"] {
        let node = measuring(&origin, &format!("body = \"{access}\"\n{LARGE}"));
        let mut connection = node.connect();
        for size in SIZES {
            let body = pattern(size);
            for request in both(&body) {
                let response = connection.exchange(&request).unwrap();
                let length = size.to_string();
                assert_eq!(
                    (response.status, response.header("x-length")),
                    (200, Some(length.as_str())),
                    "{access} {size}"
                );
                assert_eq!(response.header("content-length"), Some(length.as_str()));
                assert!(
                    origin.last().body == body && response.body == body,
                    "{size}"
                );
            }
        }
    }
}

#[test]
fn a_chunked_answer_is_read_to_its_end() {
    let origin = echo();
    let node = measuring(&origin, &format!("body = \"response\"\n{LARGE}"));
    let mut connection = node.connect();
    for size in SIZES {
        let request = Request::new("POST", "/chunked").body(&pattern(size));
        let response = connection.exchange(&request).unwrap();
        assert_eq!(response.header("x-length"), Some(size.to_string().as_str()));
        assert_eq!(response.header("transfer-encoding"), None);
        assert!(response.body == pattern(size), "{size}");
    }
}

#[test]
fn a_guest_replaces_bodies_of_any_size() {
    let origin = echo();
    let node = through(
        &format!("body = \"both\"\n{LARGE}"),
        REPLACE,
        &backends(&origin),
    );
    let mut connection = node.connect();
    for size in SIZES {
        let mut expected = pattern(size);
        if let Some(first) = expected.first_mut() {
            *first += 1;
        }
        for target in ["/", "/chunked"] {
            let request = Request::new("POST", target).chunked(&pattern(size));
            let response = connection.exchange(&request).unwrap();
            assert!(
                response.complete && response.body == expected,
                "{size}: {} bytes",
                response.body.len()
            );
        }
    }
}

#[test]
fn a_body_that_ends_with_its_connection_is_read_to_its_end() {
    let origin = Origin::start(|_| Answer::raw("HTTP/1.1 200 OK\r\n\r\nall of it"));
    let response = measuring(&origin, "body = \"response\"").get("/");
    assert_eq!(response.header("x-length"), Some("9"));
    assert_eq!(response.header("content-length"), Some("9"));
    assert_eq!(response.text(), "all of it");
}

#[test]
fn a_body_over_the_limit_streams_on_unseen() {
    let origin = echo();
    let node = measuring(
        &origin,
        "body = \"response\"\nlimits = { body_size = \"64KiB\" }",
    );
    let mut connection = node.connect();
    for (target, framing) in [("/", "content-length"), ("/chunked", "transfer-encoding")] {
        for size in [65_537, 5 << 20] {
            let request = Request::new("POST", target).body(&pattern(size));
            let response = connection.exchange(&request).unwrap();
            assert_eq!(response.header("x-length"), Some("-1/3"), "{target} {size}");
            assert!(response.header(framing).is_some());
            assert!(response.complete && response.body == pattern(size));
        }
        let at_the_limit = Request::new("POST", target).body(&pattern(65_536));
        let response = connection.exchange(&at_the_limit).unwrap();
        assert_eq!(response.header("x-length"), Some("65536"));
    }
}

#[test]
fn events_pass_as_they_come() {
    let gate = Gate::default();
    let rest = gate.clone();
    let origin = Origin::start(move |_| {
        Answer::halves(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n",
            &rest,
            "data: 2\n\n",
        )
    });
    let node = measuring(&origin, "body = \"response\"");
    let mut connection = node.connect();
    connection.send(&Request::get("/").bytes());
    let (status, headers) = connection.read_head().unwrap();
    assert_eq!(status, 200);
    assert!(headers.contains(&("x-length".into(), "-1/8".into())));
    assert_eq!(connection.read_bytes(14), b"9\r\ndata: 1\n\n\r\n");
    gate.open();
    assert_eq!(connection.read_bytes(19), b"9\r\ndata: 2\n\n\r\n0\r\n\r\n");
}

#[test]
fn a_part_of_something_is_not_shown() {
    let part =
        "HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-3/9\r\nContent-Length: 4\r\n\r\npart";
    let origin = Origin::start(move |_| Answer::raw(part));
    let response = measuring(&origin, "body = \"response\"").get("/");
    assert_eq!((response.status, response.text().as_str()), (206, "part"));
    assert_eq!(response.header("x-length"), Some("-1/8"));
}

#[test]
fn answers_without_a_body_have_an_empty_one() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/204" => Answer::new(204, ""),
        "/304" => Answer::new(304, "").header("ETag", "\"1\""),
        _ => Answer::ok(pattern(70_000)),
    });
    for guest in [MEASURE, REPLACE] {
        let node = through("body = \"response\"", guest, &backends(&origin));
        let mut connection = node.connect();
        for (method, target, status) in [
            ("HEAD", "/", 200),
            ("GET", "/204", 204),
            ("GET", "/304", 304),
        ] {
            let request = Request::new(method, target);
            let response = connection.exchange(&request).unwrap();
            assert_eq!((response.status, response.body.len()), (status, 0));
            if guest == MEASURE {
                assert_eq!(response.header("x-length"), Some("0"), "{method} {target}");
            }
            if method == "HEAD" && guest == MEASURE {
                assert_eq!(response.header("content-length"), Some("70000"));
            }
        }
        assert_eq!(connection.exchange(&Request::get("/")).unwrap().status, 200);
    }
}

#[test]
fn the_status_decides_whether_a_body_is_left() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/empty" => Answer::new(204, ""),
        "/reset" => Answer::new(205, "page"),
        "/chunked" => Answer::ok("page").header("Transfer-Encoding", "chunked"),
        _ => Answer::ok("page"),
    });
    for (status, length) in [(204, None), (205, Some("0"))] {
        for body in ["", "(drop (call $response_set_body {new}))"] {
            for keys in ["", "body = \"response\""] {
                let guest = format!(
                    "(drop (call $response_set_status (i32.const {status}))) {body} (i32.const 0)"
                );
                let node = through(keys, &guest, &backends(&origin));
                for (method, target) in [
                    ("GET", "/"),
                    ("HEAD", "/"),
                    ("GET", "/chunked"),
                    ("HEAD", "/chunked"),
                    ("GET", "/empty"),
                ] {
                    let mut connection = node.connect();
                    connection.send(
                        format!(
                            "{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                        )
                        .as_bytes(),
                    );
                    let (seen, headers) = connection.read_head().unwrap();
                    let what = format!("{status} {body} {keys} {method} {target}");
                    assert_eq!(seen, status, "{what}");
                    assert_eq!(field(&headers, "content-length"), length, "{what}");
                    assert_eq!(field(&headers, "transfer-encoding"), None, "{what}");
                    assert_eq!(connection.read_to_close(), b"", "{what}");
                }
                let mut kept = node.connect();
                for _ in 0..2 {
                    assert_eq!(kept.exchange(&Request::get("/")).unwrap().status, status);
                }
            }
        }
    }
    let untouched = through("", "(i32.const 0)", &backends(&origin));
    let seen = untouched.raw(b"GET /reset HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let seen = seen.unwrap();
    assert_eq!((seen.status, seen.text().as_str()), (205, ""));
    assert_eq!(seen.header("content-length"), Some("0"));
    let to_200 = through(
        "body = \"response\"",
        "(drop (call $response_set_status (i32.const 200)))
         (drop (call $response_set_body {new})) (i32.const 0)",
        &backends(&origin),
    );
    let mut connection = to_200.connect();
    for target in ["/empty", "/reset", "/"] {
        let response = connection.exchange(&Request::get(target)).unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, "new"));
    }
}

#[test]
fn what_described_the_old_body_goes_with_it() {
    let origin = Origin::start(|_| {
        Answer::ok("old")
            .header("ETag", "\"1\"")
            .header("Content-Encoding", "x-made-up")
            .header("Content-Type", "text/plain")
    });
    let response = through("body = \"response\"", REPLACE, &backends(&origin)).get("/");
    assert_eq!(response.text(), "pld");
    assert_eq!(response.header("content-type"), Some("text/plain"));
    for name in ["etag", "content-encoding"] {
        assert_eq!(response.header(name), None, "{name}");
    }
}

#[test]
fn a_guest_that_fails_is_500_or_passed_over() {
    let origin = echo();
    let failing = "(i32.const -1)";
    let node = through("body = \"response\"", failing, &backends(&origin));
    let mut connection = node.connect();
    for request in both(b"body") {
        let response = connection.exchange(&request).unwrap();
        assert_eq!(response.error(), (500, "function-error"));
    }
    let keys = "body = \"response\"\non_failure = \"bypass\"";
    let node = through(keys, failing, &backends(&origin));
    for request in both(b"body") {
        let response = node.send(&request);
        assert_eq!((response.status, response.text().as_str()), (200, "body"));
    }
}
