//! HTTP/2 from clients: everything a route does, many requests at once, and the limits that hold for them.

mod deadlines;
mod hostile;
mod leaving;
mod requests;

use std::time::{Duration, Instant};

use crate::harness::http2::{Windows, request};
use crate::harness::{Answer, Gate, Http2, Node, Origin, Request, answers, node, report};

/// A node for both versions of HTTP on one port: `keys` is more of the listener, and what follows it.
fn framed(keys: &str, origin: &Origin) -> Node {
    let toml = format!(
        r#"
        [[listeners]]
        address = "{{listen}}"
        h2c = true
        {keys}
        [upstreams.origin]
        backends = ["{}"]
        [[routes]]
        upstream = "origin"
        [[routes]]
        path = "/fixed"
        respond = {{ status = 200, body = "fixed", headers = {{ "x-a" = "b" }} }}"#,
        origin.address
    );
    node(&toml).start()
}

fn echo() -> Origin {
    Origin::start(|request| Answer::ok(request.body.clone()).header("x-origin", &request.method))
}

#[test]
fn requests_are_answered_by_routes_of_all_kinds() {
    let origin = echo();
    let node = framed("", &origin);
    let client = Http2::open(node.address);
    let fixed = client.get("/fixed");
    assert_eq!((fixed.status, fixed.text().as_str()), (200, "fixed"));
    assert_eq!(fixed.header("x-a"), Some("b"));
    assert!(fixed.header("date").is_some() && fixed.header("connection").is_none());
    let proxied = client.exchange(request("POST", "/echo?q=1"), b"a body");
    assert_eq!(proxied.text(), "a body");
    assert_eq!(proxied.header("x-origin"), Some("POST"));
    let received = origin.last();
    assert_eq!(received.target, "/echo?q=1");
    assert_eq!(received.all("host"), ["aegis.test"]);
    assert_eq!(received.all("via"), ["2 aegis"]);
    assert_eq!(received.all("x-forwarded-host"), ["aegis.test"]);
    assert_eq!(node.access("/echo")["protocol"], "HTTP/2");
    assert_eq!(node.access("/echo")["host"], "aegis.test");
}

#[test]
fn http_1_goes_on_on_the_same_port() {
    let origin = echo();
    let node = framed("", &origin);
    assert_eq!(node.get("/fixed").text(), "fixed");
    let mut slow = node.connect();
    // The beginning of the other version's first line.
    slow.send(b"P");
    assert_eq!(Http2::open(node.address).get("/fixed").text(), "fixed");
    slow.send(b"OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(slow.read("POST").unwrap().text(), "hi");
    let shortest = node.raw(b"GET /fixed HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(shortest.text(), "fixed");
    assert_eq!(node.access("/")["protocol"], "HTTP/1.1");
}

#[test]
fn it_is_http_1_only_where_nobody_asked_for_more() {
    let node = node("[[routes]]\nrespond = { status = 200 }").start();
    let answer = node.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    assert_eq!(answer.status, 400);
}

#[test]
fn the_nodes_own_errors_are_documents_here_too() {
    let origin = Origin::absent();
    let left = Gate::default();
    let silent = Origin::start(move |_| Answer::never(&left));
    let garbled = Origin::start(|_| Answer::raw("HTTP/1.1 nonsense\r\n\r\n"));
    let toml = format!(
        "[[listeners]]\naddress = \"{{listen}}\"\nh2c = true\n[upstreams.o]\nbackends = [\"{origin}\"]
         [upstreams.silent]\nbackends = [\"{}\"]\nread_timeout = \"200ms\"
         [upstreams.garbled]\nbackends = [\"{}\"]
         [[routes]]\npath = \"/gone\"\nupstream = \"o\"\nmethods = [\"GET\"]
         [[routes]]\npath = \"/silent\"\nupstream = \"silent\"
         [[routes]]\npath = \"/garbled\"\nupstream = \"garbled\"",
        silent.address, garbled.address
    );
    let node = node(&toml).start();
    let client = Http2::open(node.address);
    let none = client.get("/none");
    assert_eq!(none.error(), (404, "no-route"));
    assert_eq!(
        none.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(client.get("/gone").error(), (502, "upstream-connect"));
    assert_eq!(client.get("/silent").error(), (504, "upstream-timeout"));
    assert_eq!(client.get("/garbled").error(), (502, "upstream-invalid"));
    let refused = client.exchange(request("PUT", "/gone"), b"body");
    assert_eq!(refused.error(), (405, "method-not-allowed"));
    assert_eq!(refused.header("allow"), Some("GET"));
}

#[test]
fn functions_answer_and_see_what_was_asked() {
    let guest = "(call $text (call $request_get_header {host}))
        (call $text (call $request_get_uri))";
    let node = answers("", &report(guest));
    let node = node.listening("h2c = true").start();
    let client = Http2::open(node.address);
    let seen = client.get("/a/../b?c");
    assert_eq!(seen.status, 200, "{}", seen.text());
    assert!(
        seen.text().contains("aegis.test") && seen.text().contains("/b?c"),
        "{}",
        seen.text()
    );
}

#[test]
fn answers_without_a_body_have_none() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/204" => Answer::new(204, ""),
        "/304" => Answer::new(304, "").header("etag", "\"a\""),
        _ => Answer::ok("a body"),
    });
    let node = framed("", &origin);
    let client = Http2::open(node.address);
    let head = client.exchange(request("HEAD", "/"), b"");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("6"))
    );
    let fixed = client.exchange(request("HEAD", "/fixed"), b"");
    assert_eq!(
        (fixed.status, fixed.header("content-length")),
        (200, Some("5"))
    );
    for (path, status) in [("/204", 204), ("/304", 304)] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.body.len()), (status, 0));
        assert_eq!(answer.header("content-length"), None);
    }
    assert!(head.body.is_empty() && fixed.body.is_empty());
}

