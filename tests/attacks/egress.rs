//! E4, E5, E8: servers that answer too much, too slowly or never, and guests that call too many of them at once.

use std::time::{Duration, Instant};

use crate::harness::{Answer, EGRESS, Gate, Https, module, report};
use crate::siege::Siege;
use crate::worlds::attacked;

/// Gzip of so many MiB of zeros: one literal, then copies of 258 bytes, in deflate's fixed code.
fn bomb(mebibytes: usize) -> Vec<u8> {
    let mut bits = "11000110000".to_owned();
    bits.push_str(&"1100010100000".repeat((mebibytes << 20) / 258));
    bits.push_str("0000000");
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for eight in bits.as_bytes().chunks(8) {
        let bit = |(place, bit): (usize, &u8)| (bit - b'0') << place;
        bytes.push(eight.iter().enumerate().map(bit).sum());
    }
    bytes
}

/// A guest that starts a call to each of `paths`, and tells how each ends.
fn calling(https: &Https, paths: &[&str]) -> String {
    let starts = paths.iter().map(|path| {
        let url = https.url(path);
        format!("(drop (call $http_request_start {{GET}} {{{url}}} {{}} {{}}))\n")
    });
    let waits = (0..paths.len())
        .map(|handle| format!("(call $tried (call $http_request_wait (i32.const {handle})))\n"));
    report(&starts.chain(waits).collect::<String>())
}

#[test]
fn e4_what_unpacks_past_the_limit_ends_there() {
    let bomb = bomb(64);
    let size = bomb.len();
    assert!(size < 512 << 10);
    let https = Https::start(move |request| {
        let encoding = match request.target.as_str() {
            "/nested" => "gzip, gzip",
            other => &other[1..],
        };
        Answer::ok(bomb.clone()).header("Content-Encoding", encoding)
    });
    let guest = calling(&https, &["/gzip", "/gzip", "/nested", "/br", "/zstd"]);
    let siege = Siege::of(https.reachable_from(attacked(EGRESS, &guest)));
    let expected = format!("-1/3\n-1/3\n{size}\n{size}\n{size}\n");
    for answer in siege.attack(2, |client| client.get("/")) {
        assert_eq!(answer.text(), expected);
    }
}

#[test]
fn e5_servers_that_never_come_to_an_end_cost_five_seconds_at_most() {
    let never = Gate::default();
    let closed = never.clone();
    let stalling = move |text: &str| Answer::halves(text, &closed, "");
    let https = Https::start(move |request| {
        let start = "HTTP/1.1 200 OK\r\n";
        let line = format!("x-long: {}\r\n", "a".repeat(16 << 10));
        match request.target.as_str() {
            "/silent" => stalling(""),
            "/header" => stalling(&format!("{start}x-half: ")),
            "/body" => stalling(&format!("{start}content-length: 1000\r\n\r\nhalf")),
            "/interim" => stalling(&"HTTP/1.1 103 X\r\nlink: </a>\r\n\r\n".repeat(50_000)),
            "/length" => stalling(&format!("{start}content-length: 1000000000000\r\n\r\n")),
            "/headers" => stalling(&format!("{start}{}", line.repeat(256))),
            "/lines" => stalling(&format!("{start}{}\r\n", "a: b\r\n".repeat(101))),
            _ => Answer::raw(format!("{start}\r\n{}", "x".repeat(2 << 20))),
        }
    });
    let paths = [
        "/silent", "/header", "/body", "/interim", "/length", "/headers", "/lines", "/endless",
    ];
    let guest = calling(&https, &paths);
    let siege = Siege::of(https.reachable_from(attacked(EGRESS, &guest)));
    for (answer, took) in siege.attack(2, |client| {
        let start = Instant::now();
        (client.get("/"), start.elapsed())
    }) {
        assert_eq!(
            answer.text(),
            "-1/5\n-1/5\n-1/5\n-1/5\n-1/3\n-1/6\n-1/6\n-1/3\n"
        );
        let allowed = Duration::from_secs(5)..Duration::from_secs(7);
        assert!(allowed.contains(&took), "{took:?}");
    }
    never.open();
}

/// White space around a value is nobody's, but it is read with it.
#[test]
fn e5_padded_answers_that_are_kept_take_what_they_are_charged_for() {
    let never = Gate::default();
    let padded = format!(
        "HTTP/1.1 200 OK\r\nx:{}v\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        " ".repeat(200 << 10)
    );
    let https = Https::start(move |request| match request.target.as_str() {
        "/never" => Answer::never(&never),
        _ => Answer::raw(padded.clone()),
    });
    let start = |path: &str| {
        let url = https.url(path);
        format!("(call $http_request_start {{GET}} {{{url}}} {{}} {{}})")
    };
    // All padded ones are over when the first of them is waited for; then they are kept for five seconds.
    let body = format!(
        "{}(call $tried (call $http_request_wait (i32.const 0)))
         (call $tried (call $http_request_wait {}))",
        format!("(drop {})\n", start("/padded")).repeat(31),
        start("/never")
    );
    let siege = Siege::of(https.reachable_from(attacked(EGRESS, &report(&body))));
    let before = siege.peak();
    for text in siege.attack(8, |client| client.get("/").text()) {
        assert_eq!(text, "0\n-1/5\n");
    }
    let more = siege.peak() - before;
    // All that was read would be 50 MB; connections and their buffers come and go.
    assert!(more < 40 << 20, "the node took {more} bytes more");
}

#[test]
fn e8_a_thousand_calls_in_an_invocation_are_thirty_two() {
    let https = Https::start(|_| Answer::ok(vec![b'x'; 64 << 10]));
    let url = https.url("/");
    // Half of what is started is waited for, the rest is left behind.
    let guest = report(&format!(
        "(loop $more
           (if (i32.ge_s (call $http_request_start {{GET}} {{{url}}} {{}} {{}}) (i32.const 0))
             (then (local.set $n (i32.add (local.get $n) (i32.const 1)))))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $more (i32.lt_u (local.get $i) (i32.const 1000))))
         (call $note (local.get $n))
         (local.set $i (i32.const 0))
         (loop $more
           (call $tried (call $http_request_wait (local.get $i)))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $more (i32.lt_u (local.get $i) (i32.const 16))))"
    ));
    let siege = Siege::of(https.reachable_from(attacked(EGRESS, &guest)));
    let mut count = 0;
    for answer in siege.attack(2, |client| client.get("/")) {
        assert_eq!(answer.text(), format!("32\n{}", "65536\n".repeat(16)));
        count += 1;
    }
    assert!(https.origin.requests().len() <= count * 32);
}

#[test]
fn e8_calls_nobody_waits_for_leave_nothing_behind() {
    let gate = Gate::default();
    let closed = gate.clone();
    let https = Https::start(move |_| Answer::ok("late").held(&closed));
    let url = https.url("/");
    let start = format!("(drop (call $http_request_start {{GET}} {{{url}}} {{}} {{}}))\n");
    let guest = module(&format!("{} (i32.const 0)", start.repeat(32)));
    let siege = Siege::of(https.reachable_from(attacked(EGRESS, &guest)));
    for answer in siege.attack(2, |client| client.get("/")) {
        assert_eq!(answer.status, 200);
    }
    gate.open();
}
