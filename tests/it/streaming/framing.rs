//! Where an answer ends: told by its status and framing, and never when the origin fell short of it.

use crate::harness::{Answer, Node, Origin, Request, module, node, phases};

/// Through the library; with the request's body buffered; with the answer's read, and streaming past.
const WAYS: [&str; 4] = ["/plain", "/buffered", "/read", "/large"];

fn through(origin: &Origin) -> Node {
    let toml = r#"
        [functions.buffered]
        module = "forward.wasm"
        body = "request"
        [functions.read]
        module = "both.wasm"
        response_entry = "handle_response"
        body = "response"
        [functions.large]
        module = "both.wasm"
        response_entry = "handle_response"
        body = "response"
        limits = { body_size = "0B" }
        [upstreams.origin]
        backends = ["{origin}"]
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
        upstream = "origin""#;
    let forward = "(i32.const 0)";
    node(toml)
        .set("origin", &origin.address)
        .wasm("forward", module(forward))
        .wasm("both", phases(forward, forward))
        .start()
}

/// With a body, so that there is one to buffer.
fn request(method: &str, target: &str) -> Request {
    Request::new(method, target).body(b"hello")
}

#[test]
fn an_answer_cut_short_never_ends_well() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n10\r\nha",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nnot a size\r\n",
        "HTTP/1.1 206 OK\r\nContent-Range: bytes 0-99/100\r\nContent-Length: 100\r\n\r\nhalf",
    ];
    for answer in answers {
        let origin = Origin::start(move |_| Answer::raw(answer));
        let node = through(&origin);
        for way in WAYS {
            let mut connection = node.connect();
            let got = connection.exchange(&request("POST", way));
            let got = got.expect("an answer");
            let refused = got.status == 502;
            let cut = !got.complete && got.body.len() <= 6;
            assert!(
                refused || cut,
                "{way} {answer}: {} {}",
                got.status,
                got.text()
            );
            if cut && !refused {
                assert!(connection.read_to_close().is_empty(), "{way}");
            }
        }
    }
}

#[test]
fn what_an_origin_sends_past_its_length_goes_nowhere() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npageHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled";
    let origin = Origin::start(move |_| Answer::raw(answer));
    let node = through(&origin);
    for way in WAYS {
        let mut connection = node.connect();
        for _ in 0..3 {
            let got = connection.exchange(&request("PUT", way)).unwrap();
            assert_eq!((got.text().as_str(), got.complete), ("page", true), "{way}");
        }
    }
}

#[test]
fn an_answer_without_a_length_ends_with_the_origins_connection() {
    for version in ["1.0", "1.1"] {
        let answer = format!("HTTP/{version} 200 OK\r\nContent-Type: text/plain\r\n\r\npage");
        let origin = Origin::start(move |_| Answer::raw(answer.clone()));
        let node = through(&origin);
        for way in WAYS {
            let mut connection = node.connect();
            for _ in 0..2 {
                let got = connection.exchange(&request("PUT", way)).unwrap();
                assert_eq!((got.text().as_str(), got.complete), ("page", true), "{way}");
            }
        }
    }
}

#[test]
fn answers_without_a_body_are_told_from_those_that_have_one() {
    let origin = Origin::start(|request| {
        let path = &request.target;
        match path.rsplit('/').next().unwrap() {
            "204" => Answer::new(204, ""),
            "304" => Answer::new(304, "").header("ETag", "\"a\""),
            "206" => Answer::new(206, "part").header("Content-Range", "bytes 2-5/8"),
            _ => Answer::ok("the page"),
        }
    });
    let node = through(&origin);
    let mut connection = node.connect();
    for way in WAYS {
        for (method, status, length, body) in [
            ("HEAD", 200, Some("8"), ""),
            ("POST", 204, None, ""),
            ("POST", 304, None, ""),
            ("POST", 206, Some("4"), "part"),
        ] {
            let target = format!("{way}/{status}");
            let ranged = request(method, &target).header("Range", "bytes=2-5");
            let got = connection.exchange(&ranged).unwrap();
            assert_eq!(got.status, status, "{way} {method}");
            assert_eq!(got.header("content-length"), length, "{way} {status}");
            assert_eq!(got.header("transfer-encoding"), None, "{way} {status}");
            assert_eq!(got.text(), body, "{way} {status}");
            assert_eq!(origin.last().header("range"), Some("bytes=2-5"));
            if status == 206 {
                assert_eq!(got.header("content-range"), Some("bytes 2-5/8"));
            }
        }
    }
}
