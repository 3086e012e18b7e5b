//! Bounds on what runs at once: full is 503, a short queue is waited for, thousands may wait in host calls.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::harness::{Answer, EGRESS, Gate, Https, Node, Origin, Request, answers, module};

/// A guest that answers with what one HTTPS call gave.
fn fetching(https: &Https, keys: &str, edge: &str) -> Node {
    let failed = "(select (i32.const -1) (i32.const 0) (i32.eq (local.get $n) (i32.const -1)))";
    let guest = module(&format!(
        "(local.set $n (call $http_get {{{}}})) {failed}",
        https.url("/")
    ));
    https
        .reachable_from(answers(&format!("{keys}\n{EGRESS}\n{edge}"), &guest))
        .start()
}

/// An origin that answers once the gate is open.
fn held(gate: &Gate) -> Https {
    let gate = gate.clone();
    Https::start(move |_| Answer::ok("fetched").held(&gate))
}

#[test]
fn a_function_past_its_share_is_503_and_other_routes_go_on() {
    for (keys, edge) in [
        ("limits = { max_in_flight = 1 }", ""),
        ("on_failure = \"fail\"", "[edge]\nmax_in_flight = 1"),
    ] {
        let gate = Gate::default();
        let https = held(&gate);
        let node = fetching(&https, keys, edge);
        let mut first = node.connect();
        first.send(&Request::get("/").bytes());
        https.origin.wait_for(1);
        let start = Instant::now();
        let refused = node.get("/");
        assert_eq!(refused.error(), (503, "overloaded"));
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
        assert!(
            refused
                .header("retry-after")
                .unwrap()
                .parse::<u32>()
                .unwrap()
                > 0
        );
        assert_eq!(node.get("/control").text(), "fine");
        gate.open();
        assert_eq!(first.read("GET").unwrap().text(), "fetched");
        assert_eq!(node.get("/").text(), "fetched");
    }
}

#[test]
fn a_request_that_need_not_wait_longer_than_the_queue_timeout_is_served() {
    let gate = Gate::default();
    let https = held(&gate);
    let node = fetching(
        &https,
        "limits = { max_in_flight = 1 }",
        "[edge]\nqueue_timeout = \"15s\"",
    );
    let mut connections = [node.connect(), node.connect()];
    for connection in &mut connections {
        connection.send(&Request::get("/").bytes());
    }
    https.origin.wait_for(1);
    gate.open();
    for connection in &mut connections {
        assert_eq!(connection.read("GET").unwrap().text(), "fetched");
    }
    assert_eq!(https.origin.requests().len(), 2);
}

#[test]
fn all_guests_together_hold_no_more_than_the_edges_memory() {
    let gate = Gate::default();
    let https = held(&gate);
    let hold = "(memory.fill (i32.const 0x10000) (i32.const 1) (i32.const 41000000))";
    let guest = module(&format!(
        "{hold} (drop (call $http_get {{{}}})) (i32.const 0)",
        https.url("/")
    ));
    let guest = guest.replace(
        "(memory (export \"memory\") 40)",
        "(memory (export \"memory\") 640)",
    );
    let node = https
        .reachable_from(answers(
            &format!("{EGRESS}\n[edge]\nmemory = \"64MiB\""),
            &guest,
        ))
        .start();
    let mut holding = node.connect();
    holding.send(&Request::get("/").bytes());
    https.origin.wait_for(1);
    assert_eq!(node.get("/").error(), (503, "overloaded"));
    assert_eq!(node.get("/control").text(), "fine");
    gate.open();
    assert_eq!(holding.read("GET").unwrap().status, 200);
    assert_eq!(node.get("/").status, 200);
}

#[test]
fn a_guard_that_is_refused_memory_by_the_others_is_not_bypassed() {
    let gate = Gate::default();
    let https = held(&gate);
    let hold = "(memory.fill (i32.const 0x10000) (i32.const 1) (i32.const 41000000))";
    let holder = module(&format!(
        "{hold} (drop (call $http_get {{{}}})) (i32.const 0)",
        https.url("/")
    ));
    let holder = holder.replace(
        "(memory (export \"memory\") 40)",
        "(memory (export \"memory\") 640)",
    );
    let guard = "(if (i32.eq (memory.grow (i32.const 600)) (i32.const -1)) (then unreachable))
        (drop (call $request_terminate (i32.const 403))) (i32.const 0)";
    let origin = Origin::saying("secret");
    let keys = format!(
        r#"{EGRESS}
        [edge]
        memory = "64MiB"
        [functions.guard]
        module = "guard.wasm"
        on_failure = "bypass"
        [upstreams.origin]
        backends = ["{}"]
        [[routes]]
        path = "/guarded"
        functions = ["guard"]
        upstream = "origin""#,
        origin.address
    );
    let setup = answers(&keys, &holder).wasm("guard", module(guard));
    let node = https.reachable_from(setup).start();
    assert_eq!(node.get("/guarded").status, 403);
    let mut holding = node.connect();
    holding.send(&Request::get("/").bytes());
    https.origin.wait_for(1);
    assert_eq!(node.get("/guarded").error(), (503, "overloaded"));
    gate.open();
    assert_eq!(holding.read("GET").unwrap().status, 200);
    assert_eq!(node.get("/guarded").status, 403);
    assert!(origin.requests().is_empty());
}

#[test]
fn two_thousand_invocations_wait_at_once_on_a_handful_of_threads() {
    const WAITING: usize = 2000;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
        .unwrap_or_else(|_| panic!("{soft} descriptors are too few"));
    let gate = Gate::default();
    let slow = gate.clone();
    let https =
        Https::start(move |_| Answer::ok("fetched").held_for(&slow, Duration::from_secs(4)));
    let limits = "[server.limits]\nconnections_per_client = 4000\n[edge]\nthreads = 2\nmemory = \"128MiB\"\nmax_in_flight = 4096";
    let node = fetching(&https, "", limits);
    assert_eq!(node.get("/control").text(), "fine");
    let quiet = threads(&node);
    let mut connections: Vec<_> = (0..WAITING).map(|_| node.connect()).collect();
    let mut arrived = 0;
    for batch in connections.chunks_mut(100) {
        for connection in &mut *batch {
            connection.send(&Request::get("/").bytes());
        }
        arrived += batch.len();
        https.origin.wait_for(arrived);
    }
    assert_eq!(node.get("/control").text(), "fine");
    assert!(
        threads(&node) <= quiet + 8,
        "{quiet} threads became {}",
        threads(&node)
    );
    gate.open();
    for connection in &mut connections {
        let response = connection.read("GET").unwrap();
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "fetched")
        );
    }
}

fn threads(node: &Node) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", node.process()))
        .unwrap()
        .count()
}
