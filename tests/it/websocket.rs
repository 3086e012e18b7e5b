//! WebSocket and other protocols that clients and backends go on in: who may, what passes, and how it ends.

mod frames;
mod refused;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use self::frames::{Frame, read_frame};
use crate::harness::lines::PATIENCE;
use crate::harness::node::Setup;
use crate::harness::{Connection, Node, Request, module, node};

const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Short timeouts for all that is not to count for tunnels.
const LIMITS: &str = "[server.limits]\nbody_size = \"10B\"\nbody_timeout = \"100ms\"\nidle_timeout = \"100ms\"\nbody_rate = \"1GiB\"\n";

/// A backend that sends `answer` for every header it gets, and then does what it is told.
fn backend(answer: &'static str, then: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let then = then.clone();
            thread::spawn(move || {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                read_head(&mut stream);
                stream.write_all(answer.as_bytes()).unwrap();
                then(stream);
            });
        }
    });
    address
}

/// Sends back every message it gets, and its own close for a close.
fn echo(mut stream: TcpStream) {
    while let Some(frame) = read_frame(&mut stream) {
        if stream.write_all(&frame.unmasked()).is_err() || frame.is_close() {
            return;
        }
    }
}

/// Reads up to the end of a header, and not a byte more.
fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn handshake() -> Request {
    Request::get("/chat")
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "WebSocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

/// A node in front of `backend`, with these keys of the server, the upstream and the route.
fn before(backend: SocketAddr, [server, upstream, route]: [&str; 3]) -> Setup {
    let toml = format!(
        "{server}\n[upstreams.origin]\nbackends = [\"{backend}\"]\n{upstream}\n\
         [[routes]]\nupstream = \"origin\"\n{route}"
    );
    node(&toml)
}

/// A connection that has gone on in the other protocol.
fn upgraded(node: &Node) -> Connection {
    let mut connection = node.connect();
    connection.send(&handshake().bytes());
    let (status, headers) = connection.read_head().unwrap();
    assert_eq!(status, 101);
    let named = |name: &str, value: &str| {
        headers
            .iter()
            .any(|(n, v)| n.eq_ignore_ascii_case(name) && v.eq_ignore_ascii_case(value))
    };
    assert!(
        named("connection", "upgrade") && named("upgrade", "websocket"),
        "{headers:?}"
    );
    assert!(
        named("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "{headers:?}"
    );
    connection
}

fn message(connection: &mut Connection, payload: &[u8]) {
    connection.send(&Frame::text(payload).masked([1, 2, 3, 4]));
    let answer = read_frame(connection.buffered()).expect("the tunnel ended");
    assert!(
        answer.payload == payload,
        "{} of {} bytes",
        answer.payload.len(),
        payload.len()
    );
}

#[test]
fn a_thousand_messages_and_large_ones_pass_both_ways_whatever_the_limits_of_bodies() {
    let node = before(backend(AGREED, echo), [LIMITS, "", ""]).start();
    let mut connection = upgraded(&node);
    for number in 0..1000 {
        message(&mut connection, format!("message {number}").as_bytes());
    }
    let mut socket = connection.socket().try_clone().unwrap();
    for length in [0, 125, 126, 65_535, 65_536, 3 << 20] {
        let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        let frame = Frame::text(&payload).masked([9, 8, 7, 6]);
        // Neither end may wait for the other to have written it all.
        let writer = {
            let mut socket = socket.try_clone().unwrap();
            thread::spawn(move || socket.write_all(&frame).unwrap())
        };
        let answer = read_frame(&mut socket).unwrap();
        assert!(answer.payload == payload, "{length}");
        writer.join().unwrap();
    }
    connection.send(&Frame::close().masked([1, 1, 1, 1]));
    assert!(read_frame(connection.buffered()).unwrap().is_close());
    assert!(connection.read_to_close().is_empty());
    let line = node.access("/chat");
    assert_eq!(
        (&line["status"], &line["code"]),
        (&101.into(), &serde_json::Value::Null)
    );
    assert!(line["bytes_sent"].as_u64().unwrap() > 3 << 20, "{line}");
}

#[test]
fn an_end_that_only_writes_stops_neither() {
    let both = |mut stream: TcpStream| {
        let mut writer = stream.try_clone().unwrap();
        let size = 8 << 20;
        // It reads only when it has written all.
        writer.write_all(&vec![b'b'; size]).unwrap();
        let mut heard = vec![0; size];
        stream.read_exact(&mut heard).unwrap();
        writer.write_all(b"done").unwrap();
    };
    let node = before(backend(AGREED, both), ["", "", ""]).start();
    let mut connection = upgraded(&node);
    let mut socket = connection.socket().try_clone().unwrap();
    let writer = thread::spawn(move || socket.write_all(&vec![b'c'; 8 << 20]).unwrap());
    assert_eq!(connection.read_bytes(8 << 20), vec![b'b'; 8 << 20]);
    assert_eq!(connection.read_bytes(4), b"done");
    writer.join().unwrap();
}

#[test]
fn what_a_backend_sends_unasked_comes_at_once() {
    let push = |mut stream: TcpStream| {
        stream
            .write_all(&Frame::text(b"pushed").unmasked())
            .unwrap();
        echo(stream);
    };
    let node = before(backend(AGREED, push), ["", "", ""]).start();
    let mut connection = upgraded(&node);
    assert_eq!(
        read_frame(connection.buffered()).unwrap().payload,
        b"pushed"
    );
    message(&mut connection, b"and answered");
}

/// Tells when its tunnels end.
fn ending() -> (SocketAddr, Receiver<Instant>) {
    let (ended, end) = mpsc::channel();
    let wait = move |mut stream: TcpStream| {
        while stream.read(&mut [0; 100]).is_ok_and(|n| n > 0) {}
        ended.send(Instant::now()).ok();
    };
    (backend(AGREED, wait), end)
}

#[test]
fn when_one_end_leaves_the_other_is_told() {
    let (address, end) = ending();
    let node = before(address, ["", "", ""]).start();
    drop(upgraded(&node));
    end.recv_timeout(PATIENCE).unwrap();
    let leaving = before(backend(AGREED, drop), ["", "", ""]).start();
    assert!(upgraded(&leaving).read_to_close().is_empty());
    assert_eq!(leaving.access("/chat")["status"], 101);
}

#[test]
fn silence_ends_a_tunnel_after_its_own_timeout_and_no_other() {
    let (address, end) = ending();
    let limits = format!("{LIMITS}upgrade_idle_timeout = \"700ms\"");
    let node = before(address, [&limits, "read_timeout = \"50ms\"", ""]).start();
    let began = Instant::now();
    let mut connection = upgraded(&node);
    assert!(connection.read_to_close().is_empty());
    let took = end.recv_timeout(PATIENCE).unwrap() - began;
    assert!(
        (Duration::from_millis(700)..Duration::from_secs(5)).contains(&took),
        "{took:?}"
    );
}

/// Sends to `to` once a while, and never hears anything.
fn keep_talking(to: &mut TcpStream, pause: Duration, times: usize) {
    to.set_read_timeout(Some(pause)).unwrap();
    for _ in 0..times {
        to.write_all(b"x").unwrap();
        let heard = to.read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(heard, Err(ErrorKind::WouldBlock));
    }
}

#[test]
fn a_tunnel_lives_while_one_end_talks() {
    let (pause, limits) = (
        Duration::from_millis(50),
        "[server.limits]\nupgrade_idle_timeout = \"500ms\"\n",
    );
    let upstream = "read_timeout = \"50ms\"";
    let (address, end) = ending();
    let node = before(address, [limits, upstream, ""]).start();
    let mut client = upgraded(&node).socket().try_clone().unwrap();
    keep_talking(&mut client, pause, 20);
    assert!(end.try_recv().is_err(), "it ended though the client talked");
    let (done, over) = mpsc::channel();
    let talk = move |mut stream: TcpStream| {
        keep_talking(&mut stream, Duration::from_millis(50), 20);
        done.send(()).ok();
    };
    let node = before(backend(AGREED, talk), [limits, upstream, ""]).start();
    let mut connection = upgraded(&node);
    assert_eq!(connection.read_bytes(20), [b'x'; 20]);
    over.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_function_decides_on_the_handshake() {
    let guest = module(
        "(if (i32.lt_s (call $request_get_header {authorization}) (i32.const 0))
           (then (drop (call $request_terminate (i32.const 403)))))
         (i32.const 0)",
    );
    let functions = "[functions.guard]\nmodule = \"guard.wasm\"\n";
    let route = "functions = [\"guard\"]";
    let setup = before(backend(AGREED, echo), [functions, "", route]);
    let node = setup.wasm("guard", guest).start();
    assert_eq!(node.send(&handshake()).status, 403);
    let mut connection = node.connect();
    connection.send(&handshake().header("Authorization", "yes").bytes());
    assert_eq!(connection.read_head().unwrap().0, 101);
    message(&mut connection, b"let in");
}

#[test]
fn the_agreement_carries_what_the_route_and_its_functions_add() {
    let guest = module("(drop (call $response_set_header {x-of} {function})) (i32.const 0)");
    let functions = "[functions.edit]\nmodule = \"edit.wasm\"\n";
    let route = "functions = [\"edit\"]\nresponse_headers = { set = { x-node = \"1\" }, remove = [\"sec-websocket-extensions\"] }";
    let agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, x-hop\r\nUpgrade: websocket\r\nX-Hop: 1\r\nSec-WebSocket-Extensions: x\r\n\r\n";
    let setup = before(backend(agreed, echo), [functions, "", route]);
    let node = setup.wasm("edit", guest).start();
    let mut connection = node.connect();
    connection.send(&handshake().bytes());
    let (status, headers) = connection.read_head().unwrap();
    assert_eq!(status, 101);
    let value = |name: &str| {
        let field = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    };
    assert_eq!(value("x-of"), Some("function"));
    assert_eq!(value("x-node"), Some("1"));
    assert_eq!(value("upgrade"), Some("websocket"));
    assert_eq!(
        (value("x-hop"), value("sec-websocket-extensions")),
        (None, None)
    );
    message(&mut connection, b"edited");
}

/// Agrees to what is asked for, and fails all else; and how many requests it got.
fn agreeing_only() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let answer = match read_head(&mut stream).contains("websocket") {
                true => AGREED,
                false => "HTTP/1.1 503 Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            };
            seen.fetch_add(1, Ordering::SeqCst);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, count)
}

#[test]
fn a_backend_that_agrees_does_not_fail_in_a_row() {
    let backends = [(); 2].map(|()| agreeing_only());
    let [one, two] = backends.each_ref().map(|(address, _)| address);
    let node = node(&format!(
        "[upstreams.origin]\nbackends = [\"{one}\", \"{two}\"]\n\
         eject = {{ failures = 2, pause = \"1h\" }}\n\
         [[routes]]\nupstream = \"origin\""
    ))
    .start();
    for _ in 0..3 {
        for _ in 0..2 {
            assert_eq!(node.get("/").status, 503);
        }
        for _ in 0..2 {
            drop(upgraded(&node));
        }
    }
    let shares = backends.map(|(_, count)| count.load(Ordering::SeqCst));
    assert_eq!(shares, [6, 6], "one was ejected");
}

#[test]
fn nobody_waits_for_trailers_of_a_tunnel() {
    let (tell, told) = mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        tell.send(read_head(&mut stream)).unwrap();
        stream.write_all(AGREED.as_bytes()).unwrap();
    });
    let node = before(address, ["", "http2 = true", "upgrade = [\"websocket\"]"]).start();
    let mut connection = node.connect();
    connection.send(&handshake().header("TE", "trailers").bytes());
    assert_eq!(connection.read_head().unwrap().0, 101);
    let head = told.recv_timeout(PATIENCE).unwrap().to_ascii_lowercase();
    assert!(!head.contains("\r\nte:"), "{head}");
}

