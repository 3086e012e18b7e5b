//! What functions change about the request: what the upstream, later functions and they themselves see of it.

mod body;
mod refused;

use crate::harness::http::Response;
use crate::harness::{Answer, Node, Origin, Received, Request, answers, module, node};

/// Keys of both functions, the route's and the functions' text.
struct Chain<'a> {
    keys: &'a str,
    route: &'a str,
    first: &'a str,
    second: &'a str,
}

const FORWARD: &str = "(i32.const 0)";

/// Says in `x-NAME` what `call` put into the shared buffer.
fn tell(name: &str, call: &str) -> String {
    format!(
        "(global.set $end (i32.const 0x10000)) (call $text {call})
         (drop (call $response_set_header {{x-{name}}}
            (i32.const 0x10000) (i32.sub (global.get $end) (i32.const 0x10001)))) "
    )
}

fn set(name: &str, value: &str) -> String {
    format!("(drop (call $request_set_header {{{name}}} {{{value}}})) ")
}

/// A node with functions `a` and `b` in front of an origin.
fn chain(origin: &Origin, chain: &Chain<'_>) -> Node {
    let toml = r#"
        [functions.a]
        module = "a.wasm"
        KEYS
        [functions.b]
        module = "b.wasm"
        KEYS
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        name = "all"
        functions = ["a", "b"]
        upstream = "origin"
        ROUTE
        [[routes]]
        name = "other"
        path_prefix = "/other"
        respond = { status = 404 }"#;
    let toml = toml.replace("KEYS", chain.keys);
    node(&toml.replace("ROUTE", chain.route))
        .set("origin", &origin.address)
        .wasm("a", module(chain.first))
        .wasm("b", module(chain.second))
        .start()
}

/// What one function, and one that only looks, make of a request.
fn edited(edits: &str, look: &str, request: &Request) -> (Response, Received, Node) {
    let origin = Origin::saying("page");
    let parts = Chain {
        keys: "",
        route: "",
        first: &[edits, look, FORWARD].concat(),
        second: &[look, FORWARD].concat(),
    };
    let node = chain(&origin, &parts);
    let response = node.send(request);
    assert_eq!(response.text(), "page");
    (response, origin.last(), node)
}

#[test]
fn header_edits_reach_the_upstream_the_next_function_and_the_one_that_made_them() {
    let edits = [
        &set("x-set", "edge"),
        &set("X-New", "1"),
        "(drop (call $request_add_header {x-add} {two}))",
        "(drop (call $request_remove_header {x-gone}))",
    ]
    .concat();
    let look = [
        tell("set", "(call $request_get_header {X-Set})"),
        tell("new", "(call $request_get_header {x-new})"),
        tell("gone", "(call $request_get_header {x-gone})"),
        tell("names", "(call $request_get_header_names)"),
    ]
    .concat();
    let request = Request::get("/")
        .header("X-Set", "client")
        .header("X-Set", "twice")
        .header("X-Add", "one")
        .header("X-Gone", "1");
    let (response, received, _node) = edited(&edits, &look, &request);
    assert_eq!(received.all("x-set"), ["edge"]);
    assert_eq!(received.all("x-new"), ["1"]);
    assert_eq!(received.all("x-add"), ["one", "two"]);
    assert!(received.all("x-gone").is_empty());
    assert_eq!(received.all("host"), ["aegis.test"]);
    // Each of both functions has said so; the second one's words count.
    assert_eq!(response.all("x-set"), ["edge"]);
    assert_eq!(response.all("x-new"), ["1"]);
    assert_eq!(response.all("x-gone"), ["-1/1"]);
    let names: Vec<String> = serde_json::from_str(response.header("x-names").unwrap()).unwrap();
    assert_eq!(names.iter().filter(|name| *name == "x-set").count(), 1);
    assert!(names.contains(&"x-new".to_owned()) && !names.contains(&"x-gone".to_owned()));
}

#[test]
fn a_function_reads_its_own_edits() {
    let origin = Origin::saying("page");
    let first = [
        &set("x-a", "1"),
        "(drop (call $request_set_uri {/new/./path?q=1})) (drop (call $request_set_body {body}))",
        &tell("a", "(call $request_get_header {x-a})"),
        &tell("uri", "(call $request_get_uri)"),
        &tell("body", "(call $request_get_body)"),
        &tell("length", "(call $request_get_header {content-length})"),
        FORWARD,
    ]
    .concat();
    let parts = Chain {
        keys: "",
        route: "",
        first: &first,
        // It did not ask for bodies, whoever made them.
        second: &[&tell("second", "(call $request_get_body)"), FORWARD].concat(),
    };
    let response = chain(&origin, &parts).get("/");
    let said = ["x-a", "x-uri", "x-body", "x-length", "x-second"].map(|n| response.header(n));
    let expected = ["1", "/new/path?q=1", "body", "4", "-1/4"].map(Some);
    assert_eq!(said, expected);
}

