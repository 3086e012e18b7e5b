//! B1-B5: pointers, lengths and bytes no import may trust.

use crate::harness::guest::PAGES;
use crate::harness::{Answer, EGRESS, Https, report};
use crate::siege::Siege;
use crate::worlds::attacked;

const END: i64 = PAGES as i64 * 65_536;

/// Pointers and lengths outside, and the one at the very end that is inside.
const OUTSIDE: [(i64, i64); 9] = [
    (0, -1),
    (-1, 1),
    (-16, 32),
    (END - 1, 2),
    (END + 1, 0),
    (END, 1),
    (i32::MIN as i64, i32::MIN as i64),
    (0, 0x7fff_ffff),
    (0x7fff_ffff, 0x7fff_ffff),
];
const EMPTY_AT_THE_END: (i64, i64) = (END, 0);

/// Every import that takes pointers, with `PAIR` where one goes with its length. The good pairs are the texts.
const CALLS: &[(&str, &[&str], &str)] = &[
    ("cache_get", &["k"], ""),
    ("cache_set", &["k", "v"], "(i32.const 60)"),
    ("http_get", &["URL"], ""),
    ("http_post", &["URL", "body", "text/plain"], ""),
    ("http_put", &["URL", "body", "text/plain"], ""),
    ("http_delete", &["URL"], ""),
    ("request_get_header", &["host"], ""),
    ("response_set_header", &["x-set", "v"], ""),
    ("response_add_header", &["x-add", "v"], ""),
    ("response_remove_header", &["x-kept"], ""),
    ("response_set_body", &["body"], ""),
    ("config_get", &["k"], ""),
    ("random_bytes", &["12345678"], ""),
    ("cache_delete", &["k"], ""),
    ("cache_increment", &["n"], "(i64.const 1) (i32.const 60)"),
    ("rate_limit", &["r"], "(i32.const 10) (i32.const 60)"),
    ("http_request", &["GET", "URL", "accept: */*", "body"], ""),
    (
        "http_request_start",
        &["GET", "URL", "accept: */*", "body"],
        "",
    ),
    ("http_response_header", &["date"], ""),
    ("request_set_header", &["x-set", "v"], ""),
    ("request_add_header", &["x-add", "v"], ""),
    ("request_remove_header", &["x-kept"], ""),
    ("request_set_uri", &["/"], ""),
    ("request_set_body", &["body"], ""),
];

/// A call of `name` with the pair number `at` replaced by `pair`.
fn call((name, pairs, rest): (&str, &[&str], &str), at: usize, pair: (i64, i64)) -> String {
    let pairs: String = pairs
        .iter()
        .enumerate()
        .map(|(number, good)| match number == at {
            true => format!("(i32.const {}) (i32.const {})", pair.0, pair.1),
            false => format!("{{{good}}}"),
        })
        .collect();
    let called = format!("(call ${name} {pairs} {rest})");
    match name {
        "cache_increment" => format!(
            "(call $tried (select (i32.const -1) (i32.const 0) (i64.eq {called} (i64.const {}))))\n",
            i64::MIN
        ),
        _ => format!("(call $tried {called})\n"),
    }
}

/// Every import with every bad pair in every place; at the end, what would show that one had an effect.
fn matrix(url: &str) -> (String, Vec<String>) {
    let mut body = String::from(
        "(drop (call $response_set_header {x-kept} {v})) (drop (call $request_get_uri))\n",
    );
    let mut tried = Vec::new();
    for import in CALLS {
        for at in 0..import.1.len() {
            for pair in OUTSIDE {
                body += &call(*import, at, pair);
                tried.push(format!("{} argument {at} {pair:?}", import.0));
            }
        }
    }
    for (to, offset, length) in [
        (-1, 0, 2),
        (END - 1, 0, 2),
        (END, 0, 1),
        (0, -1, 2),
        (0, 0, -1),
        (0, 1, 2),
        (0x10_0000, 0, 3),
        (0x10_0000, 3, 0),
    ] {
        body += &format!(
            "(call $tried (call $get_shared_buffer (i32.const {to}) (i32.const {offset}) (i32.const {length})))\n"
        );
        tried.push(format!("get_shared_buffer {to} {offset} {length}"));
    }
    for (pointer, length) in OUTSIDE {
        body += &format!(
            "(drop (call $response_set_status (i32.const 1))) (call $log (i32.const {pointer}) (i32.const {length})) (call $note (call $last_error_code))\n"
        );
        tried.push(format!("log {pointer} {length}"));
    }
    // The buffer is still the URI's, no key was set, and the bytes at the end of memory are untouched.
    body += "(call $text (i32.const 2)) (call $tried (call $cache_get {k}))";
    body += &format!("(call $note (i32.load8_u (i32.const {})))", END - 1);
    (report(&body.replace("URL", url)), tried)
}

