//! `response_entry`: what functions see of the upstream's response, and what becomes of their edits.

mod bodies;
mod endings;

use crate::harness::{Answer, Node, Origin, Request, node, phases};

const FORWARD: &str = "(i32.const 0)";

/// The entries of one function, and its keys.
struct Function<'a> {
    keys: &'a str,
    request: &'a str,
    response: &'a str,
}

/// Runs only to see the response.
fn on_response(response: &str) -> Function<'_> {
    Function {
        keys: "",
        request: FORWARD,
        response,
    }
}

/// A node with the functions `a` and `b` in front of an origin.
fn chain(origin: &Origin, a: &Function<'_>, b: &Function<'_>) -> Node {
    let toml = r#"
        [functions.a]
        module = "a.wasm"
        response_entry = "handle_response"
        KEYS_A
        [functions.b]
        module = "b.wasm"
        response_entry = "handle_response"
        KEYS_B
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        functions = ["a", "b"]
        upstream = "origin""#;
    let toml = toml.replace("KEYS_A", a.keys).replace("KEYS_B", b.keys);
    node(&toml)
        .set("origin", &origin.address)
        .wasm("a", phases(a.request, a.response))
        .wasm("b", phases(b.request, b.response))
        .start()
}

/// A node with one function.
fn one(origin: &Origin, keys: &str, guest: &str) -> Node {
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        response_entry = "handle_response"
        KEYS
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        functions = ["f"]
        upstream = "origin""#;
    node(&toml.replace("KEYS", keys))
        .set("origin", &origin.address)
        .wasm("f", guest)
        .start()
}

/// A response entry that answers with what it noted.
fn report(body: &str) -> String {
    phases(FORWARD, &format!("{body}\n(call $answer) (i32.const 0)"))
}

fn set(name: &str, value: &str) -> String {
    format!("(drop (call $response_set_header {{{name}}} {{{value}}}))\n")
}

/// Adds to `x-seen` what a header of the response says.
fn tell(name: &str) -> String {
    format!(
        "(global.set $end (i32.const 0x10000)) (call $text (call $response_get_header {{{name}}}))
         (drop (call $response_add_header {{x-seen}}
            (i32.const 0x10000) (i32.sub (global.get $end) (i32.const 0x10001))))\n"
    )
}

#[test]
fn a_function_sees_status_and_headers_of_the_response() {
    let origin = Origin::start(|_| {
        Answer::new(418, "teapot")
            .header("Transfer-Encoding", "chunked")
            .header("X-One", "1")
            .header("X-One", "2")
            .header("Connection", "x-hop")
            .header("X-Hop", "1")
    });
    let guest = report(
        "(call $note (call $response_get_status))
         (call $text (call $response_get_header {x-ONE}))
         (call $tried (call $response_get_header {x-absent}))
         (call $tried (call $response_get_header {x-hop}))
         (call $tried (call $response_get_header {not a name}))
         (call $tried (call $response_get_header (i32.const -1) (i32.const 9)))
         (call $text (call $response_get_header_names))",
    );
    let response = one(&origin, "", &guest).get("/");
    let text = response.text();
    let (said, names) = text.trim().rsplit_once('\n').unwrap();
    assert_eq!(said, "418\n1\n-1/1\n-1/1\n-1/2\n-1/2");
    let names: Vec<String> = serde_json::from_str(names).unwrap();
    assert_eq!(names.iter().filter(|name| *name == "x-one").count(), 1);
    for hop in ["connection", "transfer-encoding"] {
        assert!(!names.iter().any(|name| name == hop), "{hop}");
    }
    assert_eq!(response.status, 418);
}

#[test]
fn a_function_sees_the_request_as_it_was_forwarded() {
    let origin = Origin::saying("page");
    let request = "(drop (call $request_set_uri {/edited})) (drop (call $request_set_body {new}))
        (drop (call $request_set_header {x-a} {edited})) (i32.const 0)";
    let response = "(call $text (call $request_get_method))
        (call $text (call $request_get_uri))
        (call $text (call $request_get_header {x-a}))
        (call $text (call $request_get_body))
        (call $text (call $request_get_client_address))
        (call $answer) (i32.const 0)";
    let node = one(&origin, "body = \"request\"", &phases(request, response));
    let request = Request::new("POST", "/asked").header("X-A", "client");
    let response = node.send(&request.body(b"old"));
    assert_eq!(response.text(), "POST\n/edited\nedited\nnew\n127.0.0.1\n");
}

