//! `http2 = true`: requests go to backends over HTTP/2, whichever way they take through the node.

mod faults;
mod grpc;

use bytes::Bytes;
use http::{Response, StatusCode, Version};

use crate::harness::http2_origin::Call;
use crate::harness::{Http2Origin, Node, Request, module, node, phases};

const FORWARD: &str = "(i32.const 0)";
const SIZES: [usize; 6] = [0, 1, 65_535, 65_536, 65_537, 1 << 20];

/// Through the library; with the request's body buffered, and a new one set; with the answer's
/// body read, and streaming past because it is too large.
const WAYS: [&str; 4] = ["/plain", "/buffered", "/read", "/large"];

fn through(origin: &Http2Origin, keys: &str) -> Node {
    let toml = r#"
        [[listeners]]
        address = "{listen}"
        h2c = true
        [functions.buffered]
        module = "forward.wasm"
        body = "request"
        [functions.read]
        module = "both.wasm"
        response_entry = "handle_response"
        body = "response"
        limits = { body_size = "2MiB" }
        [functions.large]
        module = "both.wasm"
        response_entry = "handle_response"
        body = "response"
        limits = { body_size = "0B" }
        [functions.replaced]
        module = "replace.wasm"
        [upstreams.origin]
        http2 = true
        backends = ["{origin}"]
        KEYS
        [[routes]]
        path_prefix = "/plain"
        upstream = "origin"
        [[routes]]
        path_prefix = "/buffered"
        functions = ["buffered"]
        upstream = "origin"
        [[routes]]
        path_prefix = "/read"
        functions = ["read"]
        upstream = "origin"
        [[routes]]
        path_prefix = "/large"
        functions = ["large"]
        upstream = "origin"
        [[routes]]
        path_prefix = "/replaced"
        functions = ["replaced"]
        upstream = "origin""#;
    let replace = "(drop (call $request_set_body {new body})) (i32.const 0)";
    node(&toml.replace("KEYS", keys))
        .set("origin", &origin.address)
        .wasm("forward", module(FORWARD))
        .wasm("both", phases(FORWARD, FORWARD))
        .wasm("replace", module(replace))
        .start()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

#[test]
fn requests_and_answers_of_any_size_go_both_ways() {
    let origin = Http2Origin::start(Call::echo);
    let node = through(&origin, "");
    let mut connection = node.connect();
    for way in WAYS {
        for size in SIZES {
            let body = pattern(size);
            let post = || Request::new("POST", way);
            for request in [post().body(&body), post().chunked(&body)] {
                let answer = connection.exchange(&request).unwrap();
                assert_eq!(
                    (answer.status, answer.complete),
                    (200, true),
                    "{way} {size}"
                );
                assert!(answer.body == body, "{way} {size}: {}", answer.body.len());
            }
        }
    }
    let answer = node.send(&Request::new("PUT", "/replaced").body(&pattern(100_000)));
    assert_eq!(answer.text(), "new body");
}

#[test]
fn a_request_is_one_of_http_2() {
    let origin = Http2Origin::start(|call| call.say("said"));
    let node = through(&origin, "");
    for way in WAYS {
        let target = format!("{way}/a/../b?c=%20");
        let request = Request::get(&target)
            .host("Shop.test:81")
            .header("Connection", "x-hop, keep-alive")
            .header("X-Hop", "1")
            .header("Keep-Alive", "timeout=5")
            .header("TE", "gzip;q=0.5, trailers")
            .header("X-A", "1")
            .header("X-A", "2");
        let answer = node.send(&request);
        assert_eq!((answer.status, answer.text().as_str()), (200, "said"));
        let head = origin.last();
        assert_eq!(head.version, Version::HTTP_2);
        let uri = format!("http://Shop.test:81{way}/b?c=%20");
        assert_eq!(head.uri.to_string(), uri);
        let all = |name| {
            let values = head.headers.get_all(name).iter();
            values
                .map(|value| value.to_str().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(all("x-a"), ["1", "2"]);
        assert_eq!(all("te"), ["trailers"]);
        assert_eq!(all("x-forwarded-host").len(), 1);
        assert_eq!(all("via"), ["1.1 aegis"]);
        for gone in [
            "host",
            "x-hop",
            "connection",
            "keep-alive",
            "transfer-encoding",
        ] {
            assert!(all(gone).is_empty(), "{way} {gone}");
        }
    }
}

#[test]
fn requests_share_a_connection() {
    let origin = Http2Origin::start(|call| call.say("said"));
    let node = through(&origin, "");
    for way in ["/plain", "/read"] {
        let before = origin.accepts();
        for _ in 0..20 {
            assert_eq!(node.get(way).text(), "said");
        }
        // One may be looked for while another request has it in its hands.
        let accepts = origin.accepts() - before;
        assert!(accepts < 5, "{accepts} connections for 20 requests");
    }
}

#[test]
fn answers_without_a_body_are_told_from_those_that_have_one() {
    let origin = Http2Origin::start(|mut call: Call| async move {
        let path = call.head.uri.path().to_owned();
        let (status, length) = match path.rsplit('/').next().unwrap() {
            "204" => (204, None),
            "304" => (304, Some("7")),
            "206" => (206, Some("4")),
            _ => (200, Some("7")),
        };
        let mut head = Response::builder().status(status);
        if let Some(length) = length {
            head = head.header("content-length", length);
        }
        let head = head.body(()).unwrap();
        if status == 206 {
            return call.with(head, Bytes::from_static(b"part")).await;
        }
        call.answer.send_response(head, true).ok().map(drop)
    });
    let node = through(&origin, "");
    let mut connection = node.connect();
    for way in WAYS {
        for (method, status, length, body) in [
            ("HEAD", 200, Some("7"), ""),
            ("GET", 204, None, ""),
            ("GET", 304, Some("7"), ""),
            ("GET", 206, Some("4"), "part"),
        ] {
            let request = Request::new(method, &format!("{way}/{status}"));
            let answer = connection.exchange(&request).unwrap();
            assert_eq!(answer.status, status, "{way} {method}");
            assert_eq!(answer.header("content-length"), length, "{way} {status}");
            assert_eq!(answer.header("transfer-encoding"), None, "{way} {status}");
            assert_eq!(answer.text(), body, "{way} {status}");
        }
    }
}

#[test]
fn a_client_that_waits_for_100_continue_is_told_to_go_on() {
    let origin = Http2Origin::start(Call::echo);
    let node = through(&origin, "");
    for way in WAYS {
        let mut connection = node.connect();
        let head = format!("POST {way} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n");
        connection.send(format!("{head}Expect: 100-continue\r\n\r\n").as_bytes());
        assert_eq!(connection.read_head().unwrap().0, 100, "{way}");
        connection.send(b"hello");
        assert_eq!(connection.read("POST").unwrap().text(), "hello");
        assert!(!origin.last().headers.contains_key("expect"));
    }
}

#[test]
fn clients_cannot_make_a_backend_look_broken_by_asking_for_what_only_http_1_has() {
    let origin = Http2Origin::start(|call| call.say("said"));
    let node = through(&origin, "eject = { failures = 1, pause = \"1m\" }");
    let handshake = Request::get("/plain")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    for _ in 0..3 {
        let answer = node.send(&handshake);
        assert_eq!((answer.status, answer.text().as_str()), (200, "said"));
    }
}

#[test]
fn trailers_are_nothing_to_a_client_of_http_1() {
    let origin = Http2Origin::start(|mut call: Call| async move {
        let head = Response::builder().status(StatusCode::OK).body(()).unwrap();
        let mut stream = call.answer.send_response(head, false).ok()?;
        stream.send_data(Bytes::from_static(b"page"), false).ok()?;
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        stream.send_trailers(trailers).ok()
    });
    let node = through(&origin, "");
    let mut connection = node.connect();
    for way in WAYS {
        let answer = connection.exchange(&Request::get(way)).unwrap();
        assert_eq!((answer.text().as_str(), answer.complete), ("page", true));
        assert_eq!(answer.header("x-sum"), None, "{way}");
    }
}
