//! Which of several backends gets a request, and what becomes of requests when backends die.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::lines::PATIENCE;
use crate::harness::node::message;
use crate::harness::{Answer, Gate, Mortal, Node, Origin, Request, module, node};

/// A node whose only route goes to these backends.
fn upstream(origins: &[&Origin], keys: &str) -> Node {
    let backends: Vec<_> = origins
        .iter()
        .map(|origin| format!("\"{}\"", origin.address))
        .collect();
    let backends = backends.join(", ");
    node(&format!(
        "[upstreams.origin]\nbackends = [{backends}]\n{keys}\n[[routes]]\nupstream = \"origin\""
    ))
    .start()
}

fn three() -> [Origin; 3] {
    ["one", "two", "three"].map(Origin::saying)
}

/// Whether a line of the log says this of a backend.
fn told(line: &str, text: &str, origin: &Origin) -> bool {
    message(line).contains(text)
        && line.contains("\"upstream\":\"origin\"")
        && line.contains(&format!("\"backend\":\"{}\"", origin.address))
}

#[test]
fn least_connections_spares_the_one_that_is_busy() {
    let gate = Gate::default();
    let closed = gate.clone();
    let busy = Origin::start(move |_| Answer::ok("late").held(&closed));
    let quick = Origin::saying("quick");
    // Heavy, because a request that was answered may still count as one under way.
    let node = node(
        "[upstreams.o]\nbackends = [\"{busy}\", { address = \"{quick}\", weight = 5 }]\n\
         balance = \"least_connections\"\n[[routes]]\nupstream = \"o\"",
    )
    .set("busy", &busy.address)
    .set("quick", &quick.address)
    .start();
    let mut held = node.connect();
    for sent in 1.. {
        held = node.connect();
        held.send(&Request::get("/").bytes());
        while busy.requests().len() + quick.requests().len() < sent {}
        if busy.requests().len() == 1 {
            break;
        }
    }
    let before = quick.requests().len();
    for _ in 0..20 {
        assert_eq!(node.get("/").text(), "quick");
    }
    assert_eq!(quick.requests().len(), before + 20);
    gate.open();
    assert_eq!(held.read("GET").unwrap().text(), "late");
}

/// The backends that answer requests that differ in nothing but what `vary` makes of a number.
fn reached(node: &Node, vary: impl Fn(usize) -> Request) -> Vec<String> {
    (0..40).map(|n| node.send(&vary(n)).text()).collect()
}

#[test]
fn what_is_equal_in_what_is_hashed_goes_to_one_backend() {
    let origins = three();
    let header = |name: &'static str, value: fn(usize) -> String| {
        Box::new(move |n: usize| Request::get("/").header(name, &value(n)))
            as Box<dyn Fn(usize) -> Request>
    };
    let path = |value: fn(usize) -> String| {
        Box::new(move |n: usize| Request::get(&value(n))) as Box<dyn Fn(usize) -> Request>
    };
    let cases = [
        (
            "header:x-user",
            header("X-User", |_| "ada".into()),
            header("X-User", |n| format!("u{n}")),
        ),
        (
            "cookie:sid",
            header("Cookie", |n| format!("a={n}; sid=s")),
            header("Cookie", |n| format!("a=1; sid=s{n}")),
        ),
        (
            "path",
            path(|n| format!("/same?{n}")),
            path(|n| format!("/{n}")),
        ),
    ];
    for (by, same, different) in cases {
        let keys = format!("balance = \"hash\"\nhash_by = \"{by}\"");
        let node = upstream(&origins.each_ref(), &keys);
        let of = |vary: &dyn Fn(usize) -> Request| BTreeSet::from_iter(reached(&node, vary));
        assert_eq!(of(&same).len(), 1, "{by}");
        assert_eq!(of(&different).len(), 3, "{by}");
        // Without the header or the cookie it is the client's address.
        if by != "path" {
            assert_eq!(of(&|n| Request::get(&format!("/{n}"))).len(), 1, "{by}");
        }
    }
}