#[test]
fn functions_run_in_reverse_and_each_sees_the_edits_before_it() {
    let origin = Origin::start(|_| Answer::ok("page").header("X-Trail", "origin"));
    let request = |name| format!("{}{FORWARD}", set("x-request-phase", name));
    let response = |name| {
        let steps = [
            tell("x-trail"),
            tell("x-request-phase"),
            set("x-trail", name),
        ];
        steps.concat() + FORWARD
    };
    let function = |request, response| Function {
        keys: "",
        request,
        response,
    };
    let node = chain(
        &origin,
        &function(&request("a"), &response("a")),
        &function(&request("b"), &response("b")),
    );
    let answer = node.get("/");
    assert_eq!(answer.all("x-seen"), ["origin", "b", "b", "b"]);
    assert_eq!(answer.all("x-trail"), ["a"]);
    let line = node.access("/");
    let ran = line["functions"].as_array().unwrap().iter();
    let ran: Vec<_> = ran
        .map(|record| {
            let word = |key: &str| record[key].as_str().unwrap().to_owned();
            [word("name"), word("phase"), word("outcome")].join(" ")
        })
        .collect();
    assert_eq!(
        ran,
        [
            "a request forward",
            "b request forward",
            "b response pass",
            "a response pass"
        ]
    );
}

#[test]
fn a_status_and_a_body_of_an_earlier_function_are_seen_by_the_next() {
    let origin = Origin::start(|_| {
        Answer::ok("zipped")
            .header("Content-Encoding", "gzip")
            .header("ETag", "\"1\"")
    });
    let b = "(drop (call $response_set_status (i32.const 203)))
        (drop (call $response_set_body {from b})) (i32.const 0)";
    let a = "(call $note (call $response_get_status))
        (call $text (call $response_get_body))
        (call $tried (call $response_get_header {content-encoding}))
        (call $answer) (i32.const 0)";
    let first = Function {
        keys: "body = \"response\"",
        ..on_response(a)
    };
    let response = chain(&origin, &first, &on_response(b)).get("/");
    assert_eq!(response.text(), "203\nfrom b\n-1/1\n");
    assert_eq!(response.status, 203);
    assert_eq!(
        (response.header("content-encoding"), response.header("etag")),
        (None, None)
    );
}

#[test]
fn what_is_of_the_request_is_the_wrong_phase() {
    let origin = Origin::saying("page");
    let guest = report(
        "(call $tried (call $request_terminate (i32.const 403)))
         (call $tried (call $request_terminate (i32.const 9999)))
         (call $tried (call $request_set_uri {/a}))
         (call $tried (call $request_set_uri (i32.const -1) (i32.const 1)))
         (call $tried (call $request_set_body {a}))
         (call $tried (call $request_set_header {x-a} {a}))
         (call $tried (call $request_set_header {host} {a}))
         (call $tried (call $request_remove_header (i32.const -1) (i32.const 1)))
         (call $tried (call $request_add_header {x-a} {a}))
         (call $tried (call $request_remove_header {x-a}))
         (call $text (call $request_get_uri))",
    );
    let response = one(&origin, "", &guest).get("/asked");
    assert_eq!(response.text(), format!("{}/asked\n", "-1/8\n".repeat(10)));
    assert_eq!(response.status, 200);
}

#[test]
fn what_the_last_call_yielded_is_no_answer_here() {
    let origin = Origin::saying("page");
    let response = "(drop (call $cache_set {k} {yielded} (i32.const 0)))
        (drop (call $cache_get {k})) (i32.const 0)";
    let node = one(&origin, "", &phases(FORWARD, response));
    assert_eq!(node.get("/").text(), "page");
}

#[test]
fn it_has_a_sandbox_and_limits_of_its_own() {
    let origin = Origin::saying("page");
    let mark = "(i32.store (i32.const 0x100000) (i32.const 7)) (drop (call $cache_get {absent}))
        (drop (call $response_set_header {x-request} {1})) (i32.const 0)";
    let look = "(call $note (i32.load (i32.const 0x100000)))
        (call $tried (call $cache_get {absent}))
        (call $tried (call $cache_get {absent}))
        (drop (call $response_set_body (i32.const 0x10000)
            (i32.sub (global.get $end) (i32.const 0x10000))))
        (drop (call $response_set_header {x-response} {1})) (i32.const 0)";
    let keys = "limits = { cache_calls = 1, response_headers = 1 }";
    let response = one(&origin, keys, &phases(mark, look)).get("/");
    assert_eq!(response.text(), "0\n-1/1\n-1/7\n");
    assert_eq!(response.all("x-request"), ["1"]);
    assert_eq!(response.all("x-response"), ["1"]);
}

