//! What follows a failed invocation: by cause, with a fallback, and with a breaker that opens.

use std::time::{Duration, Instant};

use crate::harness::{Node, Origin, Request, answers, module, node};

/// Traps when the request has `x-trap`, fails when it has `x-fail`, else goes on.
fn fragile() -> String {
    module(
        "(if (i32.ne (call $request_get_header {x-trap}) (i32.const -1)) (then unreachable))
         (if (i32.ne (call $request_get_header {x-fail}) (i32.const -1))
           (then (return (i32.const -3))))
         (drop (call $response_set_header {x-fragile} {ran})) (i32.const 0)",
    )
}

/// A node with `f`, configured with `keys`, in front of `origin`, and further functions of `more`.
fn in_front_of(origin: &Origin, keys: &str, more: &str) -> Node {
    let toml = format!(
        r#"
        [functions.f]
        module = "f.wasm"
        {keys}
        {more}
        [upstreams.origin]
        backends = ["{}"]
        [[routes]]
        functions = ["f"]
        upstream = "origin"
        [[routes]]
        path = "/control"
        respond = {{ status = 200, body = "fine" }}"#,
        origin.address
    );
    let sorry = "(drop (call $response_set_body {sorry})) (drop (call $request_terminate (i32.const 202))) (i32.const 0)";
    node(&toml)
        .wasm("f", fragile())
        .wasm("sorry", module(sorry))
        .wasm("broken", module("unreachable"))
        .wasm("pass", module("(i32.const 0)"))
        .start()
}

fn trapping() -> Request {
    Request::get("/").header("x-trap", "1")
}

fn failing() -> Request {
    Request::get("/").header("x-fail", "1")
}

