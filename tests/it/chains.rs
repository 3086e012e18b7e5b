//! Several functions on one route: what each outcome does to the rest of the chain, the request and the answer.

use crate::harness::{Answer, Node, Origin, Request, module, node};

/// A node with the functions `a` and `b` in front of `origin`; `keys` go into the table of `a`.
fn chain(origin: &Origin, keys: &str, a: &str, b: &str) -> Node {
    let toml = r#"
        [functions.b]
        module = "b.wasm"
        [functions.a]
        module = "a.wasm"
        KEYS
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        functions = ["a", "b"]
        upstream = "origin"
        [[routes]]
        path = "/alone"
        functions = ["a", "b"]"#;
    node(&toml.replace("KEYS", keys))
        .set("origin", &origin.address)
        .wasm("a", module(a))
        .wasm("b", module(b))
        .start()
}

fn set(name: &str, value: &str) -> String {
    format!("(drop (call $response_set_header {{{name}}} {{{value}}}))\n")
}

const FORWARD: &str = "(i32.const 0)";

#[test]
fn respond_ends_the_chain_and_the_upstream_is_not_asked() {
    let origin = Origin::saying("page");
    let a = format!(
        "{} (drop (call $request_terminate (i32.const 403))) (i32.const 0)",
        set("x-a", "1")
    );
    let node = chain(&origin, "", &a, "unreachable");
    let response = node.get("/");
    assert_eq!(
        (response.status, response.header("x-a"), response.body.len()),
        (403, Some("1"), 0)
    );
    assert_eq!(response.header("x-aegis-error"), None);
    assert!(origin.requests().is_empty());
}

#[test]
fn a_responding_guest_runs_on_and_its_last_word_counts() {
    let origin = Origin::saying("page");
    let a = format!(
        "(drop (call $request_terminate (i32.const 403)))
         (drop (call $response_set_body {{first}}))
         (drop (call $request_terminate (i32.const 429)))
         (drop (call $response_set_body {{second}}))
         {} (i32.const 0)",
        set("x-late", "1")
    );
    let response = chain(&origin, "", &a, FORWARD).get("/");
    assert_eq!(
        (
            response.status,
            response.text().as_str(),
            response.header("x-late")
        ),
        (429, "second", Some("1"))
    );
}

#[test]
fn edits_accumulate_and_the_last_writer_wins() {
    let origin = Origin::start(|_| {
        Answer::ok("page")
            .header("X-Origin", "1")
            .header("X-Both", "origin")
    });
    let a = [
        &set("x-a", "1"),
        &set("x-both", "a"),
        "(drop (call $response_set_status (i32.const 299)))",
        FORWARD,
    ]
    .concat();
    let b = [&set("x-b", "1"), &set("x-both", "b"), FORWARD].concat();
    let response = chain(&origin, "", &a, &b).get("/");
    assert_eq!((response.status, response.text().as_str()), (299, "page"));
    assert_eq!(
        [
            response.all("x-origin"),
            response.all("x-a"),
            response.all("x-b"),
            response.all("x-both")
        ]
        .concat(),
        ["1", "1", "1", "b"]
    );
}

#[test]
fn a_route_without_upstream_is_answered_by_the_last_function() {
    let a = [
        &set("x-a", "1"),
        "(drop (call $response_set_body {from a}))",
        FORWARD,
    ]
    .concat();
    let b = [
        &set("x-b", "1"),
        "(drop (call $response_set_status (i32.const 201)))",
        FORWARD,
    ]
    .concat();
    let response = chain(&Origin::saying(""), "", &a, &b).get("/alone");
    assert_eq!((response.status, response.text().as_str()), (201, "from a"));
    assert_eq!(
        (response.header("x-a"), response.header("x-b")),
        (Some("1"), Some("1"))
    );
    assert_eq!(response.header("content-type"), None);
}

#[test]
fn a_failure_ends_the_chain_and_no_edit_reaches_the_error() {
    let origin = Origin::saying("page");
    let a = [&set("x-a", "1"), FORWARD].concat();
    let response = chain(&origin, "", &a, "unreachable").get("/");
    assert_eq!(
        (response.error(), response.header("x-a")),
        ((500, "function-trap"), None)
    );
    assert!(origin.requests().is_empty());
}

#[test]
fn edits_do_not_reach_the_nodes_own_errors() {
    let origin = Origin::start(|_| Answer::raw(""));
    let a = [
        &set("x-a", "1"),
        "(drop (call $response_set_body {nice try}))",
        FORWARD,
    ]
    .concat();
    let response = chain(&origin, "", &a, FORWARD).send(&Request::new("POST", "/").body(b""));
    assert_eq!(
        (response.error(), response.header("x-a")),
        ((502, "upstream-reset"), None)
    );
    assert!(response.text().contains("upstream-reset"));
}

#[test]
fn bypass_goes_on_without_the_failing_functions_edits() {
    let origin = Origin::saying("page");
    for fault in [
        "unreachable",
        "(i32.const -1)",
        "(loop $again (br $again)) (i32.const 0)",
    ] {
        let a = [
            &set("x-a", "1"),
            "(drop (call $request_terminate (i32.const 403)))",
            fault,
        ]
        .concat();
        let b = [&set("x-b", "1"), FORWARD].concat();
        let response = chain(&origin, "on_failure = \"bypass\"", &a, &b).get("/");
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "page"),
            "{fault}"
        );
        assert_eq!(
            (response.header("x-a"), response.header("x-b")),
            (None, Some("1")),
            "{fault}"
        );
    }
}

#[test]
fn bypass_on_the_last_function_of_a_route_without_upstream_is_refused() {
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        on_failure = "bypass"
        [[routes]]
        functions = ["f"]"#;
    let (code, printed) = node(toml).wasm("f", module(FORWARD)).check(&[]);
    assert_eq!(code, Some(1));
    assert!(printed.contains("bypass"), "{printed}");
}

#[test]
fn terminating_and_then_failing_is_a_failure() {
    let origin = Origin::saying("page");
    for (fault, code) in [
        ("unreachable", "function-trap"),
        ("(i32.const -1)", "function-error"),
    ] {
        let a = ["(drop (call $request_terminate (i32.const 200)))", fault].concat();
        assert_eq!(
            chain(&origin, "", &a, FORWARD).get("/").error(),
            (500, code)
        );
    }
    assert!(origin.requests().is_empty());
}
