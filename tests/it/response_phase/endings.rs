//! How the response phase may end: the client gets a whole answer or the usual error, and nothing of the upstream's.

use super::{FORWARD, Function, chain, on_response, one, set};
use crate::harness::{Answer, EGRESS, Gate, Https, Node, Origin, Request, module, node, phases};

fn page() -> Origin {
    Origin::start(|_| Answer::ok("page").header("X-Origin", "1"))
}

#[test]
fn a_failure_is_answered_with_the_usual_document_and_nothing_of_the_upstreams() {
    for (fault, keys, status, code) in [
        ("unreachable", "", 500, "function-trap"),
        ("(i32.const -1)", "", 500, "function-error"),
        ("(loop $l (br $l)) (i32.const 0)", "", 500, "function-fuel"),
        (
            "(loop $l (br $l)) (i32.const 0)",
            "limits = { fuel = 100_000_000_000, execution_time = \"20ms\" }",
            500,
            "function-time",
        ),
        (
            "(loop $l (br $l)) (i32.const 0)",
            "limits = { fuel = 100_000_000_000, execution_time = \"1h\", wall_time = \"50ms\" }",
            504,
            "function-deadline",
        ),
    ] {
        let response = format!(
            "{} (drop (call $response_set_body {{x}})) {fault}",
            set("x-a", "1")
        );
        let node = one(&page(), keys, &phases(FORWARD, &response));
        let answer = node.get("/");
        assert_eq!(answer.error(), (status, code));
        assert!(answer.complete && answer.text().contains(code));
        assert_eq!(
            (answer.header("x-origin"), answer.header("x-a")),
            (None, None)
        );
        let line = node.access("/");
        assert_eq!(line["code"], code);
        let record = &line["functions"][1];
        let said = (&record["phase"], &record["outcome"], &record["code"]);
        assert_eq!(said, (&"response".into(), &"fail".into(), &code.into()));
        let told = node
            .stderr
            .wait_for(|line| line.contains("a function failed"));
        assert!(told.contains("\"phase\":\"response\""), "{told}");
        assert!(
            !node
                .stderr
                .all()
                .iter()
                .any(|line| line.contains("a request failed"))
        );
    }
}

#[test]
fn a_failure_that_may_be_bypassed_passes_the_response_on() {
    let bypassed = Function {
        keys: "on_failure = \"bypass\"",
        request: &format!("{}{FORWARD}", set("x-request", "1")),
        response: &format!("{} unreachable", set("x-b", "1")),
    };
    let a = format!("{}{FORWARD}", set("x-a", "1"));
    let node = chain(&page(), &on_response(&a), &bypassed);
    let answer = node.get("/");
    assert_eq!((answer.status, answer.text().as_str()), (200, "page"));
    let headers = ["x-origin", "x-request", "x-a", "x-b"].map(|name| answer.header(name));
    assert_eq!(headers, [Some("1"), Some("1"), Some("1"), None]);
    let record = &node.access("/")["functions"][2];
    assert_eq!(
        (&record["name"], &record["outcome"]),
        (&"b".into(), &"bypass".into())
    );
}

#[test]
fn a_failure_ends_the_phase() {
    let a = format!("{}{FORWARD}", set("x-a", "1"));
    let node = chain(&page(), &on_response(&a), &on_response("unreachable"));
    assert_eq!(node.get("/").error(), (500, "function-trap"));
    assert_eq!(node.access("/")["functions"].as_array().unwrap().len(), 3);
}

fn with_fallback(keys: &str, fallback: &str) -> Node {
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        response_entry = "handle_response"
        fallback = "sorry"
        [functions.sorry]
        module = "sorry.wasm"
        KEYS
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        functions = ["f"]
        upstream = "origin""#;
    let origin = page();
    node(&toml.replace("KEYS", keys))
        .set("origin", &origin.address)
        .wasm("f", phases(FORWARD, "unreachable"))
        .wasm("sorry", fallback)
        .start()
}

#[test]
fn a_fallback_stands_in_where_it_has_the_entry_too() {
    let body = "(drop (call $response_set_body {sorry})) (i32.const 0)";
    let without = with_fallback("", &module(body));
    assert_eq!(without.get("/").error(), (500, "function-trap"));
    let with = with_fallback(
        "response_entry = \"handle_response\"",
        &phases(FORWARD, body),
    );
    assert_eq!(with.get("/").text(), "sorry");
}

