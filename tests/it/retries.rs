//! When a request is sent once more, to whom, how often, and when never.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use crate::harness::lines::PATIENCE;
use crate::harness::{Answer, Connection, Node, Origin, Received, Request, node, phases};

/// Both ways a request is carried: by the library, and by the node where functions see the answer's body.
const WAYS: [&str; 2] = ["/plain", "/seen"];

/// A node in front of these backends, its upstream with these keys.
fn before(backends: &[SocketAddr], keys: &str) -> Node {
    let backends: Vec<_> = backends.iter().map(|b| format!("\"{b}\"")).collect();
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        response_entry = "handle_response"
        body = "response"
        [upstreams.origin]
        backends = [BACKENDS]
        eject = { failures = 0 }
        KEYS
        [[routes]]
        path_prefix = "/seen"
        functions = ["f"]
        upstream = "origin"
        [[routes]]
        upstream = "origin""#;
    let toml = toml.replace("BACKENDS", &backends.join(", "));
    node(&toml.replace("KEYS", keys))
        .wasm("f", phases("(i32.const 0)", "(i32.const 0)"))
        .start()
}

/// Answers its first request with `first`, and all others with their body.
fn once(first: impl Fn() -> Answer + Send + Sync + 'static) -> Origin {
    let seen = AtomicUsize::new(0);
    Origin::start(
        move |request: &Received| match seen.fetch_add(1, Ordering::SeqCst) {
            0 => first(),
            _ => Answer::ok(request.body.clone()),
        },
    )
}

fn broken() -> Answer {
    Answer::new(503, "broken").header("X-Broken", "1")
}

#[test]
fn a_listed_status_sends_idempotent_requests_to_another_backend() {
    let (bad, good) = (
        Origin::start(|_| broken()),
        Origin::start(|request| Answer::ok(request.body.clone())),
    );
    let node = before(&[bad.address, good.address], "retry_on = [\"503\"]");
    for way in WAYS {
        let mut connection = node.connect();
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
            for _ in 0..2 {
                let response = connection
                    .exchange(&Request::new(method, way).body(b"again"))
                    .unwrap();
                assert_eq!(
                    (response.status, response.header("x-broken")),
                    (200, None),
                    "{method} {way}"
                );
                let expected = if method == "HEAD" { "" } else { "again" };
                assert_eq!(response.text(), expected, "{method} {way}");
            }
        }
    }
    assert_eq!(good.requests().len(), 20);
    assert!(bad.requests().len() >= 10);
}

#[test]
fn what_must_not_be_done_twice_is_not() {
    for (method, length) in [("POST", 0), ("PATCH", 10), ("LOCK", 0), ("PUT", 100_000)] {
        for way in WAYS {
            let origin = Origin::start(|_| broken());
            let node = before(&[origin.address], "retry_on = [\"503\"]\nretries = 3");
            let response = node.send(&Request::new(method, way).body(&vec![b'x'; length]));
            assert_eq!(
                (response.status, response.text().as_str()),
                (503, "broken"),
                "{method} {way}"
            );
            assert_eq!(origin.requests().len(), 1, "{method} {way}");
        }
    }
}

#[test]
fn where_there_is_one_backend_it_is_asked_again() {
    for way in WAYS {
        for first in [broken as fn() -> Answer, || Answer::raw("")] {
            let origin = once(first);
            let node = before(&[origin.address], "retry_on = [\"reset\", \"503\"]");
            let response = node.send(&Request::new("PUT", way).chunked(b"again"));
            assert_eq!(
                (response.status, response.text().as_str()),
                (200, "again"),
                "{way}"
            );
            assert_eq!(origin.requests().len(), 2, "{way}");
        }
    }
}

#[test]
fn the_last_answer_counts_when_retries_are_used_up() {
    for way in WAYS {
        for (retries, expected) in [(0, 1), (1, 2), (3, 4)] {
            let origin = Origin::start(|_| broken());
            let keys = format!("retry_on = [\"503\"]\nretries = {retries}");
            let response = before(&[origin.address], &keys).get(way);
            assert_eq!(
                (response.status, response.text().as_str()),
                (503, "broken"),
                "{way}"
            );
            assert_eq!(
                response.header("x-aegis-error"),
                None,
                "it is the backend's"
            );
            assert_eq!(
                origin.requests().len(),
                expected,
                "{way}, {retries} retries"
            );
        }
    }
}

#[test]
fn a_connection_that_ends_before_the_answer_is_a_reset() {
    for way in WAYS {
        for half in ["", "HTTP/1.1 200 O", "HTTP/1.1 200 OK\r\nX-Half: 1\r\n"] {
            let origin = once(move || Answer::raw(half));
            let response = before(&[origin.address], "").get(way);
            assert_eq!(
                (response.status, response.header("x-half")),
                (200, None),
                "{way} {half:?}"
            );
            assert_eq!(origin.requests().len(), 2, "{way} {half:?}");
        }
        let resetting = Origin::resetting();
        let node = before(&[resetting.address], "retries = 2");
        assert_eq!(node.get(way).error(), (502, "upstream-reset"), "{way}");
        assert_eq!(resetting.accepts(), 3, "{way}");
    }
}

