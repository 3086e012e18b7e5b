//! What passes through a proxied route, in both directions, and what the node adds and takes away.

use crate::harness::{Answer, Gate, Node, Origin, Request, node};

/// A node in front of `origin` on every path.
fn proxy(origin: &Origin) -> Node {
    node(
        r#"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        upstream = "origin""#,
    )
    .set("origin", &origin.address)
    .start()
}

fn echo() -> Origin {
    Origin::start(|request| Answer::ok(request.body.clone()))
}

/// Bytes whose order shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

#[test]
fn method_path_query_host_and_headers_are_preserved() {
    let origin = echo();
    let node = proxy(&origin);
    let mut connection = node.connect();
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
        let request = Request::new(method, "/a/b?x=1&y=%20")
            .host("shop.test:8080")
            .header("X-Mixed-Case", "Va Lue");
        assert_eq!(
            connection.exchange(&request.body(b"")).unwrap().status,
            200,
            "{method}"
        );
        let received = origin.last();
        assert_eq!(
            (received.method.as_str(), received.target.as_str()),
            (method, "/a/b?x=1&y=%20")
        );
        assert_eq!(
            (received.all("host"), received.all("x-mixed-case")),
            (vec!["shop.test:8080"], vec!["Va Lue"])
        );
    }
    assert_eq!(origin.accepts(), 1, "the connection to the backend is kept");
}

#[test]
fn bodies_pass_intact_both_ways_by_length_and_in_chunks() {
    let origin = echo();
    let node = proxy(&origin);
    let mut connection = node.connect();
    for length in [0, 1, 5_000_000] {
        let body = pattern(length);
        for request in [
            Request::new("POST", "/").body(&body),
            Request::new("POST", "/").chunked(&body),
        ] {
            let response = connection.exchange(&request).unwrap();
            assert!(
                response.complete && response.body == body,
                "{length}: {} bytes",
                response.body.len()
            );
            assert_eq!(origin.last().body.len(), length);
        }
    }
}

#[test]
fn status_and_headers_of_the_answer_are_preserved() {
    let origin = Origin::start(|request| {
        let answer = Answer::new(299, pattern(70_000))
            .header("Set-Cookie", "a=1")
            .header("Set-Cookie", "b=2");
        if request.target == "/chunked" {
            answer.header("Transfer-Encoding", "chunked")
        } else {
            answer
        }
    });
    let node = proxy(&origin);
    for path in ["/", "/chunked"] {
        let response = node.get(path);
        assert_eq!(
            (response.status, response.all("set-cookie")),
            (299, vec!["a=1", "b=2"])
        );
        assert!(response.complete && response.body == pattern(70_000));
    }
    let head = node.connect().exchange(&Request::new("HEAD", "/")).unwrap();
    assert_eq!(
        (head.status, head.header("content-length")),
        (299, Some("70000"))
    );
}

#[test]
fn an_answer_is_streamed_as_it_comes() {
    let gate = Gate::default();
    let rest = gate.clone();
    let origin = Origin::start(move |_| {
        Answer::halves(
            "HTTP/1.1 200 OK\r\nX-Early: 1\r\nContent-Length: 10\r\n\r\nfirst",
            &rest,
            "after",
        )
    });
    let node = proxy(&origin);
    let mut connection = node.connect();
    connection.send(&Request::get("/").bytes());
    assert_eq!(connection.read_head().unwrap().0, 200);
    assert_eq!(connection.read_bytes(5), b"first");
    gate.open();
    assert_eq!(connection.read_bytes(5), b"after");
}

#[test]
fn hop_by_hop_headers_stop_at_the_node() {
    let origin = Origin::start(|_| {
        let answer = Answer::ok("")
            .header("Connection", "x-private-answer")
            .header("X-Private-Answer", "1")
            .header("X-Aegis-Error", "fake");
        answer
            .header("Keep-Alive", "timeout=77")
            .header("X-Public", "1")
    });
    let node = proxy(&origin);
    let request = Request::get("/")
        .header("Connection", "keep-alive, X-Private")
        .header("X-Private", "1");
    let request = request
        .header("Keep-Alive", "timeout=5")
        .header("TE", "trailers")
        .header("Trailer", "x-late");
    let response = node.send(
        &request
            .header("Proxy-Authorization", "Basic eA==")
            .header("Proxy-Connection", "close"),
    );
    let received = origin.last();
    for name in [
        "x-private",
        "keep-alive",
        "te",
        "trailer",
        "proxy-authorization",
        "proxy-connection",
    ] {
        assert_eq!(received.header(name), None, "{name} reached the origin");
    }
    assert_eq!(response.header("x-public"), Some("1"));
    assert_eq!(response.header("x-private-answer"), None);
    assert_eq!(response.header("x-aegis-error"), None);
    assert_ne!(response.header("keep-alive"), Some("timeout=77"));
}

