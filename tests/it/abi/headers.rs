//! Response headers and status a guest may set, and those it may not.

use crate::harness::{answers, report};

const OWNED_BY_THE_HOST: [&str; 19] = [
    "content-length",
    "Transfer-Encoding",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "host",
    "date",
    "forwarded",
    "x-forwarded-for",
    "X-Forwarded-Anything",
    "x-real-ip",
    "via",
    "cdn-loop",
    "x-aegis-error",
    ":status",
];

#[test]
fn headers_the_host_owns_are_refused_with_code_4() {
    let mut body = String::new();
    for name in OWNED_BY_THE_HOST {
        body += &format!("(call $tried (call $response_set_header {{{name}}} {{guest}}))\n");
        body += &format!("(call $tried (call $response_add_header {{{name}}} {{guest}}))\n");
        body += &format!("(call $tried (call $response_remove_header {{{name}}}))\n");
    }
    let response = answers("", &report(&body)).start().get("/");
    assert_eq!(
        response.text(),
        "-1/4\n".repeat(3 * OWNED_BY_THE_HOST.len())
    );
    assert!(
        response.headers.iter().all(|(_, value)| value != "guest"),
        "{:?}",
        response.headers
    );
}

#[test]
fn malformed_names_and_values_are_refused_and_leave_no_trace() {
    let names = [
        "",
        "a b",
        "a\\0d\\0aX-Injected: 1",
        "a\\00b",
        "a:b",
        "a(b",
        "caf\\c3\\a9",
    ];
    let values = ["a\\0d\\0aX-Injected: 1", "a\\0a", "a\\00b", "\\0d"];
    let mut body = String::new();
    for name in names {
        body += &format!("(call $tried (call $response_set_header {{{name}}} {{v}}))\n");
    }
    for value in values {
        body += &format!("(call $tried (call $response_set_header {{x-bad}} {{{value}}}))\n");
        body += &format!("(call $tried (call $response_add_header {{x-bad}} {{{value}}}))\n");
    }
    let response = answers("", &report(&body)).start().get("/");
    assert_eq!(
        response.text(),
        "-1/2\n".repeat(names.len() + 2 * values.len())
    );
    assert_eq!(
        (response.header("x-bad"), response.header("x-injected")),
        (None, None)
    );
}

#[test]
fn only_final_statuses_are_taken() {
    let calls: String = [0, 99, 100, 101, 199, 600, 999, -1, 200, 599]
        .map(|status| format!("(call $tried (call $response_set_status (i32.const {status})))\n"))
        .concat();
    let terminate = calls.replace("response_set_status", "request_terminate");
    let node = answers("", &report(&format!("{calls}{terminate}"))).start();
    let response = node.get("/");
    assert_eq!(response.text(), ("-1/2\n".repeat(8) + "0\n0\n").repeat(2));
    assert_eq!(response.status, 599);
}

#[test]
fn past_the_number_of_headers_is_code_7() {
    let add = |n: u32| format!("(call $tried (call $response_add_header {{x-{n}}} {{v}}))\n");
    let body: String = (0..4).map(add).collect();
    let response = answers("limits = { response_headers = 3 }", &report(&body))
        .start()
        .get("/");
    assert_eq!(response.text(), "0\n0\n0\n-1/7\n");
    assert_eq!(
        (response.header("x-2"), response.header("x-3")),
        (Some("v"), None)
    );
}

#[test]
fn past_the_size_of_headers_is_code_7() {
    let body = "
        (memory.fill (i32.const 0x100000) (i32.const 97) (i32.const 20000))
        (call $tried (call $response_set_header {x-large} (i32.const 0x100000) (i32.const 15000)))
        (call $tried (call $response_set_header {x-larger} (i32.const 0x100000) (i32.const 17000)))";
    let response = answers("", &report(body)).start().get("/");
    assert_eq!(response.text(), "0\n-1/7\n");
    assert_eq!(response.header("x-large").unwrap().len(), 15_000);
}

#[test]
fn names_are_case_insensitive_and_set_replaces_what_add_kept() {
    let body = "
        (drop (call $response_add_header {X-One} {1}))
        (drop (call $response_add_header {x-one} {2}))
        (drop (call $response_add_header {X-Two} {1}))
        (drop (call $response_set_header {x-TWO} {3}))
        (drop (call $response_set_header {x-three} {1}))
        (drop (call $response_remove_header {X-THREE}))
        (drop (call $response_set_header {Content-Type} {text/x-guest}))";
    let response = answers("", &report(body)).start().get("/");
    assert_eq!(response.all("x-one"), ["1", "2"]);
    assert_eq!(
        (response.all("x-two"), response.all("x-three")),
        (vec!["3"], vec![])
    );
    assert_eq!(response.all("content-type"), ["text/x-guest"]);
}