#[test]
fn an_instance_that_is_reused_serves_both_phases() {
    let origin = Origin::saying("page");
    let count =
        "(i32.store (i32.const 0x100000) (i32.add (i32.const 1) (i32.load (i32.const 0x100000))))
        (global.set $end (i32.const 0x10000)) (call $note (i32.load (i32.const 0x100000)))";
    let request = format!("{count} {FORWARD}");
    let response = format!("{count} (call $answer) {FORWARD}");
    let node = one(
        &origin,
        "instance = \"reuse\"",
        &phases(&request, &response),
    );
    let answers: Vec<_> = (0..3).map(|_| node.get("/").text()).collect();
    assert_eq!(answers, ["2\n", "4\n", "6\n"]);
}

#[test]
fn a_function_without_the_entry_is_passed_over() {
    let origin = Origin::saying("page");
    let toml = r#"
        [functions.a]
        module = "f.wasm"
        response_entry = "handle_response"
        [functions.b]
        module = "f.wasm"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        functions = ["b", "a", "b"]
        upstream = "origin""#;
    let guest = phases(FORWARD, &format!("{}{FORWARD}", set("x-a", "1")));
    let node = node(toml)
        .set("origin", &origin.address)
        .wasm("f", guest)
        .start();
    let response = node.get("/");
    assert_eq!(
        (response.text().as_str(), response.header("x-a")),
        ("page", Some("1"))
    );
    assert_eq!(node.access("/")["functions"].as_array().unwrap().len(), 4);
}

#[test]
fn nothing_of_it_runs_for_the_nodes_own_answers() {
    let origin = Origin::start(|_| Answer::raw(""));
    let guest = phases(
        "(if (i32.ne (call $request_get_header {x-answer}) (i32.const -1))
           (then (drop (call $request_terminate (i32.const 403))))) (i32.const 0)",
        &format!("{}{FORWARD}", set("x-a", "1")),
    );
    let node = one(&origin, "", &guest);
    let failed = node.send(&Request::new("POST", "/failed").body(b""));
    assert_eq!(failed.error(), (502, "upstream-reset"));
    let answered = node.send(&Request::get("/answered").header("x-answer", "1"));
    assert_eq!(answered.status, 403);
    for (response, path) in [(failed, "/failed"), (answered, "/answered")] {
        assert_eq!(response.header("x-a"), None);
        assert_eq!(node.access(path)["functions"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn an_interim_answer_is_not_the_response() {
    let origin = Origin::start(|_| {
        Answer::raw(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
        )
    });
    let guest = report("(call $note (call $response_get_status))");
    let node = one(&origin, "", &guest);
    assert_eq!(node.get("/").text(), "200\n");
}

#[test]
fn a_response_entry_must_be_exported_and_a_response_body_needs_one() {
    for (keys, words) in [
        (
            "response_entry = \"handle_it\"",
            ["functions.f.response_entry", "`handle_it`"],
        ),
        (
            "response_entry = \"\"",
            ["functions.f.response_entry", "empty"],
        ),
        (
            "body = \"response\"",
            ["functions.f.body", "response_entry"],
        ),
        ("body = \"both\"", ["functions.f.body", "response_entry"]),
    ] {
        let toml =
            format!("[functions.f]\nmodule = \"f.wasm\"\n{keys}\n[[routes]]\nfunctions = [\"f\"]");
        let setup = node(&toml).wasm("f", phases(FORWARD, FORWARD));
        let (code, printed) = setup.check(&[]);
        assert_eq!(code, Some(1), "{keys}");
        assert!(words.iter().all(|word| printed.contains(word)), "{printed}");
    }
    // A route without upstream never comes to it, which harms nobody.
    let keys = "response_entry = \"handle_response\"\nbody = \"both\"";
    let toml =
        format!("[functions.f]\nmodule = \"f.wasm\"\n{keys}\n[[routes]]\nfunctions = [\"f\"]");
    let setup = node(&toml).wasm("f", phases(FORWARD, FORWARD));
    let (code, printed) = setup.check(&[]);
    assert_eq!(code, Some(0), "{printed}");
}
