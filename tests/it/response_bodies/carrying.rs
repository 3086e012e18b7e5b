//! Such requests are carried by the node itself: what the backend and the client see of that is what they see elsewhere.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use super::{MEASURE, both, echo, measuring, on_response, pattern, through};
use crate::harness::lines::PATIENCE;
use crate::harness::{Answer, Connection, Origin, Request, node, phases};

/// A backend that does with its connections what it is told.
fn raw(serve: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(serve));
    address
}

fn at(address: SocketAddr) -> String {
    format!("backends = [\"{address}\"]")
}

fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
        head.push(byte[0]);
    }
    head
}

/// Sends a body of this size from another thread, until it is all sent or not taken any more;
/// says how much was taken.
fn send_behind(connection: &Connection, size: usize) -> thread::JoinHandle<usize> {
    let mut socket = connection.socket().try_clone().unwrap();
    thread::spawn(move || {
        let piece = pattern(251 << 10);
        let mut left = size;
        while left > 0 {
            let length = left.min(piece.len());
            if socket.write_all(&piece[..length]).is_err() {
                break;
            }
            left -= length;
        }
        size - left
    })
}

#[test]
fn the_backend_sees_what_it_sees_on_other_routes() {
    let origin = echo();
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        response_entry = "handle_response"
        body = "response"
        [functions.b]
        module = "f.wasm"
        body = "request"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        path_prefix = "/seen"
        functions = ["f"]
        upstream = "origin"
        [[routes]]
        path_prefix = "/buffered"
        functions = ["b"]
        upstream = "origin"
        [[routes]]
        upstream = "origin""#;
    let node = node(toml)
        .set("origin", &origin.address)
        .wasm("f", on_response(MEASURE))
        .start();
    let is_framing = |name: &str| name == "content-length" || name == "transfer-encoding";
    for request in [
        "GET /PATH/a/../b?q=%20 HTTP/1.1\r\nHost: shop.test:80\r\nX-A: 1\r\nx-a: 2\r\nConnection: x-hop\r\nX-Hop: 1\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\nProxy-Authorization: p\r\nX-Forwarded-For: 9.9.9.9\r\nAccept-Encoding: identity\r\n\r\n",
        "POST /PATH HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nAccept-Encoding: identity\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nbody",
        "PUT /PATH HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nAccept-Encoding: identity\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "DELETE /PATH HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nAccept-Encoding: identity\r\n\r\n",
        "GET /PATH HTTP/1.0\r\nAccept-Encoding: identity\r\n\r\n",
    ] {
        let seen: Vec<_> = ["/other", "/seen", "/buffered"]
            .map(|path| {
                node.raw(request.replace("/PATH", path).as_bytes()).unwrap();
                let mut received = origin.last();
                received.target = received.target.replace(path, "");
                for (name, value) in &mut received.headers {
                    *name = name.to_lowercase();
                    if name == "x-request-id" || name == "traceparent" {
                        value.clear();
                    }
                }
                received.headers.sort();
                if path == "/buffered" && request.contains("chunked") {
                    // Its length is known by now.
                    let framing = ("transfer-encoding".to_owned(), "chunked".to_owned());
                    received.headers.retain(|(name, _)| !is_framing(name));
                    received.headers.push(framing);
                    received.headers.sort();
                }
                (
                    received.method,
                    received.target,
                    received.headers,
                    received.body,
                )
            })
            .into();
        assert_eq!(seen[0], seen[1], "{request}");
        assert_eq!(seen[0], seen[2], "{request}");
    }
}

#[test]
fn a_connection_header_that_asks_too_much_is_400() {
    let origin = echo();
    let node = measuring(&origin, "body = \"response\"");
    let request = Request::get("/").header("Connection", "x-forwarded-for");
    assert_eq!(node.send(&request).error(), (400, "bad-request"));
    assert!(origin.requests().is_empty());
}

#[test]
fn nothing_compressed_is_asked_for_and_what_comes_so_is_left_alone() {
    let origin = Origin::start(|_| Answer::ok("not gzip").header("Content-Encoding", "gzip"));
    let node = measuring(&origin, "body = \"response\"");
    let response = node.send(&Request::get("/").header("Accept-Encoding", "gzip, br"));
    assert_eq!(origin.last().all("accept-encoding"), ["identity"]);
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(response.text(), "not gzip");
    assert_eq!(response.header("x-length"), Some("8"));
}

