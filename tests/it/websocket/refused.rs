//! Requests that do not become tunnels: not allowed, not agreed to, not as they should be.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use super::{AGREED, backend, before, echo, handshake, read_head};
use crate::harness::lines::PATIENCE;
use crate::harness::{Answer, Origin, Request, node, phases};

/// Asks on the same connection twice, and sees that the origin does not hear of it.
fn is_an_ordinary_request(toml: &str, request: impl Fn() -> Request) {
    let origin = Origin::saying("no tunnel");
    let setup = node(toml).set("origin", &origin.address);
    let node = setup
        .wasm("f", phases("(i32.const 0)", "(i32.const 0)"))
        .start();
    let mut connection = node.connect();
    for _ in 0..2 {
        let response = connection.exchange(&request()).unwrap();
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "no tunnel"),
            "{toml}"
        );
        let received = origin.last();
        assert_eq!(received.header("upgrade"), None, "{toml}");
        assert_ne!(received.header("connection"), Some("upgrade"), "{toml}");
    }
}

const UPSTREAM: &str = "[upstreams.origin]\nbackends = [\"{origin}\"]\n";

#[test]
fn what_is_not_allowed_goes_on_as_an_ordinary_request() {
    for route in ["upgrade = []", "upgrade = [\"custom-proto\"]"] {
        let toml = format!("{UPSTREAM}[[routes]]\nupstream = \"origin\"\n{route}");
        is_an_ordinary_request(&toml, handshake);
    }
    for body in ["request", "response", "both"] {
        let toml = format!(
            "{UPSTREAM}[functions.f]\nmodule = \"f.wasm\"\nresponse_entry = \"handle_response\"\nbody = \"{body}\"\n\
             [[routes]]\nupstream = \"origin\"\nfunctions = [\"f\"]"
        );
        is_an_ordinary_request(&toml, handshake);
    }
    let open = format!("{UPSTREAM}[[routes]]\nupstream = \"origin\"");
    for request in [
        || Request::get("/").header("Upgrade", "websocket"),
        || {
            Request::get("/")
                .header("Connection", "Upgrade")
                .header("Upgrade", "h2c")
        },
        || {
            Request::get("/")
                .header("Connection", "Upgrade")
                .header("Upgrade", "websockets")
        },
        || {
            Request::new("POST", "/")
                .header("Connection", "Upgrade")
                .header("Upgrade", "websocket")
        },
        || {
            let request = Request::get("/").header("Connection", "Upgrade");
            request.header("Upgrade", "websocket").body(b"with a body")
        },
    ] {
        is_an_ordinary_request(&open, request);
    }
}

#[test]
fn a_route_that_says_so_allows_it_whatever_its_functions_read() {
    for body in ["request", "response"] {
        let functions = format!(
            "[functions.f]\nmodule = \"f.wasm\"\nresponse_entry = \"handle_response\"\nbody = \"{body}\"\n"
        );
        let route = "functions = [\"f\"]\nupgrade = [\"websocket\"]";
        let setup = before(backend(AGREED, echo), [&functions, "", route]);
        let node = setup
            .wasm("f", phases("(i32.const 0)", "(i32.const 0)"))
            .start();
        super::message(&mut super::upgraded(&node), b"through");
    }
}

#[test]
fn a_backend_that_does_not_agree_is_heard_like_any_other() {
    let origin = Origin::start(|_| Answer::new(426, "not here").header("Upgrade", "other"));
    let node = before(origin.address, ["", "", ""]).start();
    let mut connection = node.connect();
    for _ in 0..2 {
        let response = connection.exchange(&handshake()).unwrap();
        assert_eq!(
            (response.status, response.text().as_str()),
            (426, "not here")
        );
    }
    assert_eq!(origin.last().header("upgrade"), Some("websocket"));
    assert_eq!(origin.last().header("connection"), Some("upgrade"));
    assert_eq!(connection.exchange(&Request::get("/")).unwrap().status, 426);
}

#[test]
fn a_backend_that_agrees_to_something_else_is_502() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, other\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ] {
        let node = before(backend(answer, drop), ["", "", ""]).start();
        assert_eq!(
            node.send(&handshake()).error(),
            (502, "upstream-invalid"),
            "{answer}"
        );
    }
    let node = before(backend(AGREED, drop), ["", "", "upgrade = []"]).start();
    for request in [handshake(), Request::get("/")] {
        assert_eq!(node.send(&request).error(), (502, "upstream-invalid"));
    }
}

#[test]
fn a_backend_that_does_not_answer_the_handshake_is_504() {
    let wait = |mut stream: TcpStream| drop(stream.read(&mut [0]));
    let node = before(backend("", wait), ["", "read_timeout = \"200ms\"", ""]).start();
    assert_eq!(node.send(&handshake()).error(), (504, "upstream-timeout"));
    let begun = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let node = before(backend(begun, wait), ["", "read_timeout = \"200ms\"", ""]).start();
    let response = node.send(&handshake());
    assert_eq!((response.status, response.complete), (200, false));
}

#[test]
fn what_is_sent_ahead_does_not_reach_the_backend_before_it_agrees() {
    let (seen, sight) = mpsc::channel();
    let address = backend("", move |mut stream| {
        // Whatever comes now comes before the answer.
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let mut early = [0; 100];
        let length = stream.read(&mut early).unwrap_or(0);
        seen.send(early[..length].to_vec()).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
            .ok();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        seen.send(read_head(&mut stream).into_bytes()).ok();
    });
    let node = before(address, ["", "", ""]).start();
    let smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut connection = node.connect();
    connection.send(&[&handshake().bytes()[..], smuggled].concat());
    assert_eq!(sight.recv_timeout(PATIENCE).unwrap(), b"");
    assert_eq!(connection.read("GET").unwrap().text(), "no");
    drop(connection);
    drop(node);
    assert_eq!(sight.recv_timeout(PATIENCE).unwrap(), b"");
}

#[test]
fn a_client_that_does_not_wait_is_refused() {
    let (seen, sight) = mpsc::channel();
    let address = backend("", move |mut stream| {
        seen.send(Vec::new()).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).ok();
        seen.send(rest).unwrap();
    });
    let node = before(address, ["", "", ""]).start();
    let mut connection = node.connect();
    connection.send(&handshake().bytes());
    sight.recv_timeout(PATIENCE).unwrap();
    connection.send(b"too early");
    assert_eq!(
        connection.read("GET").unwrap().error(),
        (400, "bad-request")
    );
    assert_eq!(sight.recv_timeout(PATIENCE).unwrap(), b"");
}

#[test]
fn http_in_a_tunnel_is_no_protocol_to_allow() {
    let refused = |keys: &str| {
        let (code, printed) = before("127.0.0.1:9".parse().unwrap(), ["", "", keys]).check(&[]);
        assert_eq!(code, Some(1), "{printed}");
        printed
    };
    assert!(refused("upgrade = [\"h2c\"]").contains("routes[0].upgrade[0]"));
    assert!(refused("upgrade = [\"no name\"]").contains("not the name of a protocol"));
    let alone = node("[[routes]]\nrespond = { status = 200 }\nupgrade = [\"websocket\"]");
    let (_, printed) = alone.check(&[]);
    assert!(printed.contains("nobody to go on with"), "{printed}");
}
