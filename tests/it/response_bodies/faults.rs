//! Backends that are absent, slow or cut short, clients that leave, memory that is short.

use std::sync::mpsc;

use super::{MEASURE, backends, echo, measuring, pattern, through};
use crate::harness::{Answer, Gate, Origin, Request};

#[test]
fn an_answer_that_is_cut_short_is_502_before_anything_was_sent() {
    for half in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nContent-Len",
        "",
    ] {
        let origin = Origin::start(move |_| Answer::raw(half));
        let node = measuring(&origin, "body = \"response\"");
        let response = node.send(&Request::new("POST", "/").body(b"x"));
        assert_eq!(response.error(), (502, "upstream-reset"), "{half:?}");
        assert_eq!(response.header("x-length"), None);
    }
}

#[test]
fn an_answer_that_is_cut_short_on_its_way_cuts_the_connection() {
    let event = "Content-Type: text/event-stream";
    for half in [
        format!("HTTP/1.1 200 OK\r\n{event}\r\nContent-Length: 100\r\n\r\nhalf"),
        format!("HTTP/1.1 200 OK\r\n{event}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
        "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\nhalf".to_owned(),
    ] {
        let answer = half.clone();
        let origin = Origin::start(move |_| Answer::raw(answer.clone()));
        let response = measuring(&origin, "body = \"response\"").get("/");
        assert_eq!(
            (response.status, response.complete),
            (200, false),
            "{half:?}"
        );
    }
}

#[test]
fn an_answer_that_is_not_http_is_502_upstream_invalid() {
    for nonsense in [
        "HTTP/1.1 banana\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nbanana\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
    ] {
        let origin = Origin::start(move |_| Answer::raw(nonsense));
        let response = measuring(&origin, "body = \"response\"").get("/");
        assert_eq!(response.error(), (502, "upstream-invalid"), "{nonsense:?}");
    }
}

#[test]
fn a_silent_backend_is_504_before_its_header_and_within_its_body() {
    for begun in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"] {
        let gate = Gate::default();
        let closed = gate.clone();
        let origin = Origin::start(move |_| Answer::halves(begun, &closed, ""));
        let keys = format!("{}\nread_timeout = \"200ms\"", backends(&origin));
        for access in ["response", "both"] {
            let node = through(&format!("body = \"{access}\""), MEASURE, &keys);
            let response = node.send(&Request::new("POST", "/").body(b"x"));
            assert_eq!(response.error(), (504, "upstream-timeout"), "{begun:?}");
        }
        gate.open();
    }
}

#[test]
fn a_refused_connection_is_retried_on_another_backend() {
    let origin = echo();
    let two = format!(
        "backends = [\"{}\", \"{}\"]\nretries = 1",
        Origin::absent(),
        origin.address
    );
    for access in ["response", "both"] {
        let node = through(&format!("body = \"{access}\""), MEASURE, &two);
        for _ in 0..4 {
            let response = node.send(&Request::new("POST", "/").body(b"once"));
            assert_eq!((response.status, response.text().as_str()), (200, "once"));
        }
    }
    assert_eq!(origin.requests().len(), 8);
}

#[test]
fn no_backend_up_is_502_upstream_connect() {
    for retries in [0, 1, 5] {
        let absent = format!(
            "backends = [\"{}\", \"{}\"]\nretries = {retries}",
            Origin::absent(),
            Origin::absent()
        );
        let node = through("body = \"response\"", MEASURE, &absent);
        assert_eq!(node.get("/").error(), (502, "upstream-connect"));
    }
}

#[test]
fn a_backend_with_all_connections_busy_is_503_overloaded() {
    let gate = Gate::default();
    let closed = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("done").held(&closed));
    let keys = format!("{}\nconnections = 1", backends(&origin));
    let node = through("body = \"response\"", MEASURE, &keys);
    let mut first = node.connect();
    first.send(&Request::get("/").bytes());
    origin.wait_for(1);
    assert_eq!(node.get("/").error(), (503, "overloaded"));
    gate.open();
    assert_eq!(first.read("GET").unwrap().text(), "done");
    assert_eq!(node.get("/").text(), "done");
}

/// How often the origin gets a request on a connection that it closes without an answer.
fn times_sent(access: &str, request: &Request) -> usize {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/last" => Answer::raw(""),
        _ => Answer::ok(""),
    });
    let node = measuring(&origin, &format!("body = \"{access}\""));
    assert_eq!(node.get("/first").status, 200);
    // Logged once the connection to the backend is given back.
    node.access("/first");
    assert_eq!(node.send(request).error(), (502, "upstream-reset"));
    let requests = origin.requests();
    let sent: Vec<_> = requests.iter().filter(|r| r.target == "/last").collect();
    assert!(sent.iter().all(|request| request.body == sent[0].body));
    sent.len()
}

#[test]
fn a_request_lost_with_a_kept_connection_is_sent_again_if_that_is_harmless() {
    let large = pattern(100_000);
    for (method, access, body, expected) in [
        ("GET", "response", &b""[..], 2),
        ("PUT", "response", b"little", 2),
        ("PUT", "response", &large, 1),
        ("PUT", "both", &large, 2),
        ("POST", "both", b"pay", 1),
    ] {
        let request = Request::new(method, "/last").chunked(body);
        // The library's pool may lose a connection now and then; a new one is not replaced.
        let sent = (0..3).map(|_| times_sent(access, &request)).max();
        assert_eq!(sent, Some(expected), "{method} {access} {}", body.len());
    }
}