#[test]
fn connections_are_kept_on_both_sides() {
    let origin = echo();
    let node = measuring(&origin, "body = \"both\"");
    let mut connection = node.connect();
    for _ in 0..5 {
        for request in both(&pattern(100_000)) {
            let response = connection.exchange(&request).unwrap();
            assert_eq!(response.header("connection"), Some("keep-alive"));
        }
        connection.send(&[Request::get("/a").bytes(), Request::get("/b").bytes()].concat());
        assert_eq!(connection.read("GET").unwrap().status, 200);
        assert_eq!(connection.read("GET").unwrap().status, 200);
    }
    // The library's pool may lose one now and then, when it is taken while it is put back.
    let accepts = origin.accepts();
    assert!(accepts < 5, "{accepts} connections for 20 requests");
}

#[test]
fn the_log_tells_of_such_a_request_what_it_tells_of_others() {
    let origin = Origin::saying("page");
    let node = measuring(&origin, "body = \"response\"");
    assert_eq!(node.get("/logged").text(), "page");
    let line = node.access("/logged");
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes_sent"], 4);
    assert_eq!(line["upstream"], origin.address.to_string());
    assert!(line["upstream_ms"].is_number(), "{line}");
    assert_eq!(
        line["functions"].as_array().map(Vec::len),
        Some(2),
        "{line}"
    );
}

#[test]
fn a_client_that_waits_for_100_continue_is_told_to_go_on() {
    let origin = echo();
    for access in ["response", "both"] {
        let node = measuring(&origin, &format!("body = \"{access}\""));
        let mut connection = node.connect();
        connection.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        );
        assert_eq!(connection.read_head().unwrap().0, 100);
        connection.send(b"hello");
        assert_eq!(connection.read("POST").unwrap().text(), "hello");
        assert_eq!(origin.last().header("expect"), None);
        assert_eq!(connection.exchange(&Request::get("/")).unwrap().status, 200);
    }
}

#[test]
fn a_client_of_http_1_0_gets_a_length_or_the_end_of_the_connection() {
    let origin = Origin::start(|request| {
        let answer = Answer::ok("page").header("Transfer-Encoding", "chunked");
        match request.target.as_str() {
            "/events" => answer.header("Content-Type", "text/event-stream"),
            _ => answer,
        }
    });
    let node = measuring(&origin, "body = \"response\"");
    for (target, length) in [("/", Some("4")), ("/events", None)] {
        let request = format!("GET {target} HTTP/1.0\r\n\r\n");
        let response = node.raw(request.as_bytes()).unwrap();
        assert_eq!(response.header("transfer-encoding"), None);
        assert_eq!(response.header("content-length"), length);
        assert_eq!(response.text(), "page");
    }
}

#[test]
fn a_streamed_body_over_the_routes_size_is_413() {
    let origin = echo();
    let keys = "body = \"response\"\n[server.limits]\nbody_size = \"64KiB\"";
    let node = measuring(&origin, keys);
    for request in both(&pattern(65_537)) {
        assert_eq!(node.send(&request).error(), (413, "body-too-large"));
    }
    for request in both(&pattern(65_536)) {
        assert_eq!(node.send(&request).status, 200);
    }
}

#[test]
fn a_backend_that_refuses_a_body_unread_is_heard() {
    const SIZE: usize = 32 << 20;
    let unread = Mutex::new(Vec::new());
    let address = raw(move |mut stream| {
        read_head(&mut stream);
        let refusal = b"HTTP/1.1 413 Too much\r\nContent-Length: 2\r\n\r\nno";
        stream.write_all(refusal).unwrap();
        unread.lock().unwrap().push(stream);
    });
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n");
    for access in ["response", "both"] {
        let keys = format!("body = \"{access}\"\nlimits = {{ body_size = \"32MiB\" }}");
        let node = through(&keys, MEASURE, &at(address));
        let mut connection = node.connect();
        connection.send(head.as_bytes());
        let sending = send_behind(&connection, SIZE);
        let response = connection.read("POST").unwrap();
        assert_eq!((response.status, response.text().as_str()), (413, "no"));
        assert_eq!(response.header("x-length"), Some("2"), "{access}");
        drop(connection);
        sending.join().unwrap();
    }
}