#[test]
fn a_header_that_a_function_sets_is_what_is_hashed() {
    let origins = three();
    let setter = module("(drop (call $request_set_header {x-user} {ada})) (i32.const 0)");
    let node = node(
        "[functions.f]\nmodule = \"f.wasm\"\n[upstreams.o]\nbackends = [\"{a}\", \"{b}\", \"{c}\"]\n\
         balance = \"hash\"\nhash_by = \"header:x-user\"\n\
         [[routes]]\nfunctions = [\"f\"]\nupstream = \"o\"",
    )
    .set("a", &origins[0].address)
    .set("b", &origins[1].address)
    .set("c", &origins[2].address)
    .wasm("f", setter)
    .start();
    let answers = reached(&node, |n| {
        Request::get("/").header("X-User", &n.to_string())
    });
    assert_eq!(BTreeSet::from_iter(answers).len(), 1);
}

#[test]
fn what_the_route_makes_of_a_request_is_what_is_hashed() {
    let origins = three();
    for (by, edit) in [
        (
            "header:x-user",
            "request_headers = { set = { \"x-user\" = \"ada\" } }",
        ),
        ("path", "rewrite = \"/same\""),
        ("header:host", "host = \"same.example\""),
    ] {
        let toml = format!(
            "[upstreams.o]\nbackends = [\"{{a}}\", \"{{b}}\", \"{{c}}\"]\n\
             balance = \"hash\"\nhash_by = \"{by}\"\n[[routes]]\nupstream = \"o\"\n"
        );
        let reached = |edit: &str| {
            let node = node(&format!("{toml}{edit}"))
                .set("a", &origins[0].address)
                .set("b", &origins[1].address)
                .set("c", &origins[2].address)
                .start();
            let request = |n: usize| {
                Request::get(&format!("/{n}"))
                    .host(&format!("{n}.example"))
                    .header("X-User", &n.to_string())
            };
            BTreeSet::from_iter(reached(&node, request)).len()
        };
        assert_eq!((reached(edit), reached("")), (1, 3), "{by}");
    }
}

#[test]
fn the_keys_of_a_dead_backend_go_to_another_and_no_other_moves() {
    let backends = ["one", "two", "three"].map(|name| Mortal::start(move |_| Answer::ok(name)));
    let origins = backends.each_ref().map(|backend| &backend.origin);
    let keys = "balance = \"hash\"\nhash_by = \"path\"\nretries = 2";
    let node = upstream(&origins, keys);
    let ask = || reached(&node, |n| Request::get(&format!("/{n}")));
    let before = ask();
    let [dead, _alive, _too] = backends;
    dead.kill();
    let after = ask();
    for (before, after) in before.iter().zip(&after) {
        assert_ne!(after, "one");
        assert!(before == after || before == "one", "{before} to {after}");
    }
    assert!(before.contains(&"one".to_owned()));
}

#[test]
fn a_backend_that_keeps_failing_is_ejected_and_tried_again_after_a_pause() {
    let broken = std::sync::Arc::new(AtomicBool::new(true));
    let fails = std::sync::Arc::clone(&broken);
    let flaky = Origin::start(move |_| match fails.load(Ordering::SeqCst) {
        true => Answer::new(503, "broken"),
        false => Answer::ok("mended"),
    });
    let good = Origin::saying("good");
    let keys = "eject = { failures = 3, pause = \"300ms\" }\nslow_start = \"0s\"";
    let node = upstream(&[&flaky, &good], keys);
    let mut failed = 0;
    let ejected = |line: &str| told(line, "is ejected", &flaky);
    while !node.stderr.all().iter().any(|line| ejected(line)) {
        failed += usize::from(node.get("/").status == 503);
        assert!(failed < 100, "it is never ejected");
    }
    broken.store(false, Ordering::SeqCst);
    let deadline = Instant::now() + PATIENCE;
    while node.get("/").text() != "mended" {
        assert!(Instant::now() < deadline, "it is never tried again");
    }
    node.stderr
        .wait_for(|line| told(line, "is tried again", &flaky));
    let shares: Vec<_> = (0..10).map(|_| node.get("/").text()).collect();
    assert_eq!(shares.iter().filter(|text| *text == "mended").count(), 5);
    let count = |text: &str| {
        let lines = node.stderr.all();
        lines.iter().filter(|line| told(line, text, &flaky)).count()
    };
    assert_eq!((count("is ejected"), count("is tried again")), (1, 1));
}

