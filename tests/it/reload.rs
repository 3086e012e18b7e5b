//! SIGHUP: a whole new configuration in one step, or the old one and the reason why.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::harness::lines::PATIENCE;
use crate::harness::{Answer, Gate, Node, Origin, Request, answers, module, node};

fn saying(text: &str) -> String {
    format!("[[routes]]\nrespond = {{ status = 200, body = \"{text}\" }}")
}

/// A guest that says its version in a header and a thousand times in the body.
fn version(digit: u8) -> Vec<u8> {
    let text = module(&format!(
        "(drop (call $response_set_header {{x-version}} {{{digit}}}))
         (memory.fill (i32.const 0x100000) (i32.const {}) (i32.const 1000))
         (drop (call $response_set_body (i32.const 0x100000) (i32.const 1000)))
         (i32.const 0)",
        b'0' + digit
    ));
    wat::parse_str(text).unwrap()
}

#[test]
fn the_new_configuration_serves_after_the_signal() {
    let mut node = node(&saying("old")).start();
    let mut kept = node.connect();
    assert_eq!(kept.exchange(&Request::get("/")).unwrap().text(), "old");
    node.reload(&saying("new")).unwrap();
    assert_eq!(node.get("/").text(), "new");
    assert_eq!(kept.exchange(&Request::get("/")).unwrap().text(), "new");
}

#[test]
fn a_bad_configuration_leaves_the_old_one_serving_and_says_why() {
    let mut node = node(&saying("old")).start();
    for (bad, reason) in [
        ("[[routes]\n", "TOML"),
        ("[[routes]]\nrespnd = {}", "respnd"),
        ("[[routes]]\nupstream = \"ghost\"", "ghost"),
        (
            "[functions.f]\nmodule = \"absent.wasm\"\n[[routes]]\nfunctions = [\"f\"]",
            "absent.wasm",
        ),
    ] {
        let line = node.reload(bad).expect_err(bad);
        let logged = node.stderr.all().join("\n");
        assert!(reason == "TOML" || logged.contains(reason), "{line}");
        assert_eq!(node.get("/").text(), "old");
    }
    node.reload(&saying("mended")).unwrap();
    assert_eq!(node.get("/").text(), "mended");
}

#[test]
fn a_garbage_module_leaves_the_old_one_serving_and_says_why() {
    let node = answers(
        "",
        &module("(drop (call $response_set_body {old})) (i32.const 0)"),
    )
    .start();
    for garbage in [&b"garbage"[..], b"", b"\0asm\x01\0\0\0"] {
        node.replace("f", garbage);
        assert!(node.reload_files().is_err(), "{garbage:?}");
        assert!(node.stderr.all().join("\n").contains("functions.f"));
        assert_eq!(node.get("/").text(), "old");
    }
    node.replace("f", version(1));
    node.reload_files().unwrap();
    assert_eq!(node.get("/").header("x-version"), Some("1"));
}

#[test]
fn twenty_reloads_under_load_fail_no_request_and_mix_no_versions() {
    let node = answers(
        "",
        "(module (memory (export \"memory\") 1) (func (export \"handle_request\")))",
    )
    .start();
    node.replace("f", version(1));
    node.reload_files().unwrap();
    let done = AtomicBool::new(false);
    let served: Vec<[usize; 2]> = thread::scope(|scope| {
        let clients = [(); 2].map(|()| scope.spawn(|| load(&node, &done)));
        for round in 0..20 {
            node.replace("f", version(2 - round % 2));
            node.reload_files().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        clients.map(|client| client.join().unwrap()).to_vec()
    });
    for digit in 0..2 {
        let count: usize = served.iter().map(|counts| counts[digit]).sum();
        assert!(
            count >= 20,
            "version {} was served {count} times",
            digit + 1
        );
    }
}

/// Asks without a pause until `done`; how often each version answered.
fn load(node: &Node, done: &AtomicBool) -> [usize; 2] {
    let mut served = [0; 2];
    let mut connection = node.connect();
    while !done.load(Ordering::Relaxed) {
        let response = connection
            .exchange(&Request::get("/"))
            .expect("the connection was cut");
        assert_eq!(response.status, 200);
        let version = response.header("x-version").unwrap();
        assert_eq!(response.text(), version.repeat(1000));
        served[version.parse::<usize>().unwrap() - 1] += 1;
    }
    served
}

#[test]
fn a_request_under_way_ends_on_the_configuration_it_began_with() {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("from the origin").held(&closed));
    let toml = format!(
        "[upstreams.o]\nbackends = [\"{}\"]\n[[routes]]\nupstream = \"o\"",
        origin.address
    );
    let mut node = node(&toml).start();
    let mut waiting = node.connect();
    waiting.send(&Request::get("/").bytes());
    origin.wait_for(1);
    node.reload(&saying("new")).unwrap();
    assert_eq!(node.get("/").text(), "new");
    gate.open();
    assert_eq!(waiting.read("GET").unwrap().text(), "from the origin");
}

/// Threads of the node by their name.
fn threads(node: &Node, name: &str) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", node.process())).unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|found| found.trim() == name).count()
}

#[test]
fn the_old_sandboxes_are_given_back_when_settings_of_the_edge_change() {
    let toml = |places: usize| {
        format!(
            "[edge]\nmax_in_flight = {places}\n[functions.f]\nmodule = \"f.wasm\"\n[[routes]]\nfunctions = [\"f\"]"
        )
    };
    let mut node = node(&toml(10)).wasm("f", module("(i32.const 0)")).start();
    for places in [20, 30] {
        assert_eq!(node.get("/").status, 200);
        node.reload(&toml(places)).unwrap();
        let deadline = std::time::Instant::now() + PATIENCE;
        while threads(&node, "aegis-ticker") > 1 {
            assert!(
                std::time::Instant::now() < deadline,
                "the old runtime lives on"
            );
            node.get("/");
        }
    }
}