#[test]
fn forwarding_headers_are_the_nodes_own() {
    let origin = echo();
    let node = proxy(&origin);
    let request = Request::get("/forwarded")
        .host("shop.test")
        .header("X-Forwarded-For", "1.2.3.4");
    let request = request
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "evil.test");
    let request = request
        .header("Forwarded", "for=1.2.3.4")
        .header("X-Real-IP", "1.2.3.4")
        .header("X_Forwarded_For", "1.2.3.4")
        .header("X_Real_IP", "1.2.3.4")
        .header("x_aegis-error", "1.2.3.4")
        .header("Content_Length", "1")
        .header("X_Own", "kept");
    assert_eq!(
        node.send(
            &request
                .header("X-Aegis-Secret", "1")
                .header("CDN-Loop", "other")
        )
        .status,
        200
    );
    let received = origin.last();
    assert_eq!(received.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(received.all("x-forwarded-proto"), ["http"]);
    assert_eq!(received.all("x-forwarded-host"), ["shop.test"]);
    assert_ne!(received.header("x-real-ip"), Some("1.2.3.4"));
    let disguised = [
        "x_forwarded_for",
        "x_real_ip",
        "x_aegis-error",
        "content_length",
    ];
    assert_eq!(disguised.map(|name| received.header(name)), [None; 4]);
    assert_eq!(received.header("x_own"), Some("kept"));
    assert!(
        !received
            .header("forwarded")
            .is_some_and(|value| value.contains("1.2.3.4"))
    );
    assert_eq!(received.header("x-aegis-secret"), None);
    assert!(received.header("via").unwrap().contains("aegis"));
    assert_eq!(received.all("cdn-loop").join(", "), "other, aegis");
    assert_eq!(
        received.header("x-request-id"),
        node.access("/forwarded")["request_id"].as_str()
    );
}

#[test]
fn the_node_refuses_to_go_round_more_than_three_times() {
    let origin = echo();
    let node = proxy(&origin);
    let three = Request::get("/")
        .header("CDN-Loop", "aegis, other")
        .header("CDN-Loop", "aegis; v=1, aegis");
    assert_eq!(node.send(&three).status, 200);
    let four = Request::get("/")
        .header("CDN-Loop", "aegis, other, aegis")
        .header("CDN-Loop", "aegis, aegis");
    assert_eq!(node.send(&four).error(), (508, "loop"));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_connection_header_that_names_an_end_to_end_header_is_400() {
    let origin = echo();
    let node = proxy(&origin);
    for name in ["X-Forwarded-For", "Host"] {
        assert_eq!(
            node.send(&Request::get("/").header("Connection", name))
                .status,
            400,
            "{name}"
        );
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn connect_and_trace_are_405_and_say_what_is_allowed() {
    let origin = echo();
    let node = proxy(&origin);
    for request in [
        "CONNECT aegis.test:443 HTTP/1.1\r\nHost: aegis.test:443\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: aegis.test\r\n\r\n",
    ] {
        let response = node.raw(request.as_bytes()).unwrap();
        assert_eq!(response.error(), (405, "method-not-allowed"), "{request}");
        assert!(response.header("allow").unwrap().contains("POST"));
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn ambiguous_framing_never_reaches_the_origin() {
    let origin = echo();
    let node = proxy(&origin);
    for framing in [
        "Content-Length: 3\r\nContent-Length: 4",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip",
        "Content-Length: -1",
        "Content-Length: 3, 4",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n0\r\n\r\n");
        assert_eq!(
            node.raw(request.as_bytes()).map(|response| response.status),
            Some(400),
            "{framing}"
        );
    }
    assert!(origin.requests().is_empty());
}