#[test]
fn a_request_the_origin_may_have_acted_on_is_not_sent_twice() {
    let origin = Origin::start(|_| Answer::raw(""));
    let keys = format!("{}\nretries = 3", backends(&origin));
    let node = through("body = \"both\"", MEASURE, &keys);
    assert_eq!(
        node.send(&Request::new("POST", "/").body(b"pay")).status,
        502
    );
    assert_eq!(origin.requests().len(), 1);
}

/// Says that a request has come, and then when its connection is closed.
fn watched() -> (std::net::SocketAddr, mpsc::Receiver<&'static str>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 1024];
        let count = std::io::Read::read(&mut stream, &mut bytes).unwrap();
        assert!(count > 0);
        tell.send("asked").unwrap();
        while std::io::Read::read(&mut stream, &mut bytes).is_ok_and(|count| count > 0) {}
        tell.send("closed").unwrap();
    });
    (address, told)
}

#[test]
fn a_client_that_leaves_takes_the_exchange_with_it() {
    for access in ["response", "both"] {
        let (address, told) = watched();
        let keys = format!("backends = [\"{address}\"]\nread_timeout = \"1h\"");
        let node = through(&format!("body = \"{access}\""), MEASURE, &keys);
        let mut connection = node.connect();
        connection.send(&Request::new("POST", "/left").body(b"body").bytes());
        let patience = std::time::Duration::from_secs(20);
        assert_eq!(told.recv_timeout(patience), Ok("asked"));
        drop(connection);
        assert_eq!(told.recv_timeout(patience), Ok("closed"));
        assert_eq!(node.access("/left")["status"], 499);
    }
}

#[test]
fn a_body_that_the_edges_memory_has_no_room_for_is_503() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/chunked" => Answer::ok(pattern(5 << 20)).header("Transfer-Encoding", "chunked"),
        "/large" => Answer::ok(pattern(5 << 20)),
        _ => Answer::ok("small"),
    });
    let keys = "body = \"response\"\nlimits = { memory = \"4MiB\", body_size = \"8MiB\" }\n[edge]\nmemory = \"4MiB\"";
    let node = through(keys, MEASURE, &backends(&origin));
    for target in ["/large", "/chunked"] {
        assert_eq!(node.get(target).error(), (503, "overloaded"));
    }
    assert_eq!(node.get("/").text(), "small");
}

#[test]
fn memory_of_answers_is_given_back() {
    let origin = Origin::start(|_| Answer::ok(pattern(1 << 20)));
    let keys = "body = \"response\"\nlimits = { memory = \"4MiB\" }\n[edge]\nmemory = \"12MiB\"";
    for guest in [MEASURE, super::REPLACE, "(i32.const -1)", "unreachable"] {
        let node = through(keys, guest, &backends(&origin));
        let statuses: Vec<u16> = (0..12).map(|_| node.get("/").status).collect();
        assert!(statuses.iter().all(|status| *status == statuses[0]));
        assert_ne!(statuses[0], 503, "{guest}");
    }
}

#[test]
fn a_body_that_streams_on_leaves_the_memory_to_others() {
    let gate = Gate::default();
    let rest = gate.clone();
    let origin = Origin::start(move |request| match request.target.as_str() {
        "/endless" => {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunk = format!("{:x}\r\n", 5 << 20);
            let first = [
                head.as_bytes(),
                chunk.as_bytes(),
                &pattern(5 << 20),
                b"\r\n",
            ]
            .concat();
            Answer::halves(first, &rest, "0\r\n\r\n")
        }
        _ => Answer::ok(pattern(3 << 20)),
    });
    // Room for the one or the other.
    let keys = "body = \"response\"\nlimits = { memory = \"4MiB\", body_size = \"4MiB\" }\n[edge]\nmemory = \"10MiB\"";
    let node = through(keys, MEASURE, &backends(&origin));
    let mut endless = node.connect();
    endless.send(&Request::get("/endless").bytes());
    let (status, headers) = endless.read_head().unwrap();
    assert_eq!(status, 200);
    assert!(headers.contains(&("x-length".into(), "-1/3".into())));
    // More than was buffered has come, so that was written.
    endless.read_bytes(5 << 20);
    assert_eq!(node.get("/").status, 200);
    gate.open();
}

#[test]
fn a_body_that_was_sent_leaves_the_memory_to_others() {
    let gate = Gate::default();
    let rest = gate.clone();
    let origin = Origin::start(move |request| match request.target.as_str() {
        "/events" => Answer::halves(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n",
            &rest,
            "",
        ),
        _ => Answer::ok("page"),
    });
    // Bodies may take half of it: one of these, not two.
    let keys = "body = \"both\"\nlimits = { memory = \"4MiB\", body_size = \"4MiB\" }\n[edge]\nmemory = \"12MiB\"";
    let node = through(keys, MEASURE, &backends(&origin));
    let post = |target| Request::new("POST", target).body(&pattern(4 << 20));
    let mut events = node.connect();
    events.send(&post("/events").bytes());
    assert_eq!(events.read_head().unwrap().0, 200);
    assert_eq!(events.read_bytes(3), b"9\r\n");
    assert_eq!(node.send(&post("/")).status, 200);
    gate.open();
}
