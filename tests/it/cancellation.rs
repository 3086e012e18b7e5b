//! A client that leaves takes its invocation with it: the place, the host calls, the memory.

use std::net::Shutdown;

use nix::sys::socket::{setsockopt, sockopt};

use crate::harness::{Answer, EGRESS, Gate, Https, Node, Origin, Request, answers, module};

/// One place, held by whoever waits for the origin.
fn waiting(https: &Https) -> Node {
    let wait = format!(
        "(if (i32.ne (call $request_get_header {{x-wait}}) (i32.const -1))
           (then (drop (call $http_get {{{}}}))))
         (drop (call $response_set_body {{here}})) (i32.const 0)",
        https.url("/")
    );
    let keys = "body = \"request\"\nlimits = { max_in_flight = 1, wall_time = \"1h\" }";
    https
        .reachable_from(answers(
            &format!("{keys}\n{EGRESS}\n[edge]\nqueue_timeout = \"0s\""),
            &module(&wait),
        ))
        .start()
}

fn held() -> Https {
    let gate = Gate::default();
    Https::start(move |_| Answer::ok("late").held(&gate))
}

/// The place is free again, and the log tells why.
fn is_over(node: &Node) {
    node.connect_until_served("/");
    let line = node.stdout.wait_for(|line| line.contains("\"cancelled\""));
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["status"], 499);
    let function = &line["functions"][0];
    assert_eq!(function["outcome"], "cancelled");
    assert!(function["host_calls"].as_u64() > Some(0) && function["host_ms"].as_f64() > Some(0.0));
}

#[test]
fn a_client_that_closes_the_connection_frees_its_place() {
    let https = held();
    let node = waiting(&https);
    let mut leaving = node.connect();
    leaving.send(&Request::get("/").header("x-wait", "1").bytes());
    https.origin.wait_for(1);
    assert_eq!(node.get("/").error(), (503, "overloaded"));
    drop(leaving);
    is_over(&node);
}

#[test]
fn a_client_that_resets_the_connection_frees_its_place() {
    let https = held();
    let node = waiting(&https);
    let mut leaving = node.connect();
    leaving.send(&Request::get("/").header("x-wait", "1").bytes());
    https.origin.wait_for(1);
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(leaving.socket(), sockopt::Linger, &at_once).unwrap();
    drop(leaving);
    is_over(&node);
}

#[test]
fn a_client_that_closes_its_side_only_counts_as_gone() {
    let https = held();
    let node = waiting(&https);
    let mut leaving = node.connect();
    leaving.send(
        &Request::new("POST", "/")
            .header("x-wait", "1")
            .body(b"body")
            .bytes(),
    );
    https.origin.wait_for(1);
    leaving.socket().shutdown(Shutdown::Write).unwrap();
    is_over(&node);
}

#[test]
fn an_endless_loop_ends_with_its_client() {
    let spin =
        "(if (i32.ne (call $request_get_header {x-spin}) (i32.const -1)) (then (loop $l (br $l))))
        (i32.const 0)";
    let limits = "limits = { max_in_flight = 1, fuel = 1_000_000_000_000_000, execution_time = \"1h\", wall_time = \"1h\" }";
    let node = answers(limits, &module(spin)).start();
    let mut leaving = node.connect();
    leaving.send(&Request::get("/").header("x-spin", "1").bytes());
    while node.get("/").status != 503 {}
    drop(leaving);
    node.connect_until_served("/");
}

#[test]
fn a_further_request_on_the_connection_is_not_taken_for_leaving() {
    let gate = Gate::default();
    let closed = gate.clone();
    let https = Https::start(move |_| Answer::ok("late").held(&closed));
    let node = waiting(&https);
    let mut pipelining = node.connect();
    pipelining.send(&Request::get("/").header("x-wait", "1").bytes());
    https.origin.wait_for(1);
    pipelining.send(&Request::new("POST", "/second").body(b"more").bytes());
    gate.open();
    for _ in 0..2 {
        assert_eq!(pipelining.read("GET").unwrap().text(), "here");
    }
    assert_eq!(node.access("/second")["status"], 200);
}

#[test]
fn a_buffered_body_is_forwarded_after_the_watch() {
    let gate = Gate::default();
    let closed = gate.clone();
    let https = Https::start(move |_| Answer::ok("late").held(&closed));
    let origin = Origin::start(|request| Answer::ok(request.body.clone()));
    let guest = format!(
        "(drop (call $http_get {{{}}})) (i32.const 0)",
        https.url("/")
    );
    let keys = format!(
        "body = \"request\"\n{EGRESS}\n[upstreams.origin]\nbackends = [\"{}\"]
         [[routes]]\npath = \"/echo\"\nfunctions = [\"f\"]\nupstream = \"origin\"",
        origin.address
    );
    let node = https
        .reachable_from(answers(&keys, &module(&guest)))
        .start();
    let mut connection = node.connect();
    connection.send(&Request::new("POST", "/echo").chunked(&[7; 100_000]).bytes());
    https.origin.wait_for(1);
    connection.send(&Request::get("/control").bytes());
    gate.open();
    assert_eq!(connection.read("POST").unwrap().body, [7; 100_000]);
    assert_eq!(connection.read("GET").unwrap().text(), "fine");
}