#[test]
fn backends_that_hang_up_are_ejected_and_clients_that_leave_eject_nobody() {
    let (bad, good) = (Origin::resetting(), Origin::saying("good"));
    let keys = "eject = { failures = 2, pause = \"1h\" }";
    let node = upstream(&[&bad, &good], keys);
    let post = Request::new("POST", "/").body(b"x");
    let answers: Vec<_> = (0..20).map(|_| node.send(&post).status).collect();
    assert_eq!(answers.iter().filter(|status| **status == 502).count(), 2);
    node.stderr.wait_for(|line| told(line, "is ejected", &bad));

    let left = Gate::default();
    let silent = [(); 2].map(|()| {
        let left = left.clone();
        Origin::start(move |_| Answer::never(&left))
    });
    let node = upstream(&silent.each_ref(), keys);
    for n in 0..10 {
        let mut client = node.connect();
        client.send(&Request::get(&format!("/{n}")).bytes());
        while silent
            .iter()
            .map(|origin| origin.requests().len())
            .sum::<usize>()
            <= n
        {}
        drop(client);
        assert_eq!(node.access(&format!("/{n}"))["status"], 499);
    }
    let ejected = |line: &String| message(line).contains("is ejected");
    assert!(!node.stderr.all().iter().any(ejected));
}

#[test]
fn the_only_backend_is_never_ejected() {
    let failures = AtomicUsize::new(0);
    let origin = Origin::start(move |_| match failures.fetch_add(1, Ordering::SeqCst) {
        0..20 => Answer::new(503, ""),
        _ => Answer::ok("mended"),
    });
    let node = upstream(&[&origin], "eject = { failures = 1, pause = \"1h\" }");
    for _ in 0..20 {
        assert_eq!(node.get("/").error(), (503, ""), "of the origin");
    }
    assert_eq!(node.get("/").text(), "mended");
}

/// Ends the load.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Asks without a pause until `done`; how many requests were answered.
fn load(node: &Node, served: &AtomicUsize, done: &AtomicBool) {
    let mut connection = node.connect();
    while !done.load(Ordering::SeqCst) {
        let response = connection.exchange(&Request::get("/"));
        let response = response.expect("the connection was cut");
        assert_eq!(response.status, 200, "{}", response.text());
        served.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn killing_one_of_two_backends_under_load_fails_no_idempotent_request() {
    let backends = ["one", "two"].map(|name| Mortal::start(move |_| Answer::ok(name)));
    let keys = "health_check = { interval = \"200ms\" }";
    let node = upstream(&backends.each_ref().map(|backend| &backend.origin), keys);
    let (served, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let more = |count: usize| {
        let wanted = served.load(Ordering::SeqCst) + count;
        let deadline = Instant::now() + PATIENCE;
        while served.load(Ordering::SeqCst) < wanted && Instant::now() < deadline {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| load(&node, &served, &done));
        }
        // Also if one of the steps fails: else the load would go on without end.
        let _end = End(&done);
        more(200);
        let [first, second] = backends;
        let address = first.kill();
        node.stderr
            .wait_for(|line| message(line).contains("is unhealthy"));
        more(200);
        let _back = Mortal::start_at(address, |_| Answer::ok("one"));
        let again = |line: &str| message(line).contains("healthy again");
        node.stderr.wait_for(again);
        more(200);
        second.kill();
        more(200);
    });
    assert!(served.load(Ordering::SeqCst) >= 800);
}

#[test]
fn when_all_backends_are_dead_it_is_told_at_once() {
    let backends = [(); 2].map(|()| Mortal::start(|_| Answer::ok("")));
    let node = upstream(&backends.each_ref().map(|backend| &backend.origin), "");
    assert_eq!(node.get("/").status, 200);
    for backend in backends {
        backend.kill();
    }
    let mut quickest = Duration::MAX;
    for _ in 0..10 {
        let started = Instant::now();
        assert_eq!(node.get("/").error(), (502, "upstream-connect"));
        quickest = quickest.min(started.elapsed());
    }
    assert!(quickest < Duration::from_millis(100), "{quickest:?}");
}
