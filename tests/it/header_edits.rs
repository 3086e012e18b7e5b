//! `request_headers` and `response_headers`: what the upstream, functions and the client see of a route's edits.

use crate::harness::{Answer, Node, Origin, Received, Request, module, node, phases};

const EDITS: &str = r#"
    request_headers = { set = { "x-set" = "route", "x-both" = "route" }, add = { "x-add" = "two" }, remove = ["x-gone"] }
    ANSWERS"#;

const ANSWERS: &str = r#"
    response_headers = { set = { "x-set" = "route", "x-both" = "route" }, add = { "x-add" = "two" }, remove = ["server"] }"#;

/// Says what it sees of `x-both`, and writes it, in both phases; `x-add` it leaves alone.
const SEES: &str = r#"
    (global.set $end (i32.const 0x10000)) (call $text (call $request_get_header {x-both}))
    (drop (call $response_set_header {x-seen} (i32.const 0x10000) (i32.sub (global.get $end) (i32.const 0x10001))))
    (drop (call $request_set_header {x-both} {function}))
    (drop (call $response_set_header {x-both} {function}))
    (i32.const 0)"#;

fn origin() -> Origin {
    Origin::start(|_| {
        Answer::ok("page")
            .header("Server", "origin/1")
            .header("X-Set", "origin")
            .header("X-Add", "one")
    })
}

fn request() -> Request {
    Request::get("/")
        .header("X-Set", "client")
        .header("X-Set", "client again")
        .header("X-Add", "one")
        .header("X-Gone", "secret")
        .header("X_Set", "disguised")
        .header("X_Gone", "disguised")
        .header("X_Add", "the client's")
}

fn start(origin: &Origin, function: &str, keys: &str) -> Node {
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        FUNCTION
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        path = "/static"
        respond = { status = 200, body = "fixed", headers = { "server" = "static" } }
        ANSWERS
        [[routes]]
        path = "/function"
        functions = ["f"]
        EDITS
        [[routes]]
        upstream = "origin"
        KEYS
        EDITS"#;
    let toml = toml.replace("FUNCTION", function).replace("KEYS", keys);
    node(&toml.replace("EDITS", EDITS).replace("ANSWERS", ANSWERS))
        .set("origin", &origin.address)
        .wasm("f", phases(SEES, "(i32.const 0)"))
        .start()
}

fn check_forwarded(received: &Received) {
    assert_eq!(received.all("x-set"), ["route"]);
    assert_eq!(received.all("x-add"), ["one", "two"]);
    assert_eq!(received.header("x-gone"), None);
    assert_eq!(received.header("x_set"), None);
    assert_eq!(received.header("x_gone"), None);
    assert_eq!(received.header("x_add"), Some("the client's"));
}

#[test]
fn edits_reach_the_upstream_and_the_client() {
    let origin = origin();
    let node = start(&origin, "", "");
    let answer = node.send(&request());
    check_forwarded(&origin.last());
    assert_eq!(origin.last().all("x-both"), ["route"]);
    assert_eq!(answer.all("x-set"), ["route"]);
    assert_eq!(answer.all("x-add"), ["one", "two"]);
    assert_eq!(answer.header("server"), None);
}

#[test]
fn functions_see_the_edited_request_and_win_and_the_route_has_the_last_word_on_answers() {
    let (streams, buffers) = (
        "",
        "response_entry = \"handle_response\"\nbody = \"response\"",
    );
    for function in [streams, buffers] {
        let origin = origin();
        let node = start(&origin, function, "functions = [\"f\"]");
        let answer = node.send(&request());
        assert_eq!(answer.header("x-seen"), Some("route"), "{function}");
        check_forwarded(&origin.last());
        assert_eq!(origin.last().all("x-both"), ["function"], "{function}");
        assert_eq!(answer.all("x-both"), ["route"], "{function}");
        assert_eq!(answer.all("x-add"), ["one", "two"], "{function}");
        assert_eq!(answer.header("server"), None);
        assert_eq!(answer.text(), "page");
    }
}

#[test]
fn answers_of_functions_and_static_answers_are_edited_and_the_nodes_errors_are_not() {
    let origin = Origin::absent();
    let toml = format!(
        r#"
        [functions.f]
        module = "f.wasm"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        path = "/static"
        respond = {{ status = 200, body = "fixed", headers = {{ "server" = "static" }} }}
        {ANSWERS}
        [[routes]]
        path = "/function"
        functions = ["f"]
        {EDITS}
        [[routes]]
        upstream = "origin"
        {EDITS}"#
    );
    let node = node(&toml.replace("ANSWERS", ANSWERS))
        .wasm("f", module(SEES))
        .start();
    for path in ["/static", "/function"] {
        let answer = node.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("server"), None, "{path}");
        assert_eq!(answer.all("x-both"), ["route"], "{path}");
    }
    let error = node.get("/");
    assert_eq!(error.error(), (502, "upstream-connect"));
    assert_eq!(error.header("x-both"), None);
}

#[test]
fn what_belongs_to_the_node_or_breaks_a_message_is_refused_at_load() {
    for (edits, said) in [
        (
            "request_headers = { set = { \"content-length\" = \"3\" } }",
            "sets this header itself",
        ),
        (
            "request_headers = { remove = [\"Transfer-Encoding\"] }",
            "sets this header itself",
        ),
        (
            "request_headers = { set = { \"X-Forwarded-For\" = \"1.2.3.4\" } }",
            "sets this header itself",
        ),
        (
            "request_headers = { add = { \"x_forwarded_for\" = \"1.2.3.4\" } }",
            "sets this header itself",
        ),
        (
            "request_headers = { remove = [\"x-request-id\"] }",
            "sets this header itself",
        ),
        (
            "request_headers = { set = { \"Host\" = \"a\" } }",
            "write host =",
        ),
        (
            "response_headers = { set = { \"connection\" = \"close\" } }",
            "sets this header itself",
        ),
        (
            "response_headers = { set = { \"x-a\" = \"b\\r\\nx-c: d\" } }",
            "printable ASCII",
        ),
        (
            "response_headers = { set = { \"x-a\" = \"b\\u0000\" } }",
            "printable ASCII",
        ),
        (
            "response_headers = { set = { \"x a\" = \"b\" } }",
            "not a header name",
        ),
        (
            "response_headers = { remove = [\"x\\r\\ny\"] }",
            "remove[0]",
        ),
        (
            "response_headers = { set = { \"x-a\" = \"b\" }, remove = [\"X-A\"] }",
            "removed and written",
        ),
        (
            "response_headers = { sets = { \"x-a\" = \"b\" } }",
            "did you mean \"set\"",
        ),
        ("host = \"a/b\"", "not a host"),
        ("host = \"u@a\"", "not a host"),
        ("host = \"a\\r\\nx: y\"", "not a host"),
        ("host = \"a:99999\"", "not a host"),
    ] {
        let toml = format!(
            "[[routes]]\nupstream = \"o\"\n{edits}\n[upstreams.o]\nbackends = [\"127.0.0.1:9\"]"
        );
        let (code, printed) = node(&toml).check(&[]);
        assert_eq!(code, Some(1), "{edits}");
        assert!(printed.contains(said), "{edits}: {printed}");
        assert_eq!(printed.lines().count(), 1, "{edits}: {printed}");
    }
}