#[test]
fn b1_every_import_refuses_every_pair_outside_and_does_nothing_of_it() {
    let https = Https::start(|_| Answer::ok("reached"));
    let (guest, tried) = matrix(&https.url("/"));
    let keys = format!("limits = {{ fuel = 100_000_000, cache_calls = 100_000 }}\n{EGRESS}");
    let siege = Siege::of(https.reachable_from(attacked(&keys, &guest)));
    for answer in siege.attack(4, |client| client.get("/b")) {
        let text = answer.text();
        let results: Vec<&str> = text.lines().collect();
        assert_eq!(
            (answer.status, results.len()),
            (200, tried.len() + 3),
            "{text}"
        );
        for (tried, result) in tried.iter().zip(&results) {
            let expected = if tried.starts_with("log") {
                "2"
            } else {
                "-1/2"
            };
            assert_eq!(result, &expected, "{tried}");
        }
        assert_eq!(results[tried.len()..], ["/b", "-1/1", "0"]);
        let header = |name| answer.header(name);
        assert_eq!(
            (header("x-set"), header("x-add"), header("x-kept")),
            (None, None, Some("v"))
        );
    }
    assert!(https.origin.requests().is_empty());
}

#[test]
fn b1_the_empty_pair_at_the_end_of_memory_is_inside() {
    let https = Https::start(|_| Answer::ok("reached"));
    let calls: String = CALLS
        .iter()
        .flat_map(|import| (0..import.1.len()).map(|at| call(*import, at, EMPTY_AT_THE_END)))
        .collect();
    let body = format!(
        "{calls} (drop (call $request_get_uri))
        (call $tried (call $get_shared_buffer (i32.const {END}) (i32.const 0) (i32.const 0)))"
    )
    .replace("URL", &https.url("/"));
    let siege = Siege::of(https.reachable_from(attacked(EGRESS, &report(&body))));
    let answers = siege.attack(2, |client| client.get("/").text());
    // Empty keys, URLs and names are refused for what they are; empty values, bodies and types are values.
    let expected = [
        "-1/2 -1/2 0",                    // cache_get, cache_set
        "-1/2 -1/2 7 7 -1/2 7 7 -1/2",    // http_get, http_post, http_put, http_delete
        "-1/2 -1/2 0 -1/2 0 -1/2 0",      // request_get_header, response_*
        "-1/1 0 -1/2 -1/2 -1/2", // config_get, random_bytes, cache_delete, cache_increment, rate_limit
        "-1/2 -1/2 7 7 -1/2 11 12 13", // http_request; http_request_start looks at URLs later
        "-1/2 -1/2 0 -1/2 0 -1/2 -1/2 0", // http_response_header, request_*
        "0",                     // get_shared_buffer
    ];
    let expected = expected.join(" ").replace(' ', "\n") + "\n";
    for answer in answers {
        assert_eq!(answer, expected);
    }
}

/// Each call with 50 MB inside memory, or with 2 GiB that are not: refused before anything is allocated.
#[test]
fn b2_what_a_guest_calls_long_is_not_allocated() {
    const LONG: (i64, i64) = (0, 52_428_800);
    let https = Https::start(|_| Answer::ok("reached"));
    let mut body = String::new();
    for import in CALLS {
        for at in 0..import.1.len() {
            body += &call(*import, at, LONG);
            body += &call(*import, at, (0, 0x7fff_ffff));
        }
    }
    let guest = report(&body.replace("URL", &https.url("/")));
    let guest = guest.replace(
        &format!("(memory (export \"memory\") {PAGES})"),
        "(memory (export \"memory\") 800)",
    );
    let keys = format!("limits = {{ fuel = 100_000_000, execution_time = \"5s\" }}\n{EGRESS}");
    let siege = Siege::of(https.reachable_from(attacked(&keys, &guest)));
    let before = siege.peak();
    for text in siege.attack(2, |client| client.get("/").text()) {
        let results: Vec<&str> = text.lines().collect();
        for (number, pair) in results.chunks(2).enumerate() {
            let refused = ["-1/1", "-1/2", "-1/3", "-1/7"].contains(&pair[0]);
            assert!(refused && pair[1] == "-1/2", "pair {number}: {pair:?}");
        }
    }
    let more = siege.peak() - before;
    assert!(more < 24 << 20, "the node took {more} bytes more");
    assert!(https.origin.requests().is_empty());
}