#[test]
fn each_cause_has_its_own_consequence() {
    let origin = Origin::saying("page");
    let node = in_front_of(&origin, r#"on_failure = { trap = "bypass" }"#, "");
    let bypassed = node.send(&trapping());
    assert_eq!((bypassed.status, bypassed.text().as_str()), (200, "page"));
    assert_eq!(bypassed.header("x-fragile"), None);
    assert_eq!(node.send(&failing()).error(), (500, "function-error"));
    assert_eq!(node.get("/").header("x-fragile"), Some("ran"));
}

#[test]
fn a_fallback_answers_in_place_of_a_function_that_failed() {
    let origin = Origin::saying("page");
    let sorry = "[functions.sorry]\nmodule = \"sorry.wasm\"";
    let node = in_front_of(&origin, "fallback = \"sorry\"", sorry);
    let answered = node.send(&trapping());
    assert_eq!((answered.status, answered.text().as_str()), (202, "sorry"));
    assert_eq!(answered.header("x-aegis-error"), None);
    assert_eq!(node.get("/").text(), "page");
    let line = node.access("/");
    let ran = line["functions"].as_array().unwrap();
    let outcomes: Vec<_> = ran.iter().map(|f| (&f["name"], &f["outcome"])).collect();
    assert_eq!(
        outcomes,
        [
            (&"f".into(), &"fail".into()),
            (&"sorry".into(), &"respond".into())
        ]
    );
    assert_eq!(ran[0]["code"], "function-trap");
    assert!(line["code"].is_null());
}

#[test]
fn a_fallback_may_let_the_request_go_on_or_fail_itself() {
    let origin = Origin::saying("page");
    let pass = "[functions.pass]\nmodule = \"pass.wasm\"";
    let node = in_front_of(&origin, "fallback = \"pass\"", pass);
    assert_eq!(node.send(&trapping()).text(), "page");
    let broken = "[functions.broken]\nmodule = \"broken.wasm\"";
    let node = in_front_of(&origin, "fallback = \"broken\"", broken);
    assert_eq!(node.send(&failing()).error(), (500, "function-trap"));
}

#[test]
fn a_bypassed_cause_needs_no_fallback() {
    let origin = Origin::saying("page");
    let keys = "fallback = \"sorry\"\non_failure = { trap = \"bypass\" }";
    let sorry = "[functions.sorry]\nmodule = \"sorry.wasm\"";
    let node = in_front_of(&origin, keys, sorry);
    assert_eq!(node.send(&trapping()).text(), "page");
    assert_eq!(node.send(&failing()).text(), "sorry");
}

const BREAKER: &str =
    r#"breaker = { failures = 0.5, window = "10s", minimum = 4, pause = "300ms" }"#;

/// Fails until the breaker is open.
fn open_breaker(node: &Node) {
    for _ in 0..4 {
        assert_eq!(node.send(&trapping()).error(), (500, "function-trap"));
    }
}

#[test]
fn a_function_that_keeps_failing_is_not_run_for_a_while() {
    let origin = Origin::saying("page");
    let node = in_front_of(&origin, &BREAKER.replace("300ms", "1h"), "");
    open_breaker(&node);
    for _ in 0..3 {
        let refused = node.get("/");
        assert_eq!(refused.error(), (503, "function-unavailable"));
        assert!(refused.header("retry-after").is_some());
    }
    assert!(origin.requests().is_empty());
    assert_eq!(node.get("/control").text(), "fine");
    let line = node.access("/");
    assert_eq!(line["functions"][0]["code"], "function-trap");
    node.stderr
        .wait_for(|line| line.contains("its breaker is open"));
}

#[test]
fn a_breaker_closes_once_a_probe_succeeds() {
    let node = in_front_of(&Origin::saying("page"), BREAKER, "");
    open_breaker(&node);
    let opened = Instant::now();
    assert_eq!(node.get("/").error(), (503, "function-unavailable"));
    let patience = opened + Duration::from_secs(10);
    while node.get("/").status != 200 {
        assert!(Instant::now() < patience, "the breaker never closed");
    }
    assert!(opened.elapsed() >= Duration::from_millis(250));
    for _ in 0..3 {
        assert_eq!(node.get("/").text(), "page");
    }
    node.stderr
        .wait_for(|line| line.contains("its breaker is closed"));
}

#[test]
fn a_probe_that_fails_opens_the_breaker_again() {
    let node = in_front_of(&Origin::saying("page"), BREAKER, "");
    open_breaker(&node);
    let patience = Instant::now() + Duration::from_secs(10);
    while node.send(&trapping()).error() != (500, "function-trap") {
        assert!(Instant::now() < patience, "no probe was let through");
    }
    assert_eq!(node.get("/").error(), (503, "function-unavailable"));
}

#[test]
fn successes_keep_a_breaker_closed() {
    let node = in_front_of(&Origin::saying("page"), BREAKER, "");
    for _ in 0..20 {
        for _ in 0..2 {
            assert_eq!(node.get("/").status, 200);
        }
        assert_eq!(node.send(&trapping()).error(), (500, "function-trap"));
    }
}

#[test]
fn an_open_breaker_is_bypassed_or_answered_for_like_any_failure() {
    let origin = Origin::saying("page");
    let pause = BREAKER.replace("300ms", "1h");
    let keys = format!("{pause}\non_failure = {{ unavailable = \"bypass\" }}");
    let node = in_front_of(&origin, &keys, "");
    open_breaker(&node);
    let bypassed = node.get("/");
    assert_eq!((bypassed.status, bypassed.header("x-fragile")), (200, None));

    let sorry = "[functions.sorry]\nmodule = \"sorry.wasm\"";
    let node = in_front_of(&origin, &format!("{pause}\nfallback = \"sorry\""), sorry);
    for _ in 0..6 {
        assert_eq!(node.send(&trapping()).text(), "sorry");
    }
    assert_eq!(node.get("/").text(), "sorry");
}

#[test]
fn an_open_breaker_stays_open_over_a_reload_that_does_not_change_it() {
    let node = in_front_of(&Origin::saying("page"), &BREAKER.replace("300ms", "1h"), "");
    open_breaker(&node);
    node.reload_files().unwrap();
    assert_eq!(node.get("/").error(), (503, "function-unavailable"));
}

#[test]
fn a_failure_is_told_of_in_detail_once_per_cause_and_minute() {
    let node = answers("", &fragile()).start();
    for _ in 0..50 {
        assert_eq!(node.send(&trapping()).error(), (500, "function-trap"));
    }
    assert_eq!(node.send(&failing()).error(), (500, "function-error"));
    node.stderr.wait_for(|line| line.contains("function-error"));
    let told: Vec<_> = node
        .stderr
        .all()
        .into_iter()
        .filter(|line| line.contains("a function failed"))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    let id = node.access("/")["request_id"].as_str().unwrap().to_owned();
    assert!(told[0].contains(&id), "{}", told[0]);
}

#[test]
fn a_trap_is_told_with_names_of_the_modules_name_section() {
    let guest = r#"(module (memory (export "memory") 1)
        (func $innermost_culprit unreachable)
        (func $in_between (call $innermost_culprit))
        (func (export "handle_request") (result i32) (call $in_between) (i32.const 0)))"#;
    let node = answers("", guest).start();
    assert_eq!(node.get("/").error(), (500, "function-trap"));
    let line = node
        .stderr
        .wait_for(|line| line.contains("a function failed"));
    assert!(
        line.contains("innermost_culprit") && line.contains("in_between"),
        "{line}"
    );
    assert!(!node.get("/").text().contains("culprit"));
}
