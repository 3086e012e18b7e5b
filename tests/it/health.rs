//! Health checks: what is asked, what follows, and how soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::lines::PATIENCE;
use crate::harness::node::message;
use crate::harness::{Answer, Gate, Http2Origin, Mortal, Node, Origin, node};

fn toml(origin: &Origin, keys: &str) -> String {
    format!(
        "[upstreams.origin]\nbackends = [\"{}\"]\n{keys}\n[[routes]]\nupstream = \"origin\"",
        origin.address
    )
}

fn checked(origin: &Origin, keys: &str) -> Node {
    node(&toml(origin, keys)).start()
}

/// An origin that passes its checks for as long as the switch is on.
fn switched() -> (Origin, Arc<AtomicBool>) {
    let healthy = Arc::new(AtomicBool::new(true));
    let now = Arc::clone(&healthy);
    let origin = Origin::start(move |request| match request.target.as_str() {
        "/healthz" if !now.load(Ordering::SeqCst) => Answer::new(500, "ill"),
        _ => Answer::ok("page"),
    });
    (origin, healthy)
}

/// Waits for the line, and tells when it was there.
fn wait_for(node: &Node, from: usize, text: &str) -> (String, Instant) {
    let line = node
        .stderr
        .find_from(from, |line| message(line).contains(text));
    (line.expect("the line never came"), Instant::now())
}

#[test]
fn a_backend_that_fails_its_checks_gets_nothing_until_it_passes_them() {
    let (origin, healthy) = switched();
    let check = "health_check = { path = \"/healthz\", interval = \"100ms\" }";
    let node = checked(&origin, check);
    assert_eq!(node.get("/").text(), "page");
    healthy.store(false, Ordering::SeqCst);
    let (line, _) = wait_for(&node, 0, "is unhealthy");
    assert!(line.contains("WARN") && line.contains("\"upstream\":\"origin\""));
    assert!(line.contains(&origin.address.to_string()));
    assert!(line.contains("it answered with status 500"), "{line}");
    let started = Instant::now();
    assert_eq!(node.get("/").error(), (503, "no-healthy-upstream"));
    assert!(started.elapsed() < Duration::from_secs(1));
    healthy.store(true, Ordering::SeqCst);
    let (line, _) = wait_for(&node, 0, "healthy again");
    assert!(line.contains("INFO"), "{line}");
    assert_eq!(node.get("/").text(), "page");
    let lines = node.stderr.all();
    let changes = lines.iter().filter(|line| line.contains("a backend is"));
    assert_eq!(changes.count(), 2, "a change is one line");
}

#[test]
fn a_check_asks_for_what_is_configured() {
    let origin = Origin::start(|request| match request.header("host") {
        Some("own.example") => Answer::new(301, ""),
        _ => Answer::new(204, ""),
    });
    let check = |keys: &str| format!("health_check = {{ interval = \"100ms\", {keys} }}");
    let keys = "path = \"/up?full=1\", host = \"own.example\", status = [\"300-302\"]";
    let node = checked(&origin, &check(keys));
    origin.wait_for(3);
    let asked = origin.last();
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("GET", "/up?full=1")
    );
    assert_eq!(asked.header("user-agent"), Some("aegis-health-check"));
    assert_eq!(node.get("/").status, 204);
    drop(node);
    let node = checked(&origin, &check("path = \"/\""));
    let before = origin.requests().len();
    origin.wait_for(before + 2);
    let address = origin.address.to_string();
    assert_eq!(origin.last().header("host"), Some(address.as_str()));
    assert_eq!(node.get("/").status, 204, "all of 200 to 299 is good");
}

#[test]
fn a_check_that_is_not_answered_in_time_has_failed() {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |request| match request.target.as_str() {
        "/healthz" => Answer::ok("").held(&closed),
        _ => Answer::ok("page"),
    });
    let check = "health_check = { path = \"/healthz\", interval = \"200ms\", timeout = \"50ms\", unhealthy = 1 }";
    let node = checked(&origin, check);
    let (line, _) = wait_for(&node, 0, "is unhealthy");
    assert!(line.contains("no answer within 50ms"), "{line}");
    gate.open();
    wait_for(&node, 0, "healthy again");
}

