//! Edits that are refused: the guest gets the code, and nothing of them is on the wire.

use super::{Chain, FORWARD, chain};
use crate::harness::{Origin, Received, Request, answers, report};

/// Results that the guest noted, as the header `x-tried`, line by line.
fn tried(body: &str, request: &Request) -> (String, Received) {
    let origin = Origin::saying("page");
    let first = format!(
        "{body} (drop (call $response_set_body (i32.const 0x10000)
            (i32.sub (global.get $end) (i32.const 0x10000)))) {FORWARD}"
    );
    let parts = Chain {
        keys: "limits = { response_headers = 4, response_header_size = \"100B\" }",
        route: "",
        first: &first,
        second: FORWARD,
    };
    let node = chain(&origin, &parts);
    let response = node.send(request);
    (response.text(), origin.last())
}

const OWNED_BY_THE_HOST: [&str; 21] = [
    "content-length",
    "Transfer-Encoding",
    "connection",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "Host",
    "date",
    "forwarded",
    "x-forwarded-for",
    "X-Forwarded-Host",
    "x-real-ip",
    "via",
    "cdn-loop",
    "x-aegis-error",
    ":path",
    "Expect",
    "X-Request-Id",
];

#[test]
fn headers_the_host_owns_are_refused_with_code_4() {
    let mut body = String::new();
    for name in OWNED_BY_THE_HOST {
        body += &format!("(call $tried (call $request_set_header {{{name}}} {{guest}}))\n");
        body += &format!("(call $tried (call $request_add_header {{{name}}} {{guest}}))\n");
        body += &format!("(call $tried (call $request_remove_header {{{name}}}))\n");
    }
    let (said, received) = tried(&body, &Request::new("POST", "/").body(b"body"));
    assert_eq!(said, "-1/4\n".repeat(3 * OWNED_BY_THE_HOST.len()));
    assert!(received.headers.iter().all(|(_, value)| value != "guest"));
    assert_eq!(received.all("host"), ["aegis.test"]);
    assert_eq!(received.all("content-length"), ["4"]);
}

#[test]
fn malformed_names_and_values_are_refused_and_leave_no_trace() {
    let names = [
        "",
        "a b",
        "a\\0d\\0aX-Injected: 1",
        "a\\00b",
        "a:b",
        "caf\\c3\\a9",
    ];
    let values = ["a\\0d\\0aX-Injected: 1", "a\\0a", "a\\00b", "\\0d"];
    let mut body = String::new();
    for name in names {
        body += &format!("(call $tried (call $request_set_header {{{name}}} {{v}}))\n");
        body += &format!("(call $tried (call $request_remove_header {{{name}}}))\n");
    }
    for value in values {
        body += &format!("(call $tried (call $request_set_header {{x-bad}} {{{value}}}))\n");
        body += &format!("(call $tried (call $request_add_header {{x-bad}} {{{value}}}))\n");
    }
    let (said, received) = tried(&body, &Request::get("/"));
    assert_eq!(said, "-1/2\n".repeat(2 * (names.len() + values.len())));
    assert_eq!(
        (received.header("x-bad"), received.header("x-injected")),
        (None, None)
    );
}

#[test]
fn header_edits_of_requests_have_the_limits_of_responses_and_a_count_of_their_own() {
    let long = "v".repeat(60);
    let body = format!(
        "(call $tried (call $response_set_header {{x-r}} {{{long}}}))
         (call $tried (call $request_set_header {{x-a}} {{{long}}}))
         (call $tried (call $request_set_header {{x-b}} {{{long}}}))
         (call $tried (call $request_set_header {{x-a}} {{1}}))
         (call $tried (call $request_add_header {{x-b}} {{2}}))
         (call $tried (call $request_add_header {{x-b}} {{3}}))
         (call $tried (call $request_remove_header {{x-c}}))
         (call $tried (call $request_remove_header {{x-d}}))
         (call $tried (call $request_remove_header {{x-b}}))"
    );
    let (said, received) = tried(&body, &Request::get("/"));
    assert_eq!(said, "0\n0\n-1/7\n0\n0\n0\n0\n-1/7\n0\n");
    assert_eq!(received.all("x-a"), ["1"]);
    assert!(received.all("x-b").is_empty());
}

/// URIs that must not come near the wire, with the code for each.
const HOSTILE: [(&str, u8); 24] = [
    ("", 2),
    ("*", 2),
    ("evil", 2),
    ("evil:443", 2),
    ("//evil", 2),
    ("//evil/path", 2),
    ("///", 2),
    ("/\\5cevil", 2),
    ("\\5c\\5cevil", 2),
    ("http://evil/", 2),
    ("https://evil/", 2),
    ("HTTP://evil/", 2),
    ("?query", 2),
    ("/a b", 2),
    ("/a?b c", 2),
    ("/x\\0d\\0aHost: e", 2),
    ("/x HTTP/1.1\\0d\\0aHost: e\\0d\\0a\\0d\\0aGET /y", 2),
    ("/x?\\0d\\0aX-Injected: 1", 2),
    ("/a\\00", 2),
    ("/a\\09b", 2),
    ("/a#fragment", 2),
    ("/a\\ff", 2),
    ("/a%2Fb", 2),
    ("/..%2f", 2),
];

#[test]
fn hostile_uris_are_refused_and_the_one_that_was_asked_for_goes_out() {
    let mut body = String::new();
    let mut expected = String::new();
    for (uri, code) in HOSTILE {
        body += &format!("(call $tried (call $request_set_uri {{{uri}}}))\n");
        expected += &format!("-1/{code}\n");
    }
    let (said, received) = tried(&body, &Request::get("/asked?for=this"));
    assert_eq!(said, expected);
    assert_eq!(received.target, "/asked?for=this");
    assert_eq!(received.all("host"), ["aegis.test"]);
    assert_eq!(received.header("x-injected"), None);
}

#[test]
fn a_uri_longer_than_a_client_may_send_is_too_large() {
    let uri = format!("/{}", "u".repeat(9000));
    let body = format!(
        "(call $tried (call $request_set_uri {{{uri}}}))
         (call $tried (call $request_set_uri (i32.const 0x100000) (i32.const 0x7fffffff)))
         (call $tried (call $request_set_uri (i32.const -1) (i32.const 4)))"
    );
    let (said, received) = tried(&body, &Request::get("/asked"));
    assert_eq!(said, "-1/3\n-1/2\n-1/2\n");
    assert_eq!(received.target, "/asked");
}

#[test]
fn edits_on_a_route_without_upstream_go_nowhere_and_harm_nothing() {
    let body = "(call $tried (call $request_set_uri {/edited}))
        (call $tried (call $request_set_header {x-a} {1}))
        (call $tried (call $request_set_body {body}))
        (call $text (call $request_get_uri))";
    let response = answers("", &report(body)).start().get("/asked");
    assert_eq!(response.text(), "0\n0\n0\n/edited\n");
}

#[test]
fn what_is_of_the_response_is_the_wrong_phase() {
    let body = "(call $tried (call $response_get_status))
        (call $tried (call $response_get_header {x-a}))
        (call $tried (call $response_get_header (i32.const -1) (i32.const 4)))
        (call $tried (call $response_get_header_names))
        (call $tried (call $response_get_body))";
    let response = answers("", &report(body)).start().get("/");
    assert_eq!(response.text(), "-1/8\n".repeat(5));
}
