//! The answer a guest leaves: bodies it sets, finds in the shared buffer, or puts in place of the upstream's.

use crate::harness::{Answer, EGRESS, Https, Node, Origin, Request, answers, module, node};

/// A node with the guest `body` in front of `origin`.
fn before(origin: &Origin, body: &str) -> Node {
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        functions = ["f"]
        upstream = "origin""#;
    node(toml)
        .set("origin", &origin.address)
        .wasm("f", module(body))
        .start()
}

#[test]
fn a_replaced_body_drops_what_described_the_old_one() {
    let origin = Origin::start(|request| {
        let answer = Answer::ok("the old body")
            .header("Content-Encoding", "gzip")
            .header("ETag", "\"1\"");
        let answer = answer
            .header("Accept-Ranges", "bytes")
            .header("Digest", "sha-256=x")
            .header("X-Kept", "1");
        if request.target == "/chunked" {
            answer.header("Transfer-Encoding", "chunked")
        } else {
            answer
        }
    });
    let node = before(
        &origin,
        "(drop (call $response_set_body {new})) (i32.const 0)",
    );
    for path in ["/", "/chunked"] {
        let response = node.get(path);
        assert_eq!(
            (
                response.text().as_str(),
                response.complete,
                response.header("x-kept")
            ),
            ("new", true, Some("1"))
        );
        for name in ["content-encoding", "etag", "accept-ranges", "digest"] {
            assert_eq!(response.header(name), None, "{path} {name}");
        }
        assert_ne!(response.header("content-length"), Some("12"));
    }
    let head = node.connect().exchange(&Request::new("HEAD", "/")).unwrap();
    assert_eq!((head.status, head.header("etag")), (200, None));
}

#[test]
fn what_a_guest_says_of_its_own_body_stays() {
    let origin = Origin::start(|_| {
        let answer = Answer::ok("the old body").header("ETag", "\"old\"");
        answer
            .header("Content-Encoding", "gzip")
            .header("Digest", "sha-256=old")
    });
    let node = before(
        &origin,
        "(drop (call $response_set_body {new}))
         (drop (call $response_set_header {etag} {\"new\"}))
         (drop (call $response_add_header {digest} {sha-256=new}))
         (i32.const 0)",
    );
    let response = node.get("/");
    assert_eq!(response.text(), "new");
    assert_eq!(response.all("etag"), ["\"new\""]);
    assert_eq!(response.all("digest"), ["sha-256=new"]);
    assert_eq!(response.header("content-encoding"), None);
}

#[test]
fn a_status_edited_to_one_with_a_body_shows_an_empty_one() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/304" => Answer::raw("HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n"),
        _ => Answer::new(204, ""),
    });
    let node = before(
        &origin,
        "(drop (call $response_set_status (i32.const 200))) (i32.const 0)",
    );
    let mut connection = node.connect();
    for path in ["/204", "/304", "/204"] {
        let response = connection.exchange(&Request::get(path)).unwrap();
        assert_eq!(
            (response.status, response.all("content-length")),
            (200, vec!["0"]),
            "{path}"
        );
        assert!(response.complete);
    }
}

#[test]
fn a_body_for_an_answer_without_one_ends_the_connection_and_says_so() {
    let node = before(
        &Origin::saying(""),
        "(drop (call $response_set_body {new})) (i32.const 0)",
    );
    let mut connection = node.connect();
    let response = connection.exchange(&Request::get("/")).unwrap();
    assert_eq!(
        (response.text().as_str(), response.header("connection")),
        ("new", Some("close"))
    );
    assert!(connection.read_to_close().is_empty());
}

#[test]
fn status_and_headers_of_a_proxied_answer_are_edited() {
    let origin = Origin::start(|_| {
        Answer::new(404, "missing")
            .header("X-Set", "origin")
            .header("X-Add", "origin")
            .header("X-Gone", "1")
    });
    let node = before(
        &origin,
        "(drop (call $response_set_status (i32.const 200)))
         (drop (call $response_set_header {x-set} {guest}))
         (drop (call $response_add_header {x-add} {guest}))
         (drop (call $response_remove_header {x-gone}))
         (i32.const 0)",
    );
    let response = node.get("/");
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, "missing")
    );
    assert_eq!(
        (response.all("x-set"), response.all("x-gone")),
        (vec!["guest"], vec![])
    );
    assert_eq!(response.all("x-add"), ["origin", "guest"]);
}

#[test]
fn an_answer_that_resets_the_form_is_empty() {
    let guest = "(drop (call $request_terminate (i32.const 205)))
        (drop (call $response_set_body {body})) (i32.const 0)";
    let response = answers("", &module(guest)).start().get("/");
    assert_eq!((response.status, response.text().as_str()), (205, ""));
    assert_eq!(response.header("content-length"), Some("0"));
}

#[test]
fn no_body_is_sent_where_http_allows_none() {
    for status in [204, 304] {
        let guest = format!(
            "(drop (call $response_set_status (i32.const {status})))
             (drop (call $response_set_body {{body}})) (i32.const 0)"
        );
        for node in [
            before(&Origin::saying("page"), &guest),
            answers("", &module(&guest)).start(),
        ] {
            let mut connection = node.connect();
            for _ in 0..2 {
                assert_eq!(
                    connection.exchange(&Request::get("/")).unwrap().status,
                    status
                );
            }
        }
    }
    let node = answers(
        "",
        &module("(drop (call $response_set_body {body})) (i32.const 0)"),
    )
    .start();
    let mut connection = node.connect();
    assert_eq!(
        connection
            .exchange(&Request::new("HEAD", "/"))
            .unwrap()
            .status,
        200
    );
    assert_eq!(
        connection.exchange(&Request::get("/")).unwrap().text(),
        "body"
    );
}

#[test]
fn what_the_cache_gave_last_is_the_answer_of_a_guest_that_sets_none() {
    let body = "(drop (call $cache_set {k} {cached} (i32.const 60))) (drop (call $cache_get {k})) (i32.const 0)";
    let response = answers("", &module(body)).start().get("/");
    assert_eq!((response.status, response.text().as_str()), (200, "cached"));
    let missed = module(&body.replace(
        "(i32.const 0)",
        "(drop (call $cache_get {absent})) (i32.const 0)",
    ));
    assert_eq!(answers("", &missed).start().get("/").text(), "cached");
}

#[test]
fn what_https_gave_last_is_the_answer_of_a_guest_that_sets_none() {
    let https = Https::start(|_| Answer::new(500, "from afar"));
    let guest = module(&format!(
        "(drop (call $http_get {{{}}})) (i32.const 0)",
        https.url("/")
    ));
    let response = https
        .reachable_from(answers(EGRESS, &guest))
        .start()
        .get("/");
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, "from afar")
    );
}

#[test]
fn nothing_else_becomes_an_answer_by_itself() {
    let fetched =
        "(drop (call $cache_set {k} {cached} (i32.const 60))) (drop (call $cache_get {k}))";
    for (body, expected) in [
        ("(drop (call $request_get_uri))".to_owned(), ""),
        ("(drop (call $config_get {absent}))".to_owned(), ""),
        (
            format!("{fetched} (drop (call $request_terminate (i32.const 200)))"),
            "",
        ),
        (
            format!("{fetched} (drop (call $response_set_body {{mine}}))"),
            "mine",
        ),
        (
            format!("{fetched} (drop (call $response_set_body (i32.const 0) (i32.const 0)))"),
            "",
        ),
    ] {
        let response = answers("", &module(&format!("{body} (i32.const 0)")))
            .start()
            .get("/uri");
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, expected),
            "{body}"
        );
    }
}