#[test]
fn the_last_writer_of_a_request_wins() {
    let origin = Origin::saying("page");
    let parts = Chain {
        keys: "",
        route: "",
        first: &[
            &set("x-a", "first"),
            "(drop (call $request_set_uri {/first})) (drop (call $request_set_body {first}))",
            &set("content-encoding", "gzip"),
            FORWARD,
        ]
        .concat(),
        second: &[
            &set("x-a", "second"),
            "(drop (call $request_set_uri {/second})) (drop (call $request_set_body {second}))",
            FORWARD,
        ]
        .concat(),
    };
    chain(&origin, &parts).get("/");
    let received = origin.last();
    assert_eq!(received.target, "/second");
    assert_eq!(received.all("x-a"), ["second"]);
    assert_eq!(received.body, b"second");
    assert_eq!(
        received.header("content-encoding"),
        None,
        "of the first body"
    );
}

#[test]
fn a_uri_reaches_the_upstream_in_normal_form_and_changes_neither_route_nor_log() {
    let look = tell("uri", "(call $request_get_uri)");
    for (uri, expected) in [
        ("/other/place?a=b", "/other/place?a=b"),
        ("/a/../b//c/%7euser", "/b/c/~user"),
        ("/../../etc/passwd?x=../y", "/etc/passwd?x=../y"),
        ("/%2e%2e/a", "/a"),
        ("/?", "/?"),
        ("/@evil:80/", "/@evil:80/"),
    ] {
        let edit = format!("(call $tried (call $request_set_uri {{{uri}}}))");
        let (response, received, node) = edited(&edit, &look, &Request::get("/asked?for=this"));
        assert_eq!(received.target, expected, "{uri}");
        assert_eq!(received.all("host"), ["aegis.test"], "{uri}");
        assert_eq!(response.header("x-uri"), Some(expected), "{uri}");
        let line = node.access("/asked");
        assert_eq!(line["route"], "all");
        assert_eq!(line["path"], "/asked");
    }
}

#[test]
fn encoded_slashes_are_for_routes_that_keep_them() {
    let origin = Origin::saying("page");
    for (route, result, target) in [
        ("", "-1/2", "/asked"),
        ("encoded_slashes = \"keep\"", "0", "/a%2Fb"),
    ] {
        let first = format!(
            "(call $tried (call $request_set_uri {{/a%2fb}})) (drop (call $response_set_header {{x-tried}}
                (i32.const 0x10000) (i32.sub (global.get $end) (i32.const 0x10001)))) {FORWARD}"
        );
        let parts = Chain {
            keys: "",
            route,
            first: &first,
            second: FORWARD,
        };
        let response = chain(&origin, &parts).get("/asked");
        assert_eq!(response.header("x-tried"), Some(result));
        assert_eq!(origin.last().target, target);
    }
}

#[test]
fn edits_of_a_function_that_fails_are_dropped() {
    let origin = Origin::start(|request| Answer::ok(request.body.clone()));
    for fault in ["unreachable", "(i32.const -1)"] {
        let first = [
            &set("x-a", "1"),
            "(drop (call $request_set_uri {/edited})) (drop (call $request_set_body {edited}))",
            fault,
        ]
        .concat();
        let look = tell("uri", "(call $request_get_uri)");
        let parts = Chain {
            keys: "on_failure = \"bypass\"",
            route: "",
            first: &first,
            second: &[&look, FORWARD].concat(),
        };
        let node = chain(&origin, &parts);
        let response = node.send(&Request::new("POST", "/asked").body(b"client's"));
        let received = origin.last();
        assert_eq!(response.text(), "client's", "{fault}");
        assert_eq!(response.header("x-uri"), Some("/asked"), "{fault}");
        assert_eq!(
            (&*received.target, received.header("x-a")),
            ("/asked", None)
        );
    }
}

#[test]
fn a_request_that_is_sent_again_is_sent_with_its_edits() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/edited" => Answer::ok("page"),
        _ => Answer::new(404, ""),
    });
    let parts = Chain {
        keys: "",
        route: "",
        first: &[
            "(drop (call $request_set_uri {/edited}))",
            &set("x-a", "1"),
            FORWARD,
        ]
        .concat(),
        second: FORWARD,
    };
    let toml = r#"
        [functions.a]
        module = "a.wasm"
        [upstreams.origin]
        backends = ["{absent}", "{origin}"]
        retries = 1
        [[routes]]
        functions = ["a"]
        upstream = "origin""#;
    let node = node(toml)
        .set("absent", &Origin::absent())
        .set("origin", &origin.address)
        .wasm("a", module(parts.first))
        .start();
    for _ in 0..4 {
        assert_eq!(node.get("/").text(), "page");
        assert_eq!(origin.last().all("x-a"), ["1"]);
    }
}

#[test]
fn the_clients_address_is_told_without_its_port() {
    let guest = "(call $text (call $request_get_client_address)) (call $answer) (i32.const 0)";
    let node = answers("", &module(guest)).start();
    let claims = Request::get("/").header("X-Forwarded-For", "1.2.3.4");
    assert_eq!(node.send(&claims).text(), "127.0.0.1\n");
}