#[test]
fn a_client_is_not_cut_off_by_a_backend_that_closes_with_the_body_unread() {
    // More than the buffers of all sockets on the way hold.
    const SIZE: usize = 32 << 20;
    for status in [413, 200] {
        let address = raw(move |mut stream| {
            read_head(&mut stream);
            let answer = format!("HTTP/1.1 {status} Unread\r\nContent-Length: 2\r\n\r\nno");
            // What is unread makes a reset of the end of the connection.
            stream.read_exact(&mut [0; 1]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let keys = "body = \"response\"\nlimits = { body_size = \"32MiB\" }";
        let node = through(keys, MEASURE, &at(address));
        // Whether the node first meets the answer or the reset is a matter of luck.
        for _ in 0..8 {
            let mut connection = node.connect();
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n");
            connection.send(head.as_bytes());
            let sending = send_behind(&connection, SIZE);
            let response = connection.read("POST").unwrap();
            assert_eq!((response.status, response.text().as_str()), (status, "no"));
            assert_eq!(sending.join().unwrap(), SIZE, "{status}");
        }
    }
}

#[test]
fn a_backend_that_answers_before_it_reads_gets_the_body_all_the_same() {
    let (tell, told) = mpsc::channel();
    let address = raw(move |mut stream| {
        let head = read_head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .unwrap();
        if head.starts_with(b"PUT") {
            let mut body = vec![0; 8 << 20];
            let read = stream.read_exact(&mut body);
            tell.send(read.map(|()| body)).unwrap();
        }
    });
    let node = through("body = \"response\"", MEASURE, &at(address));
    let response = node.send(&Request::new("PUT", "/").body(&pattern(8 << 20)));
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    let body = told.recv_timeout(PATIENCE).unwrap().unwrap();
    assert!(body == pattern(8 << 20));
}

#[test]
fn a_body_that_comes_back_as_it_is_sent_neither_stops_nor_piles_up() {
    const SIZE: usize = 64 << 20;
    let address = raw(|mut stream| {
        thread::spawn(move || {
            read_head(&mut stream);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            let mut from = stream.try_clone().unwrap();
            std::io::copy(&mut from, &mut stream).ok();
        });
    });
    let keys = "body = \"response\"\nlimits = { memory = \"4MiB\", body_size = \"64KiB\" }\n[edge]\nmemory = \"8MiB\"";
    let node = through(keys, MEASURE, &at(address));
    let mut connection = node.connect();
    let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n");
    connection.send(head.as_bytes());
    let sending = send_behind(&connection, SIZE);
    let response = connection.read("PUT").unwrap();
    sending.join().unwrap();
    assert_eq!((response.status, response.complete), (200, true));
    assert!(response.body == pattern(SIZE));
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.process())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: usize = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(peak < 60 << 10, "{peak} kB");
}

#[test]
fn a_client_that_sends_slowly_is_not_the_backends_fault() {
    let origin = echo();
    let backends = format!("backends = [\"{}\"]\nread_timeout = \"1s\"", origin.address);
    let node = through("body = \"response\"", MEASURE, &backends);
    let mut connection = node.connect();
    connection.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    connection.send(b"a");
    // Nothing comes back in more than the backend's time.
    let mut socket = connection.socket();
    let longer = Duration::from_millis(1500);
    socket.set_read_timeout(Some(longer)).unwrap();
    let silence = socket.read(&mut [0]).unwrap_err();
    assert_eq!(silence.kind(), ErrorKind::WouldBlock);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.send(b"b");
    let answer = connection.read("POST").unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "ab"));
    assert_eq!(origin.last().body, b"ab");
}

#[test]
fn interim_answers_are_skipped() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    for (count, expected) in [
        (0, (200, "")),
        (16, (200, "")),
        (17, (502, "upstream-invalid")),
    ] {
        let answer = format!(
            "{}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
            interim.repeat(count)
        );
        let origin = Origin::start(move |_| Answer::raw(answer.clone()));
        let response = measuring(&origin, "body = \"response\"").get("/");
        assert_eq!(response.error(), expected, "{count}");
    }
    let origin = Origin::start(|_| Answer::raw("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"));
    let response = measuring(&origin, "body = \"response\"").get("/");
    assert_eq!(response.error(), (502, "upstream-invalid"));
}

#[test]
fn a_body_that_a_function_sets_goes_to_the_backend_in_the_clients_place() {
    let origin = echo();
    let request = "(drop (call $request_set_body {new})) (drop (call $request_set_header {x-a} {1})) (i32.const 0)";
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        response_entry = "handle_response"
        body = "response"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        functions = ["f"]
        upstream = "origin""#;
    let node = node(toml)
        .set("origin", &origin.address)
        .wasm("f", phases(request, MEASURE))
        .start();
    let mut connection = node.connect();
    let requests = [both(&pattern(100_000)), both(b"")];
    for request in requests.iter().flatten().chain([&Request::get("/")]) {
        let response = connection.exchange(request).unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, "new"));
        assert_eq!(response.header("x-length"), Some("3"));
        assert_eq!(origin.last().header("x-a"), Some("1"));
    }
}