#[test]
fn a_hundred_streams_are_served_at_once() {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |request| Answer::ok(request.target.clone()).held(&closed));
    let node = framed("", &origin);
    let client = Http2::open(node.address);
    let paths: Vec<String> = (0..100).map(|number| format!("/{number}")).collect();
    let exchanges: Vec<_> = paths
        .iter()
        .map(|path| client.start(request("GET", path), b""))
        .collect();
    origin.wait_for(100);
    gate.open();
    for (exchange, path) in exchanges.into_iter().zip(&paths) {
        assert_eq!(exchange.answer().response.text(), *path);
    }
}

#[test]
fn large_bodies_pass_both_ways_whatever_the_windows() {
    let origin = echo();
    let node = framed("", &origin);
    let body: Vec<u8> = (0..4u32 << 20)
        .map(|i| i.to_le_bytes()[(i % 3) as usize])
        .collect();
    for window in [65_535, 1 << 24] {
        let windows = Windows {
            stream: window,
            connection: window,
        };
        let client = Http2::open_with(node.address, windows);
        let other = client.clone();
        let (one, two) = std::thread::scope(|scope| {
            let one = scope.spawn(|| client.exchange(request("POST", "/"), &body).body);
            let two = scope.spawn(|| other.exchange(request("PUT", "/"), &body).body);
            (one.join().unwrap(), two.join().unwrap())
        });
        assert!(one == body && two == body);
    }
}

#[test]
fn an_answer_that_breaks_off_is_a_reset_and_never_an_end() {
    let broken = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    for answer in [broken, short] {
        let origin = Origin::start(move |_| Answer::raw(answer));
        let node = framed("", &origin);
        let client = Http2::open(node.address);
        let answered = client.start(request("GET", "/"), b"").answer();
        assert_eq!(answered.response.status, 200);
        assert!(answered.reset.is_some(), "{answer}");
        assert_eq!(
            client.get("/fixed").text(),
            "fixed",
            "the connection goes on"
        );
    }
}

#[test]
fn a_drain_finishes_what_is_under_way_and_takes_nothing_more() {
    let gate = Gate::default();
    let closed = gate.clone();
    let large = vec![b'x'; 3 << 20];
    let origin = Origin::start(move |_| Answer::ok(large.clone()).held(&closed));
    let mut node = framed("[server]\ndrain_timeout = \"15s\"", &origin);
    let (busy, idle) = (Http2::open(node.address), Http2::open(node.address));
    assert_eq!(idle.get("/fixed").text(), "fixed");
    let exchange = busy.start(request("GET", "/"), b"");
    origin.wait_for(1);
    let started = Instant::now();
    node.signal("TERM");
    assert_eq!(idle.ended(), None);
    while busy.takes_requests() {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "no GOAWAY came"
        );
    }
    gate.open();
    assert_eq!(exchange.answer().response.body.len(), 3 << 20);
    assert_eq!(busy.ended(), None);
    assert_eq!(node.exit(), Some(0));
    assert!(
        started.elapsed() < Duration::from_secs(12),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn an_idle_node_exits_at_once_whatever_its_clients_do() {
    let origin = echo();
    let mut node = framed("", &origin);
    // It answers no PING, as a client that closes would have to.
    let mut silent = crate::harness::frames::Raw::open(node.address);
    silent
        .wait_for(crate::harness::frames::SETTINGS, 0)
        .unwrap();
    let started = Instant::now();
    node.signal("TERM");
    assert_eq!(node.exit(), Some(0));
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_client_without_a_place_is_refused_in_its_language() {
    let origin = echo();
    let node = framed("[server.limits]\nconnections = 1", &origin);
    let first = Http2::open(node.address);
    assert_eq!(first.get("/fixed").text(), "fixed");
    let mut framed = crate::harness::frames::Raw::open(node.address);
    let calm = crate::harness::frames::Ending::GoAway(crate::harness::frames::ENHANCE_YOUR_CALM);
    let ending = framed.ending();
    assert!(ending == calm || ending == crate::harness::frames::Ending::Closed);
    assert_eq!(
        node.send(&Request::get("/fixed")).error(),
        (503, "overloaded")
    );
    drop(first);
    node.connect_until_served("/fixed");
}

#[test]
fn trailers_of_a_request_end_it_and_go_nowhere() {
    let origin = echo();
    let node = framed("", &origin);
    let client = Http2::open(node.address);
    let mut exchange = client.begin(request("POST", "/"));
    exchange.send(b"a body", false);
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-trailer", http::HeaderValue::from_static("late"));
    exchange.send_trailers(trailers);
    let answered = exchange.answer();
    assert_eq!(answered.response.text(), "a body");
    assert!(answered.trailers.is_empty());
    assert_eq!(origin.last().header("x-trailer"), None);
}
