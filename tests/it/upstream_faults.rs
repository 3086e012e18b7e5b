//! Backends that fail, lie or flood: what the client gets for it, and that it is no clean answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::lines::PATIENCE;
use crate::harness::{Answer, Gate, Node, Origin, Request, node, phases};

/// Both ways a request is carried: by the library, and by the node where functions see the answer's body.
const WAYS: [&str; 2] = ["/plain", "/seen"];

fn before(backend: SocketAddr, keys: &str) -> Node {
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        response_entry = "handle_response"
        body = "response"
        [upstreams.origin]
        backends = ["{backend}"]
        KEYS
        [[routes]]
        path_prefix = "/seen"
        functions = ["f"]
        upstream = "origin"
        [[routes]]
        upstream = "origin""#;
    node(&toml.replace("KEYS", keys))
        .set("backend", &backend)
        .wasm("f", phases("(i32.const 0)", "(i32.const 0)"))
        .start()
}

/// A backend that reads what it can and then does what it is told; and how many connections it has had.
fn backend(
    then: impl Fn(&mut TcpStream) + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, then) = (Arc::<AtomicUsize>::default(), Arc::new(then));
    let count = Arc::clone(&accepted);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::SeqCst);
            let then = Arc::clone(&then);
            thread::spawn(move || {
                stream.set_write_timeout(Some(PATIENCE)).ok();
                drop(stream.read(&mut [0; 4096]));
                then(&mut stream);
            });
        }
    });
    (address, accepted)
}

/// A POST is asked for once, whatever happens to it.
fn post(node: &Node, way: &str) -> Option<(u16, String, bool)> {
    let request = Request::new("POST", way).body(b"once");
    let response = node.connect().exchange(&request)?;
    Some((
        response.status,
        response.error().1.to_owned(),
        response.complete,
    ))
}

#[test]
fn answers_that_are_not_http_or_could_be_read_in_two_ways_are_502_upstream_invalid() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nxy",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nxy",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nxy",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nxy",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX y: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "<html>no header at all</html>\r\n\r\n",
    ] {
        let (address, accepted) = backend(move |stream| drop(stream.write_all(answer.as_bytes())));
        let node = before(address, "retries = 3");
        for way in WAYS {
            let expected = Some((502, "upstream-invalid".to_owned(), true));
            assert_eq!(post(&node, way), expected, "{way} {answer:?}");
        }
        assert_eq!(accepted.load(Ordering::SeqCst), 2, "{answer:?}");
    }
}

#[test]
fn a_length_beside_chunks_does_not_reach_the_client() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let origin = Origin::start(move |_| Answer::raw(answer));
    let response = before(origin.address, "").get("/plain");
    assert_eq!(response.header("content-length"), None);
    assert_eq!((response.text().as_str(), response.complete), ("ok", true));
}

#[test]
fn a_body_that_is_not_what_its_header_says_is_cut() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nbanana\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nffffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n",
    ] {
        let (address, accepted) = backend(move |stream| drop(stream.write_all(answer.as_bytes())));
        let node = before(address, "retries = 3");
        let response = node.get("/plain");
        // What came may be lost with the connection, but it must not look whole.
        assert!(!response.complete, "{answer:?}: {:?}", response.text());
        assert_eq!(post(&node, "/seen").unwrap().0, 502, "{answer:?}");
        assert_eq!(accepted.load(Ordering::SeqCst), 2, "{answer:?}");
    }
}

#[test]
fn what_follows_an_answer_is_no_answer_to_the_next_request() {
    let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let (address, accepted) = backend(move |stream| {
        stream.write_all(smuggled.as_bytes()).ok();
        drop(stream.read(&mut [0; 4096]));
    });
    let node = before(address, "");
    for way in WAYS {
        let mut connection = node.connect();
        for _ in 0..3 {
            assert_eq!(
                connection.exchange(&Request::get(way)).unwrap().text(),
                "ok",
                "{way}"
            );
        }
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 6);
}

