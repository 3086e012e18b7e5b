//! A9, A14: guests that wait for ever, and more of them than there are places.

use std::time::{Duration, Instant};

use crate::harness::{Answer, EGRESS, Gate, Https, Request, Setup, module};
use crate::siege::Siege;
use crate::worlds::attacked;

/// A guest that makes one HTTPS call and fails when that does.
fn calling(https: &Https, keys: &str) -> Setup {
    let guest = module(&format!(
        "(local.set $n (call $http_get {{{}}}))
         (select (i32.const -1) (i32.const 0) (i32.eq (local.get $n) (i32.const -1)))",
        https.url("/")
    ));
    // Sandboxes for a hundred guests and the control function: one that is not given back is missed soon.
    let edge = "[edge]\nmax_in_flight = 110";
    https.reachable_from(attacked(&format!("{keys}\n{EGRESS}\n{edge}"), &guest))
}

/// An origin that answers once the gate is open.
fn held(gate: &Gate) -> Https {
    let gate = gate.clone();
    Https::start(move |_| Answer::ok("fetched").held(&gate))
}

#[test]
fn a9_a_hundred_guests_that_wait_too_long_give_their_places_back() {
    let gate = Gate::default();
    let https = held(&gate);
    let keys = "limits = { wall_time = \"1s\", max_in_flight = 100 }";
    let siege = Siege::of(calling(&https, keys));
    for (answer, took) in siege.attack(100, |client| {
        let start = Instant::now();
        (client.get("/"), start.elapsed())
    }) {
        assert_eq!(answer.error(), (504, "function-deadline"));
        assert!(
            (Duration::from_secs(1)..Duration::from_secs(3)).contains(&took),
            "{took:?}"
        );
    }
    gate.open();
    for answer in siege.storm(100, |client| client.get("/")) {
        assert_eq!((answer.status, answer.text().as_str()), (200, "fetched"));
    }
}

#[test]
fn a14_one_more_than_there_are_places_is_refused_at_once() {
    let gate = Gate::default();
    let https = held(&gate);
    let siege = Siege::of(calling(&https, "limits = { max_in_flight = 4 }"));
    let mut holding: Vec<_> = (0..4).map(|_| siege.node.connect()).collect();
    for connection in &mut holding {
        connection.send(&Request::get("/").bytes());
    }
    https.origin.wait_for(4);
    for (answer, took) in siege.attack(16, |client| {
        let start = Instant::now();
        (client.get("/"), start.elapsed())
    }) {
        assert_eq!(answer.error(), (503, "overloaded"));
        let seconds = answer.header("retry-after").unwrap().parse::<u32>();
        assert!(seconds.is_ok_and(|seconds| seconds > 0));
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    assert_eq!(https.origin.requests().len(), 4);
    gate.open();
    for connection in &mut holding {
        assert_eq!(connection.read("GET").unwrap().text(), "fetched");
    }
}

/// Places that come free all the time, and never enough of them: an answer or 503, nothing else.
#[test]
fn a14_a_crowd_at_a_few_places_is_served_or_refused() {
    let never = Gate::default();
    let https =
        Https::start(move |_| Answer::ok("fetched").held_for(&never, Duration::from_millis(30)));
    let siege = Siege::of(calling(&https, "limits = { max_in_flight = 2 }"));
    let answers = siege.attack(24, |client| client.get("/"));
    let count = |status| {
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert!(count(200) > 0 && count(503) > 0);
    for answer in &answers {
        assert!(
            matches!(answer.error(), (200, "") | (503, "overloaded")),
            "{:?}",
            answer.error()
        );
    }
}