/// Entry and response entry of one place; the response entry waits for `https` if asked to.
fn waiting(https: &Https, origin: &Origin, keys: &str) -> Node {
    let wait = format!(
        "(if (i32.ne (call $request_get_header {{x-wait}}) (i32.const -1))
           (then (drop (call $http_get {{{}}})))) (i32.const 0)",
        https.url("/")
    );
    let toml = format!(
        "[upstreams.origin]\nbackends = [\"{{origin}}\"]
         [[routes]]\nfunctions = [\"f\"]\nupstream = \"origin\"
         [edge]\nqueue_timeout = \"0s\"
         [functions.f]\nmodule = \"f.wasm\"\nresponse_entry = \"handle_response\"
         limits = {{ max_in_flight = 1, wall_time = \"1h\" }}
         {keys}\n{EGRESS}"
    );
    https
        .reachable_from(node(&toml).wasm("f", phases(FORWARD, &wait)))
        .set("origin", &origin.address)
        .start()
}

#[test]
fn a_phase_there_is_no_room_for_is_503_and_never_bypassed() {
    let (gate, held) = (Gate::default(), Gate::default());
    let (at_fetch, at_origin) = (gate.clone(), held.clone());
    let https = Https::start(move |_| Answer::ok("late").held(&at_fetch));
    let origin = Origin::start(move |request| match request.target.as_str() {
        "/held" => Answer::ok("page").held(&at_origin),
        _ => Answer::ok("page"),
    });
    let node = waiting(&https, &origin, "on_failure = \"bypass\"");
    let (mut second, mut first) = (node.connect(), node.connect());
    second.send(&Request::get("/held").bytes());
    origin.wait_for(1);
    first.send(&Request::get("/").header("x-wait", "1").bytes());
    https.origin.wait_for(1);
    held.open();
    let refused = second.read("GET").unwrap();
    assert_eq!(refused.error(), (503, "overloaded"));
    assert!(refused.header("retry-after").is_some());
    gate.open();
    assert_eq!(first.read("GET").unwrap().text(), "page");
}

#[test]
fn a_client_that_leaves_ends_the_phase() {
    let gate = Gate::default();
    let https = Https::start(move |_| Answer::ok("late").held(&gate));
    let origin = page();
    let node = waiting(&https, &origin, "");
    let mut leaving = node.connect();
    leaving.send(&Request::get("/left").header("x-wait", "1").bytes());
    https.origin.wait_for(1);
    assert_eq!(node.get("/").error(), (503, "overloaded"));
    drop(leaving);
    node.connect_until_served("/");
    let line = node.access("/left");
    assert_eq!(line["status"], 499);
    let record = &line["functions"][1];
    let said = (&record["phase"], &record["outcome"]);
    assert_eq!(said, (&"response".into(), &"cancelled".into()));
}

#[test]
fn requests_that_were_sent_ahead_wait_for_the_phase() {
    let gate = Gate::default();
    let held = gate.clone();
    let https = Https::start(move |_| Answer::ok("late").held(&held));
    let origin = page();
    let node = waiting(&https, &origin, "");
    let first = Request::new("POST", "/first").header("x-wait", "1");
    let ahead = [first.body(b"body").bytes(), Request::get("/second").bytes()].concat();
    let mut connection = node.connect();
    connection.send(&ahead[..ahead.len() - 1]);
    https.origin.wait_for(1);
    connection.send(&ahead[ahead.len() - 1..]);
    gate.open();
    for path in ["/first", "/second"] {
        assert_eq!(connection.read("GET").unwrap().text(), "page", "{path}");
        assert_eq!(node.access(path)["functions"][1]["outcome"], "pass");
    }
}

#[test]
fn the_breaker_counts_both_phases() {
    let origin = page();
    let keys = "breaker = { failures = 0.5, window = \"10s\", minimum = 4, pause = \"1h\" }";
    let node = one(&origin, keys, &phases(FORWARD, "unreachable"));
    // Two invocations each: half of them fail.
    for _ in 0..2 {
        assert_eq!(node.get("/").error(), (500, "function-trap"));
    }
    assert_eq!(node.get("/").error(), (503, "function-unavailable"));
    assert_eq!(origin.requests().len(), 2);
}

/// What was to come is not wanted, so that it does not come is no error.
#[test]
fn a_replaced_body_needs_nothing_of_the_upstreams() {
    for head in [
        "HTTP/1.1 503 No\r\ncontent-length: 100\r\n\r\n",
        "HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let origin = Origin::start(move |_| Answer::raw(head));
        let response = "(drop (call $response_set_body {sorry})) (i32.const 0)";
        let node = one(&origin, "", &phases(FORWARD, response));
        let answer = node.get("/");
        assert_eq!((answer.status, answer.text().as_str()), (503, "sorry"));
        assert!(answer.complete);
        assert_eq!(node.access("/")["code"], serde_json::Value::Null);
    }
}

#[test]
fn a_body_of_a_functions_own_is_no_part() {
    let part = "HTTP/1.1 206 Mine\r\ncontent-range: bytes 0-2/9\r\ncontent-length: 3\r\n\r\nabc";
    let origin = Origin::start(move |_| Answer::raw(part));
    let response = "(drop (call $response_set_body {whole})) (i32.const 0)";
    let node = one(&origin, "", &phases(FORWARD, response));
    let answer = node.get("/");
    assert_eq!((answer.status, answer.text().as_str()), (200, "whole"));
    assert_eq!(answer.header("content-range"), None);
}
