//! Bodies in the response phase: a new one replaces the upstream's, wherever HTTP allows one.

use super::{FORWARD, one, report, set};
use crate::harness::{Answer, Node, Origin, Request, phases};

fn replacing(origin: &Origin) -> Node {
    let response = format!(
        "(drop (call $response_set_body {{new body}})) {} {FORWARD}",
        set("x-a", "1")
    );
    one(origin, "", &phases(FORWARD, &response))
}

/// What the origin answers to every kind of request below.
fn scripted() -> Origin {
    Origin::start(|request| match request.target.as_str() {
        "/empty" => Answer::ok(""),
        "/chunked" => Answer::ok(vec![b'o'; 100_000]).header("Transfer-Encoding", "chunked"),
        "/none" => Answer::new(204, ""),
        "/unchanged" => Answer::new(304, "").header("ETag", "\"1\""),
        "/partial" => Answer::new(206, "part").header("Content-Range", "bytes 0-3/9"),
        "/events" => Answer::ok("data: 1\n\n").header("Content-Type", "text/event-stream"),
        "/close" => Answer::raw("HTTP/1.1 200 OK\r\n\r\nuntil the end"),
        _ => Answer::ok("page").header("Content-Encoding", "gzip"),
    })
}

#[test]
fn a_new_body_replaces_the_upstreams_whatever_its_framing() {
    let node = replacing(&scripted());
    let mut connection = node.connect();
    for path in ["/", "/chunked", "/close", "/events", "/partial"] {
        let response = connection.exchange(&Request::get(path)).unwrap();
        assert_eq!(response.text(), "new body", "{path}");
        assert_eq!(response.all("content-length"), ["8"], "{path}");
        assert!(response.all("transfer-encoding").is_empty(), "{path}");
        assert_eq!(response.header("content-encoding"), None, "{path}");
        assert_eq!(response.header("x-a"), Some("1"), "{path}");
    }
    let empty = node.get("/empty");
    assert_eq!((empty.status, empty.text().as_str()), (200, "new body"));
}

#[test]
fn where_there_is_no_body_the_edits_of_the_header_count() {
    let node = replacing(&scripted());
    let mut connection = node.connect();
    for (method, path, status) in [
        ("HEAD", "/", 200),
        ("HEAD", "/chunked", 200),
        ("GET", "/none", 204),
        ("GET", "/unchanged", 304),
    ] {
        let response = connection.exchange(&Request::new(method, path)).unwrap();
        assert_eq!(
            (response.status, response.header("x-a")),
            (status, Some("1"))
        );
        assert!(response.complete && response.body.is_empty());
    }
    let after = connection.exchange(&Request::get("/")).unwrap();
    assert_eq!(after.text(), "new body", "the connection is in step");
}

#[test]
fn a_status_may_take_the_body_away() {
    let response = "(drop (call $response_set_status (i32.const 204))) (i32.const 0)";
    let node = one(&scripted(), "", &phases(FORWARD, response));
    let mut connection = node.connect();
    for path in ["/", "/chunked"] {
        let response = connection.exchange(&Request::get(path)).unwrap();
        assert_eq!((response.status, response.body.len()), (204, 0));
        assert_eq!(response.header("content-length"), None);
    }
}

#[test]
fn without_edits_every_body_passes_as_it_came() {
    let node = one(&scripted(), "", &phases(FORWARD, FORWARD));
    for (path, body) in [
        ("/", "page"),
        ("/empty", ""),
        ("/close", "until the end"),
        ("/partial", "part"),
        ("/events", "data: 1\n\n"),
    ] {
        assert_eq!(node.get(path).text(), body, "{path}");
    }
    assert_eq!(node.get("/chunked").body.len(), 100_000);
}

#[test]
fn a_body_that_was_not_asked_for_is_not_allowed() {
    let guest = report("(call $tried (call $response_get_body))");
    for keys in ["", "body = \"request\""] {
        assert_eq!(one(&scripted(), keys, &guest).get("/").text(), "-1/4\n");
    }
}

#[test]
fn a_body_that_streams_is_the_wrong_phase_for_it() {
    let guest = report("(call $tried (call $response_get_body))");
    let node = one(&scripted(), "body = \"response\"", &guest);
    for path in ["/events", "/partial"] {
        assert_eq!(node.get(path).text(), "-1/8\n", "{path}");
    }
}