#[test]
fn a_dead_backend_is_noticed_within_interval_and_timeout_and_its_return_within_the_interval() {
    let (interval, timeout) = (Duration::from_secs(2), Duration::from_secs(1));
    for path in ["", "path = \"/healthz\", "] {
        let backend = Mortal::start(|_| Answer::ok("page"));
        let check = format!("health_check = {{ {path}interval = \"2s\", timeout = \"1s\" }}");
        let node = checked(&backend.origin, &check);
        let died = Instant::now();
        let address = backend.kill();
        let (_, noticed) = wait_for(&node, 0, "is unhealthy");
        assert!(noticed - died < interval + timeout, "{:?}", noticed - died);
        assert_eq!(node.get("/").error(), (503, "no-healthy-upstream"));
        let _back = Mortal::start_at(address, |_| Answer::ok("back"));
        let returned = Instant::now();
        let (_, noticed) = wait_for(&node, 0, "healthy again");
        // A check takes its time, too.
        assert!(
            noticed - returned < interval + timeout / 2,
            "{:?}",
            noticed - returned
        );
        assert_eq!(node.get("/").text(), "back");
    }
}

#[test]
fn a_backend_of_http_2_that_takes_no_connections_is_noticed_though_old_ones_live() {
    let backend = Http2Origin::start(|call| call.say("page"));
    let keys = "http2 = true\nhealth_check = { path = \"/healthz\", interval = \"100ms\" }";
    let toml =
        "[upstreams.origin]\nbackends = [\"{origin}\"]\nKEYS\n[[routes]]\nupstream = \"origin\"";
    let node = node(&toml.replace("KEYS", keys))
        .set("origin", &backend.address)
        .start();
    assert_eq!(node.get("/").text(), "page");
    backend.shut();
    wait_for(&node, 0, "is unhealthy");
    assert_eq!(node.get("/").error(), (503, "no-healthy-upstream"));
    let _back = Http2Origin::start_at(backend.address, |call| call.say("back"));
    wait_for(&node, 0, "healthy again");
    assert_eq!(node.get("/").status, 200);
}

#[test]
fn a_reload_keeps_what_is_known_of_an_upstream_that_did_not_change() {
    let (origin, healthy) = switched();
    healthy.store(false, Ordering::SeqCst);
    let check = "health_check = { path = \"/healthz\", interval = \"1s\", healthy = 2 }";
    let mut node = checked(&origin, check);
    wait_for(&node, 0, "is unhealthy");
    let other = "\n[[routes]]\npath = \"/own\"\nrespond = { status = 200 }";
    node.reload(&format!("{}{other}", toml(&origin, check)))
        .unwrap();
    assert_eq!(node.get("/own").status, 200);
    assert_eq!(node.get("/").error(), (503, "no-healthy-upstream"));
    let lines = node.stderr.all();
    let changes = lines.iter().filter(|line| line.contains("is unhealthy"));
    assert_eq!(changes.count(), 1, "it was not found out anew");
}

#[test]
fn checks_end_when_a_reload_drops_the_upstream() {
    let (dropped, kept) = (Origin::saying(""), Origin::saying(""));
    let check = "health_check = { path = \"/\", interval = \"100ms\" }";
    let both = |origin: &Origin| {
        format!(
            "[upstreams.kept]\nbackends = [\"{}\"]\n{check}\n{}",
            kept.address,
            toml(origin, check)
        )
    };
    let mut node = node(&both(&dropped)).start();
    dropped.wait_for(2);
    node.reload(&both(&kept)).unwrap();
    // One may have been under way.
    let last = dropped.requests().len() + 1;
    let seen = kept.requests().len();
    kept.wait_for(seen + 20);
    assert!(dropped.requests().len() <= last);
}

#[test]
fn a_backend_that_is_slow_to_answer_requests_is_504_at_its_time_though_it_is_healthy() {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |request| match request.target.as_str() {
        "/healthz" => Answer::ok(""),
        _ => Answer::ok("late").held(&closed),
    });
    let check = "read_timeout = \"300ms\"\nhealth_check = { path = \"/healthz\" }";
    let node = checked(&origin, check);
    let started = Instant::now();
    assert_eq!(node.get("/").error(), (504, "upstream-timeout"));
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < PATIENCE / 2,
        "{took:?}"
    );
    gate.open();
}