#[test]
fn headers_and_interim_answers_without_an_end_are_502() {
    let flood: fn(&mut TcpStream) = |stream| {
        let line = format!("X-Flood: {}\r\n", "x".repeat(1000));
        stream.write_all(b"HTTP/1.1 200 OK\r\n").ok();
        for _ in 0..100_000 {
            if stream.write_all(line.as_bytes()).is_err() {
                return;
            }
        }
    };
    let many: fn(&mut TcpStream) = |stream| {
        let lines = "A: b\r\n".repeat(5000);
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n").as_bytes())
            .ok();
    };
    let interim: fn(&mut TcpStream) = |stream| {
        while stream
            .write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            .is_ok()
        {}
    };
    for (name, fault) in [("flood", flood), ("many", many), ("interim", interim)] {
        let (address, accepted) = backend(fault);
        let node = before(address, "");
        for way in WAYS {
            let (status, code, _) = post(&node, way).unwrap();
            assert_eq!(
                (status, code.as_str()),
                (502, "upstream-invalid"),
                "{name} {way}"
            );
        }
        assert_eq!(accepted.load(Ordering::SeqCst), 2, "{name}");
    }
}

#[test]
fn an_end_before_the_answer_is_502_upstream_reset() {
    let closing: fn(&mut TcpStream) = |_| {};
    let half: fn(&mut TcpStream) = |stream| drop(stream.shutdown(std::net::Shutdown::Write));
    let begun: fn(&mut TcpStream) = |stream| drop(stream.write_all(b"HTTP/1.1 200 OK\r\nX-Be"));
    for fault in [closing, half, begun] {
        let (address, accepted) = backend(fault);
        let node = before(address, "retries = 3");
        for way in WAYS {
            let expected = Some((502, "upstream-reset".to_owned(), true));
            assert_eq!(post(&node, way), expected, "{way}");
        }
        assert_eq!(accepted.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn a_backend_that_stops_is_504_before_its_answer_and_cut_within() {
    let gate = Gate::default();
    for half in ["", "HTTP/1.1 200 OK\r\nX-Be"] {
        let closed = gate.clone();
        let origin = Origin::start(move |_| Answer::halves(half, &closed, ""));
        let node = before(origin.address, "read_timeout = \"300ms\"\nretries = 3");
        for way in WAYS {
            let began = Instant::now();
            assert_eq!(
                node.get(way).error(),
                (504, "upstream-timeout"),
                "{way} {half:?}"
            );
            assert!(began.elapsed() >= Duration::from_millis(300));
        }
        assert_eq!(origin.requests().len(), 2, "a timeout is not retried");
    }
    let body = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let closed = gate.clone();
    let origin = Origin::start(move |_| Answer::halves(body, &closed, ""));
    let node = before(origin.address, "read_timeout = \"300ms\"");
    assert!(!node.get("/plain").complete);
    assert_eq!(node.get("/seen").error(), (504, "upstream-timeout"));
    gate.open();
}

#[test]
fn a_backend_that_does_not_accept_is_504_at_the_connect_timeout() {
    // Nobody accepts: when the queue is full, the system answers no more.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    shorten_queue(&listener);
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queued.push(stream);
        assert!(queued.len() < 10_000, "the queue is never full");
    }
    let node = before(address, "connect_timeout = \"300ms\"");
    for way in WAYS {
        assert_eq!(node.get(way).error(), (504, "upstream-timeout"), "{way}");
    }
}

/// A queue of one.
fn shorten_queue(listener: &TcpListener) {
    nix::sys::socket::listen(listener, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
}

#[test]
fn a_storm_of_failures_is_told_of_once_and_logged_each() {
    let node = before(Origin::absent(), "");
    for number in 0..20 {
        assert_eq!(
            node.get(&format!("/{number}")).error(),
            (502, "upstream-connect")
        );
        node.access(&format!("/{number}"));
    }
    let lines = node.stderr.all();
    let told = lines
        .iter()
        .filter(|line| line.contains("a request failed"));
    assert_eq!(told.count(), 1);
}
