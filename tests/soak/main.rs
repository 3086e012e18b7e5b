//! The running node under a mix of good and hostile guests for a long time: what it holds at the end
//! is what it held after the first thousand invocations, and nothing disturbed the control route.
//!
//! `AEGIS_SOAK_INVOCATIONS` says how many there are; `AEGIS_BIN` names another binary to run.
#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

use std::io::{Write, stderr};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

mod client;
mod guests;
mod vitals;

/// The harness of the integration tests; what this binary does not use of it is used there.
#[path = "../it"]
mod it {
    #[allow(
        dead_code,
        unused_imports,
        reason = "shared with the integration tests"
    )]
    pub(crate) mod harness;
}

use client::Client;
use it::harness::Node;
use vitals::Vitals;

/// Invocations of a run that says nothing else.
const SHORT: u64 = 10_000;

/// After so many everything that is kept has been made: pools, caches, buffers.
const WARM: u64 = 1_000;

/// Clients at once.
const CLIENTS: usize = 6;

/// Between two control requests; the pace does not matter, only that there are many.
const PACE: Duration = Duration::from_millis(5);

#[test]
fn nothing_is_left_of_many_good_and_hostile_invocations() {
    let invocations = invocations();
    let origin = guests::origin();
    let node = guests::setup(&origin).start();
    say(&format!(
        "soak: {invocations} invocations, {WARM} of them first"
    ));
    run(&node, 0..WARM);
    let before = Vitals::settled(&node);
    say(&format!("soak: after {WARM}: {before}"));
    let started = Instant::now();
    let controls = run(&node, WARM..invocations);
    say(&format!(
        "soak: the rest took {:.1?}, with {controls} control requests",
        started.elapsed()
    ));
    let after = Vitals::back_at(&node, &before);
    say(&format!("soak: after {invocations}: {after}"));
    assert!(controls > 0, "no control request was made");
}

/// Makes these invocations, and control requests all the while; how many of those.
fn run(node: &Node, invocations: Range<u64>) -> u64 {
    let (next, over) = (AtomicU64::new(invocations.start), AtomicBool::new(false));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| serve(node, &next, invocations.end)))
            .collect();
        let control = scope.spawn(|| control(node, &over));
        // Whoever fails, the control requests end, or the scope would not.
        let failed = clients
            .into_iter()
            .filter_map(|client| client.join().err())
            .last();
        over.store(true, Ordering::Relaxed);
        let controls = control.join();
        if let Some(failure) = failed {
            std::panic::resume_unwind(failure);
        }
        controls.unwrap()
    })
}

fn serve(node: &Node, next: &AtomicU64, end: u64) {
    let mut client = Client::new(node);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return;
        }
        let guest = guests::choose(number, number < WARM);
        client.invoke(guest, number);
        if number.is_multiple_of(WARM) {
            // Nobody reads them here, and there are many.
            node.stdout.forget();
            node.stderr.forget();
        }
    }
}

fn control(node: &Node, over: &AtomicBool) -> u64 {
    let (mut client, mut count) = (Client::new(node), 0);
    while !over.load(Ordering::Relaxed) {
        client.control();
        count += 1;
        assert!(!node.stderr.closed_within(PACE), "the node ended");
    }
    count
}

fn invocations() -> u64 {
    let given = std::env::var("AEGIS_SOAK_INVOCATIONS").ok();
    let given = given.map(|value| value.parse().expect("AEGIS_SOAK_INVOCATIONS is no number"));
    given.unwrap_or(SHORT).max(2 * WARM)
}

/// A line that is seen even when the test passes.
fn say(line: &str) {
    writeln!(stderr(), "{line}").ok();
}
