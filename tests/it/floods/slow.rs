//! `slowhttptest` with a thousand connections, in each of its ways to be slow, beside requests that want to be quick.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{SMALL, descriptors, until};
use crate::harness::{Connection, Node, Request, node};

const ATTACKERS: usize = 1000;
/// Of them, so many must be there while the others are timed.
const PRESENT: usize = 900;
const QUICK: Duration = Duration::from_millis(100);
/// How often it may be tried: this machine may have other work at times, the attack goes on.
const ATTEMPTS: usize = 3;

/// The attack, ended with the test.
struct Attack(Child);

impl Attack {
    fn start(node: &Node, mode: &[&str]) -> Self {
        let url = format!("http://{}/attacked", node.address);
        let child = Command::new("slowhttptest")
            .args([
                "-c", "1000", "-r", "1000", "-l", "60", "-p", "60", "-u", &url,
            ])
            .args(mode)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("slowhttptest is needed on the path"))
    }

    /// It gives up at times when its first connections take long.
    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_thousand_slow_clients_slow_nobody_else_down() {
    // More than the sockets take in advance.
    let page = "x".repeat(900_000);
    let toml = format!(
        "[server.limits]
        connections_per_client = 2000
        {SMALL}
        [functions.f]
        module = \"f.wasm\"
        body = \"request\"
        [[routes]]
        path = \"/attacked\"
        methods = [\"POST\"]
        functions = [\"f\"]
        [[routes]]
        path = \"/attacked\"
        respond = {{ status = 200, body = \"{page}\" }}"
    );
    let guest = crate::harness::module("(i32.const 0)");
    let node = node(&toml).wasm("f", guest).start();
    assert_eq!(node.get("/control").status, 200);
    let before = descriptors(&node);
    let present = || descriptors(&node).saturating_sub(before);
    for (mode, arguments) in [
        ("header", &["-H", "-i", "1"][..]),
        ("body", &["-B", "-i", "10", "-s", "100000"]),
        (
            "read",
            &["-X", "-w", "10", "-y", "20", "-n", "10", "-z", "5"],
        ),
    ] {
        let attack = RefCell::new(Attack::start(&node, arguments));
        until(&format!("the attack is on: {mode}"), || {
            if attack.borrow_mut().has_ended() {
                attack.replace(Attack::start(&node, arguments));
            }
            present() > PRESENT
        });
        let slowest = (0..ATTEMPTS).map(|_| {
            let percentile = slow_percentile(&node);
            assert!(
                present() > PRESENT,
                "{mode}: only {} attackers are left",
                present()
            );
            percentile
        });
        let mut tried = Vec::new();
        let is_quick = slowest
            .inspect(|time| tried.push(*time))
            .any(|time| time < QUICK);
        assert!(is_quick, "{mode}: the slowest of a hundred took {tried:?}");
        drop(attack);
        until("the attackers are gone", || present() < ATTACKERS / 10);
    }
}

/// The 99th percentile of two hundred requests from another address, each on a connection of its own.
fn slow_percentile(node: &Node) -> Duration {
    let other = Ipv4Addr::new(127, 0, 0, 2);
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let start = Instant::now();
            let mut connection = Connection::open_from(other, node.address);
            let response = connection.exchange(&Request::get("/control"));
            assert_eq!(response.expect("an answer").status, 200);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[197]
}
