//! Guests that break a limit: the error each gives, and that the node goes on as before.

use std::time::{Duration, Instant};

use crate::harness::{
    Answer, EGRESS, Gate, Https, Node, Request, answers, fixture, module, report,
};

const ENDLESS_FUEL: &str = "limits = { fuel = 1_000_000_000_000 }";

/// A node whose guest fails with `code`, again and again, while another route answers.
fn fails(keys: &str, guest: &str, code: &str) -> Node {
    let node = answers(keys, guest).start();
    for _ in 0..3 {
        assert_eq!(node.get("/").error(), (500, code));
        assert_eq!(node.get("/control").text(), "fine");
    }
    node
}

/// The quickest of a few answers: what the limit costs when nothing else is in the way.
fn quickest(node: &Node) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        node.get("/");
        start.elapsed()
    };
    (0..5).map(timed).min().unwrap()
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    fails("", &fixture("endless_loop"), "function-fuel");
}

#[test]
fn an_endless_loop_with_endless_fuel_runs_out_of_time() {
    let node = fails(ENDLESS_FUEL, &fixture("endless_loop"), "function-time");
    let quickest = quickest(&node);
    assert!(
        (Duration::from_millis(45)..Duration::from_millis(150)).contains(&quickest),
        "{quickest:?}"
    );
}

#[test]
fn running_time_and_fuel_follow_the_configuration() {
    let node = fails(
        "limits = { fuel = 1_000_000_000_000, execution_time = \"5ms\" }",
        &fixture("endless_loop"),
        "function-time",
    );
    assert!(quickest(&node) < Duration::from_millis(45));
    let thousand_turns = module(
        "(local.set $i (i32.const 1000))
         (loop $again (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
         (i32.const 0)",
    );
    fails("limits = { fuel = 1000 }", &thousand_turns, "function-fuel");
    assert_eq!(
        answers("limits = { fuel = 100_000 }", &thousand_turns)
            .start()
            .get("/")
            .status,
        200
    );
}

#[test]
fn many_endless_loops_leave_room_for_other_routes() {
    let node = answers(ENDLESS_FUEL, &fixture("endless_loop")).start();
    let mut busy: Vec<_> = (0..16).map(|_| node.connect()).collect();
    for connection in &mut busy {
        connection.send(&Request::get("/").bytes());
    }
    let start = Instant::now();
    assert_eq!(node.get("/control").text(), "fine");
    assert!(
        start.elapsed() < Duration::from_millis(500),
        "{:?}",
        start.elapsed()
    );
    for connection in &mut busy {
        assert_eq!(
            connection.read("GET").unwrap().error(),
            (500, "function-time")
        );
    }
}

#[test]
fn bulk_operations_are_bounded_too() {
    let node = answers("", &fixture("bulk_fill")).start();
    assert_eq!(node.get("/").status, 500);
    assert!(quickest(&node) < Duration::from_millis(200));
    assert_eq!(node.get("/control").text(), "fine");
}

#[test]
fn memory_past_800_pages_is_refused_to_the_guest() {
    fails("", &fixture("memory_hog"), "function-memory");
    let body =
        "(call $note (memory.grow (i32.const 761))) (call $note (memory.grow (i32.const 760)))";
    assert_eq!(
        answers("", &report(body)).start().get("/").text(),
        "-1\n40\n"
    );
}

#[test]
fn a_table_past_its_limit_is_refused_to_the_guest() {
    fails("", &fixture("table_hog"), "function-memory");
}

#[test]
fn a_configured_memory_limit_holds() {
    let body = "(call $note (memory.grow (i32.const 9))) (call $note (memory.grow (i32.const 8)))";
    let node = answers("limits = { memory = \"3MiB\" }", &report(body)).start();
    assert_eq!(node.get("/").text(), "-1\n40\n");
    let (code, printed) = answers("limits = { memory = \"2MiB\" }", &report(body)).check(&[]);
    assert_eq!(code, Some(1), "{printed}");
}

#[test]
fn a_negative_result_is_an_error_and_a_positive_one_is_not() {
    for result in [-1, -5, i32::MIN] {
        fails(
            "",
            &module(&format!("(i32.const {result})")),
            "function-error",
        );
    }
    assert_eq!(
        answers("", &module("(i32.const 7)"))
            .start()
            .get("/")
            .status,
        200
    );
}

#[test]
fn traps_are_traps() {
    for body in [
        "unreachable",
        "(i32.div_s (i32.const 1) (i32.const 0))",
        "(i32.load (i32.const -4))",
    ] {
        fails("", &module(body), "function-trap");
    }
    fails("", &fixture("deep_recursion"), "function-trap");
}

#[test]
fn the_start_section_runs_under_the_limits() {
    fails("", &fixture("start_loop"), "function-fuel");
    fails(ENDLESS_FUEL, &fixture("start_loop"), "function-time");
}

#[test]
fn start_then_initialize_run_first_and_may_call_the_host() {
    let guest = r#"(module
        (import "env" "response_add_header" (func $add (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "x-order123")
        (func $step (param $digit i32)
          (drop (call $add (i32.const 0) (i32.const 7) (local.get $digit) (i32.const 1))))
        (func $start (call $step (i32.const 7)))
        (func (export "_initialize") (call $step (i32.const 8)))
        (func (export "_start") unreachable)
        (func (export "handle_request") (result i32) (call $step (i32.const 9)) (i32.const 0))
        (start $start))"#;
    assert_eq!(
        answers("", guest).start().get("/").all("x-order"),
        ["1", "2", "3"]
    );
}

#[test]
fn every_invocation_starts_from_a_fresh_sandbox() {
    let body = "(call $note (i32.load (i32.const 0x100000))) (call $note (memory.size))
        (i32.store (i32.const 0x100000) (i32.const 77)) (drop (memory.grow (i32.const 1)))";
    let node = answers("", &report(body)).start();
    for _ in 0..10 {
        assert_eq!(node.get("/").text(), "0\n40\n");
    }
}

/// A guest that makes one HTTPS call and answers 200.
fn calling(https: &Https, keys: &str) -> Node {
    let guest = module(&format!(
        "(drop (call $http_get {{{}}})) (i32.const 0)",
        https.url("/")
    ));
    https
        .reachable_from(answers(&format!("{keys}\n{EGRESS}"), &guest))
        .start()
}

#[test]
fn waiting_past_the_wall_time_is_504() {
    let gate = Gate::default();
    let closed = gate.clone();
    let https = Https::start(move |_| Answer::ok("late").held(&closed));
    let node = calling(&https, "limits = { wall_time = \"700ms\" }");
    assert_eq!(node.get("/").error(), (504, "function-deadline"));
    assert_eq!(https.origin.requests().len(), 1);
    gate.open();
    assert_eq!(node.get("/").status, 200);
}

#[test]
fn waiting_is_not_running() {
    let https =
        Https::start(|_| Answer::ok("slow").held_for(&Gate::default(), Duration::from_millis(200)));
    let node = calling(&https, "limits = { execution_time = \"20ms\" }");
    let start = Instant::now();
    assert_eq!(node.get("/").text(), "slow");
    assert!(start.elapsed() >= Duration::from_millis(200));
}
