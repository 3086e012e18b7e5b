//! Pointers and lengths outside a guest's memory: -1 and code 2 from every import, nothing read, written or done.

use crate::harness::guest::PAGES;
use crate::harness::{Request, answers, report};

const END: i64 = PAGES as i64 * 65_536;

/// Pairs outside; the last number of each is the length.
const OUTSIDE: [(i64, i64); 6] = [
    (0, -1),
    (-1, 1),
    (-16, 32),
    (END - 1, 2),
    (END + 1, 0),
    (i32::MIN as i64, i32::MIN as i64),
];

/// Calls with `PAIR` where each pointer and length goes; the other pairs are good ones.
const CALLS: [(&str, &str); 12] = [
    ("cache_get", "PAIR"),
    ("cache_set", "PAIR PAIR (i32.const 60)"),
    ("http_get", "PAIR"),
    ("http_post", "PAIR PAIR PAIR"),
    ("http_put", "PAIR PAIR PAIR"),
    ("http_delete", "PAIR"),
    ("request_get_header", "PAIR"),
    ("response_set_header", "PAIR PAIR"),
    ("response_add_header", "PAIR PAIR"),
    ("response_remove_header", "PAIR"),
    ("response_set_body", "PAIR"),
    ("config_get", "PAIR"),
];

/// A call of `name` with the pair number `at` replaced by `pair` and all others by a good one.
fn call(name: &str, arguments: &str, at: usize, pair: (i64, i64)) -> String {
    let good = if name.starts_with("http") {
        "{https://api.example.com/}"
    } else {
        "{x-good}"
    };
    let outside = format!("(i32.const {}) (i32.const {})", pair.0, pair.1);
    let pairs = arguments
        .replacen("PAIR", good, at)
        .replacen("PAIR", &outside, 1)
        .replace("PAIR", good);
    format!("(call $tried (call ${name} {pairs}))\n")
}

#[test]
fn every_import_refuses_every_pair_outside_memory() {
    let (mut body, mut tried) = (String::new(), Vec::new());
    for (name, arguments) in CALLS {
        for at in 0..arguments.matches("PAIR").count() {
            for pair in OUTSIDE {
                body += &call(name, arguments, at, pair);
                tried.push(format!("{name} argument {at} {pair:?}"));
            }
        }
    }
    let node = answers("", &report(&body)).start();
    let response = node.get("/");
    let text = response.text();
    let results: Vec<&str> = text.lines().collect();
    assert_eq!(results.len(), tried.len(), "{text}");
    let wrong: Vec<_> = tried
        .iter()
        .zip(results)
        .filter(|(_, result)| *result != "-1/2")
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!((response.status, response.header("x-good")), (200, None));
}

#[test]
fn buffers_that_are_written_to_are_checked_too() {
    let mut body = String::from("(drop (call $request_get_uri))\n");
    for (pointer, length) in OUTSIDE {
        body += &format!(
            "(call $tried (call $random_bytes (i32.const {pointer}) (i32.const {length})))\n"
        );
    }
    for pointer in [-1, END, END - 3, i32::MIN as i64] {
        body += &format!(
            "(call $tried (call $get_shared_buffer (i32.const {pointer}) (i32.const 0) (i32.const 4)))\n"
        );
    }
    body += &format!("(call $note (i32.load8_u (i32.const {})))", END - 1);
    let expected = "-1/2\n".repeat(10) + "0\n";
    assert_eq!(
        answers("", &report(&body)).start().get("/uri").text(),
        expected
    );
}

#[test]
fn the_very_end_of_memory_is_inside() {
    let body = format!(
        "(drop (call $request_get_uri))
         (call $tried (call $get_shared_buffer (i32.const {}) (i32.const 0) (i32.const 4)))
         (call $tried (call $response_set_body (i32.const {END}) (i32.const 0)))
         (call $tried (call $response_set_header {{x-end}} (i32.const {}) (i32.const 4)))",
        END - 4,
        END - 4
    );
    let response = answers("", &report(&body)).start().get("/uri");
    assert_eq!(
        (response.text().as_str(), response.header("x-end")),
        ("4\n0\n0\n", Some("/uri"))
    );
}

#[test]
fn a_log_call_outside_memory_does_not_end_the_guest() {
    let calls: String = OUTSIDE
        .iter()
        .map(|(p, l)| format!("(call $log (i32.const {p}) (i32.const {l}))\n"))
        .collect();
    let node = answers("", &report(&format!("{calls} (call $note (i32.const 7))"))).start();
    assert_eq!(node.get("/").text(), "7\n");
    assert_eq!(node.send(&Request::get("/control")).text(), "fine");
}