#[test]
fn an_answer_that_has_begun_is_not_asked_for_again() {
    for half in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let origin = Origin::start(move |_| Answer::raw(half));
        let keys = "retries = 3\nretry_on = [\"connect\", \"reset\", \"502\"]";
        let node = before(&[origin.address], keys);
        assert!(!node.get("/plain").complete, "{half:?}");
        assert_eq!(
            node.get("/seen").error(),
            (502, "upstream-reset"),
            "{half:?}"
        );
        assert_eq!(origin.requests().len(), 2, "{half:?}");
    }
}

#[test]
fn what_is_not_listed_is_not_retried() {
    let origin = Origin::saying("up");
    let node = before(
        &[Origin::absent(), origin.address],
        "retry_on = [\"503\"]\nretries = 3",
    );
    let statuses: Vec<_> = (0..4).map(|_| node.get("/").status).collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 502).count(),
        2,
        "{statuses:?}"
    );
    let closing = once(|| Answer::raw(""));
    let node = before(&[closing.address], "retry_on = []\nretries = 3");
    assert_eq!(node.get("/").error(), (502, "upstream-reset"));
    assert_eq!(closing.requests().len(), 1);
}

#[test]
fn no_more_than_a_fifth_of_the_requests_is_sent_again() {
    let origin = Origin::start(|_| broken());
    let node = before(&[origin.address], "retry_on = [\"503\"]\nretries = 10");
    let mut connection = node.connect();
    for _ in 0..1000 {
        assert_eq!(connection.exchange(&Request::get("/")).unwrap().status, 503);
    }
    let sent = origin.requests().len();
    assert!((1100..=1200).contains(&sent), "{sent} for 1000 requests");
}

/// A backend that can be killed like a process: all its sockets close at once.
struct Mortal {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    dead: AtomicBool,
    served: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
}

impl Mortal {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut streams = shared.streams.lock().unwrap();
                if shared.dead.load(Ordering::SeqCst) {
                    return;
                }
                streams.push(stream.try_clone().unwrap());
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &state.served));
            }
        });
        Self { address, state }
    }

    fn kill(&self) {
        let streams = self.state.streams.lock().unwrap();
        self.state.dead.store(true, Ordering::SeqCst);
        // The thread that accepts is woken up, and drops the listener.
        drop(TcpStream::connect(self.address));
        for stream in &*streams {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    fn served(&self) -> usize {
        self.state.served.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, served: &AtomicUsize) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let mut stream = stream;
    loop {
        while !lines.next()?.ok()?.is_empty() {}
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .ok()?;
        served.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_backend_that_dies_under_load_costs_no_idempotent_request() {
    for way in WAYS {
        let (first, second) = (Mortal::start(), Mortal::start());
        let node = before(&[first.address, second.address], "");
        let stop = AtomicBool::new(false);
        let failures = thread::scope(|scope| {
            let load = || {
                let mut connection = node.connect();
                let mut failures = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    match ask(&mut connection, way) {
                        Some((200, _)) => {}
                        Some((status, code)) => {
                            failures.push(format!("{status} {code}"));
                            connection = node.connect();
                        }
                        None => failures.push("no answer".to_owned()),
                    }
                }
                failures
            };
            let clients: Vec<_> = (0..16).map(|_| scope.spawn(load)).collect();
            until(|| first.served() > 500 && second.served() > 500);
            first.kill();
            let before = second.served();
            until(|| second.served() > before + 2000);
            stop.store(true, Ordering::SeqCst);
            let ended = clients.into_iter().map(|client| client.join().unwrap());
            ended.flatten().collect::<Vec<_>>()
        });
        assert!(failures.is_empty(), "{way}: {failures:?}");
        second.kill();
        let error = node.get(way);
        assert!(
            [502, 503].contains(&error.status),
            "{way}: {:?}",
            error.error()
        );
    }
}

fn ask(connection: &mut Connection, way: &str) -> Option<(u16, String)> {
    let response = connection.exchange(&Request::get(way))?;
    Some((response.status, response.error().1.to_owned()))
}

fn until(condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "it never happens");
        thread::yield_now();
    }
}

#[test]
fn a_client_that_waits_is_told_to_go_on_only_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        // Unread, so that it is reset.
        let (first, _) = listener.accept().unwrap();
        first.peek(&mut [0]).unwrap();
        drop(first);
        let (mut second, _) = listener.accept().unwrap();
        tell.send(()).unwrap();
        let mut reader = BufReader::new(second.try_clone().unwrap());
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        let mut body = [0; 5];
        reader.read_exact(&mut body).unwrap();
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        second.write_all(&[&head[..], &body].concat()).unwrap();
    });
    let node = before(&[address], "retry_on = [\"reset\"]");
    let mut connection = node.connect();
    let head = "PUT /seen HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n";
    connection.send(format!("{head}Expect: 100-continue\r\n\r\n").as_bytes());
    assert_eq!(connection.read_head().unwrap().0, 100);
    told.recv_timeout(PATIENCE).unwrap();
    connection.send(b"hello");
    let (status, _) = connection.read_head().unwrap();
    assert_eq!(status, 200);
}