#[test]
fn a_protocol_passes_where_the_route_names_it() {
    let agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: custom-proto/2\r\n\r\n";
    let shout = |mut stream: TcpStream| {
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).unwrap();
        stream.write_all(&heard.to_ascii_uppercase()).unwrap();
    };
    let route = "upgrade = [\"other\", \"custom-proto/2\"]";
    let node = before(backend(agreed, shout), ["", "", route]).start();
    for method in ["GET", "POST"] {
        let mut connection = node.connect();
        let request = Request::new(method, "/").header("Connection", "Upgrade");
        connection.send(
            &request
                .header("Upgrade", "websocket, custom-proto/2")
                .bytes(),
        );
        assert_eq!(connection.read_head().unwrap().0, 101);
        connection.send(b"hello");
        assert_eq!(connection.read_to_close(), b"HELLO");
    }
}

#[test]
fn a_tunnel_holds_its_place_and_is_cut_when_a_drain_is_over() {
    let (address, end) = ending();
    let server =
        "[server]\ndrain_timeout = \"300ms\"\n[server.limits]\nconnections_per_client = 1\n";
    let mut node = before(address, [server, "", ""]).start();
    let mut connection = upgraded(&node);
    assert_eq!(node.get("/").error(), (503, "overloaded"));
    let began = Instant::now();
    node.signal("TERM");
    assert!(connection.read_to_close().is_empty());
    let took = end.recv_timeout(PATIENCE).unwrap() - began;
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert_eq!(node.exit(), Some(0));
}