/// Memory that grew after a wait is read and written at its new size; ranges that overlap are copied first.
#[test]
fn b3_memory_may_grow_between_calls_and_ranges_may_overlap() {
    let https = Https::start(|_| Answer::ok("fetched"));
    let url = https.url("/");
    let body = format!(
        "(drop (memory.grow (i32.const 1)))
         (call $tried (call $http_get {{{url}}}))
         (drop (memory.grow (i32.const 1)))
         (call $tried (call $get_shared_buffer (i32.const {grown}) (i32.const 0) (i32.const 7)))
         (call $tried (call $cache_set (i32.const {grown}) (i32.const 4) (i32.const {inside}) (i32.const 5) (i32.const 60)))
         (call $tried (call $cache_get (i32.const {grown}) (i32.const 4)))
         (call $tried (call $get_shared_buffer (i32.const {inside}) (i32.const 0) (i32.const 5)))
         (call $text (call $cache_get (i32.const {grown}) (i32.const 4)))
         (call $tried (call $response_set_header (i32.const {grown}) (i32.const 7) (i32.const {grown}) (i32.const 7)))
         (call $tried (call $random_bytes (i32.const {last}) (i32.const 4)))
         (call $tried (call $random_bytes (i32.const {last}) (i32.const 5)))",
        grown = END + 65_536,
        inside = END + 65_538,
        last = END + 2 * 65_536 - 4,
    );
    let siege = Siege::of(https.reachable_from(attacked(EGRESS, &report(&body))));
    for answer in siege.attack(2, |client| client.get("/")) {
        assert_eq!(answer.text(), "7\n7\n0\n5\n5\ntched\n0\n0\n-1/2\n");
        assert_eq!(answer.header("fetched"), Some("fetched"));
    }
}

#[test]
fn b4_nothing_past_the_end_of_the_shared_buffer_is_written() {
    let mut body = String::from(
        "(memory.fill (i32.const 0x100000) (i32.const 0xaa) (i32.const 64)) (drop (call $request_get_uri))\n",
    );
    for (offset, length) in [
        (0, 6),
        (5, 1),
        (6, 0),
        (1, 5),
        (4, 2),
        (-1, 2),
        (0, -1),
        (0x7fff_ffff, 1),
    ] {
        body += &format!(
            "(call $tried (call $get_shared_buffer (i32.const 0x100000) (i32.const {offset}) (i32.const {length})))\n"
        );
    }
    for offset in [0, 8, 16, 56] {
        body += &format!(
            "(call $note64 (i64.load (i32.const {})))\n",
            0x10_0000 + offset
        );
    }
    body += "(call $tried (call $get_shared_buffer (i32.const 0x100000) (i32.const 4) (i32.const 1)))
        (call $note (i32.load8_u (i32.const 0x100000))) (call $note (i32.load8_u (i32.const 0x100001)))";
    let siege = Siege::of(attacked("", &report(&body)));
    let untouched = i64::from_le_bytes([0xaa; 8]);
    let expected = "-1/2\n".repeat(8) + &format!("{untouched}\n").repeat(4) + "1\n114\n170\n";
    for text in siege.attack(4, |client| client.get("/four").text()) {
        assert_eq!(text, expected);
    }
}

#[test]
fn b5_names_and_urls_that_are_not_text_are_refused() {
    let refused = [
        ("request_get_header", "{a\\00b}"),
        ("request_get_header", "{\\ff\\fe}"),
        ("response_set_header", "{a\\00b} {v}"),
        ("response_set_header", "{\\ff\\fe} {v}"),
        ("response_set_header", "{x-a} {\\00}"),
        ("response_add_header", "{\\c3\\28} {v}"),
        ("response_remove_header", "{a\\00}"),
        ("config_get", "{\\ff\\fe}"),
        ("config_get", "{\\ed\\a0\\80}"),
        ("http_get", "{https://api.example.com/\\ff\\fe}"),
        ("http_get", "{https://api.example.com/\\00}"),
        ("http_get", "{https://\\c3\\28.example.com/}"),
        ("http_delete", "{https://api.example.com/a b}"),
        ("http_delete", "{https://api.example.com\\5c@evil.example/}"),
        (
            "http_post",
            "{https://api.example.com:1/} {b} {text\\0d\\0aHost: evil}",
        ),
        ("http_post", "{https://api.example.com:1/} {b} {\\00}"),
    ];
    let body: String = refused
        .iter()
        .map(|(name, arguments)| format!("(call $tried (call ${name} {arguments}))\n"))
        .collect();
    let https = Https::start(|_| Answer::ok("reached"));
    let siege = Siege::of(https.reachable_from(attacked(EGRESS, &report(&body))));
    for text in siege.attack(4, |client| client.get("/").text()) {
        for ((name, arguments), result) in refused.iter().zip(text.lines()) {
            assert_eq!(result, "-1/2", "{name} {arguments}");
        }
        assert_eq!(text.lines().count(), refused.len());
    }
    assert!(https.origin.requests().is_empty());
}
