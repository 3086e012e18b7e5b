//! What the node tells of an invocation, and what it tells the guest of time.

use std::time::Duration;

use crate::harness::guest::ORIGINAL;
use crate::harness::{Answer, EGRESS, Gate, Https, Origin, Request, answers, module, node, report};

#[test]
fn server_timing_names_every_function_where_the_route_asks_for_it() {
    let origin = Origin::start(|_| Answer::ok("page").header("Server-Timing", "db;dur=5"));
    let toml = format!(
        r#"
        [functions.first]
        module = "pass.wasm"
        [functions.second]
        module = "trap.wasm"
        on_failure = {{ error = "bypass" }}
        [upstreams.origin]
        backends = ["{}"]
        [[routes]]
        path = "/timed"
        functions = ["first", "second"]
        upstream = "origin"
        server_timing = true
        [[routes]]
        path = "/answered"
        functions = ["first"]
        server_timing = true
        [[routes]]
        path = "/silent"
        functions = ["first"]
        [[routes]]
        path = "/plain"
        upstream = "origin"
        server_timing = true"#,
        origin.address
    );
    let second = "(if (i32.ne (call $request_get_header {x-trap}) (i32.const -1)) (then unreachable)) (i32.const -1)";
    let node = node(&toml)
        .wasm("pass", module("(i32.const 0)"))
        .wasm("trap", module(second))
        .start();
    let timed = node.get("/timed");
    let values = timed.all("server-timing");
    assert_eq!((values.len(), values[0]), (2, "db;dur=5"));
    assert!(
        values[1].starts_with("first;dur=") && values[1].contains(", second;dur="),
        "{values:?}"
    );
    assert!(values[1].contains("\"forward; run ") && values[1].contains("\"function-error; run "));
    for figure in ["fuel ", "memory 2621440", "host 1 in 0 ms"] {
        assert!(values[1].contains(figure), "{figure}: {values:?}");
    }
    let failed = node.send(&Request::get("/timed").header("x-trap", "1"));
    assert_eq!(failed.error(), (500, "function-trap"));
    assert!(
        failed
            .header("server-timing")
            .unwrap()
            .contains("function-trap")
    );
    let answered = node.get("/answered");
    assert!(
        answered
            .header("server-timing")
            .unwrap()
            .starts_with("first;dur=")
    );
    assert_eq!(node.get("/silent").header("server-timing"), None);
    assert_eq!(node.get("/plain").all("server-timing"), ["db;dur=5"]);
}

#[test]
fn host_calls_are_counted_and_those_that_wait_are_timed() {
    let https =
        Https::start(|_| Answer::ok("slow").held_for(&Gate::default(), Duration::from_millis(150)));
    let guest = format!(
        "(drop (call $request_get_method)) (drop (call $http_get {{{}}})) (i32.const 0)",
        https.url("/")
    );
    let node = https
        .reachable_from(answers(EGRESS, &module(&guest)))
        .start();
    assert_eq!(node.get("/").status, 200);
    let function = &node.access("/")["functions"][0];
    assert_eq!(function["host_calls"], 2);
    let host = function["host_ms"].as_f64().unwrap();
    assert!(host >= 150.0, "{host}");
    assert!(function["run_ms"].as_f64().unwrap() < 100.0);
}

#[test]
fn a_wait_that_the_wall_time_ends_is_told_of() {
    let gate = Gate::default();
    let https = Https::start(move |_| Answer::ok("late").held(&gate));
    let guest = format!("(call $http_get {{{}}})", https.url("/"));
    let limits = "limits = { wall_time = \"300ms\" }";
    let node = https
        .reachable_from(answers(&format!("{limits}\n{EGRESS}"), &module(&guest)))
        .start();
    assert_eq!(node.get("/").error(), (504, "function-deadline"));
    let function = &node.access("/")["functions"][0];
    assert!(function["host_ms"].as_f64().unwrap() >= 250.0, "{function}");
}

/// Every import, called with zeros.
fn calls() -> Vec<(&'static str, String)> {
    let zeros = |count| "(i32.const 0) ".repeat(count);
    let original = ORIGINAL.iter().map(|(name, parameters, result)| {
        let call = format!("(call ${name} {})", zeros(*parameters));
        match result.is_empty() {
            true => (*name, call),
            false => (*name, format!("(drop {call})")),
        }
    });
    let added = [
        ("last_error", 0),
        ("last_error_code", 0),
        ("config_get", 2),
        ("time_now", 0),
        ("random_bytes", 2),
    ];
    let added =
        added.map(|(name, count)| (name, format!("(drop (call ${name} {}))", zeros(count))));
    original.chain(added).collect()
}

#[test]
fn every_host_call_costs_fuel() {
    for (name, call) in calls() {
        let guest = module(&format!("(loop $l {call} (br $l)) (i32.const 0)"));
        let limits = "limits = { fuel = 10_000, execution_time = \"10s\" }";
        let node = answers(limits, &guest).start();
        assert_eq!(node.get("/").error(), (500, "function-fuel"), "{name}");
        let function = &node.access("/")["functions"][0];
        let calls = function["host_calls"].as_u64().unwrap();
        assert!(
            (15..=20).contains(&calls),
            "{name}: {calls} calls for 10,000 fuel"
        );
    }
}

#[test]
fn the_guests_clock_stands_still_while_it_runs() {
    let https =
        Https::start(|_| Answer::ok("slow").held_for(&Gate::default(), Duration::from_millis(50)));
    let body = format!(
        "(local.set $t (call $time_now))
         (local.set $i (i32.const 20_000_000))
         (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
         (call $note64 (i64.sub (call $time_now) (local.get $t)))
         (drop (call $http_get {{{}}}))
         (call $note64 (i64.sub (call $time_now) (local.get $t)))",
        https.url("/")
    );
    let limits = "limits = { fuel = 1_000_000_000, execution_time = \"5s\" }";
    let node = https
        .reachable_from(answers(&format!("{limits}\n{EGRESS}"), &report(&body)))
        .start();
    let answer = node.get("/").text();
    let (still, moved) = answer.trim().split_once('\n').unwrap();
    assert_eq!(still, "0");
    assert!(moved.parse::<u64>().unwrap() >= 50, "{moved}");
}
