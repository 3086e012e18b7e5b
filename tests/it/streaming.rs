//! Bodies that nobody asked for stream: any size, either way, as they come, and no faster than they are taken.

mod framing;
mod pressure;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use crate::harness::lines::PATIENCE;
use crate::harness::{Answer, Gate, Node, Origin, Request, node};

const MIB: usize = 1 << 20;
/// What passes through a node that may grow by no more than this.
const LARGE: usize = 1 << 30;
const GROWTH: usize = 20 * MIB;

fn plain(origin: SocketAddr) -> Node {
    let toml = r#"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        body_size = "2GiB"
        upstream = "origin""#;
    node(toml).set("origin", &origin).start()
}

/// A backend that does with each of its connections what it is told.
fn raw(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(serve));
    address
}

fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Writes so much; how much of it was taken.
fn write(stream: &mut TcpStream, size: usize) -> usize {
    let piece = vec![b'x'; MIB];
    let mut left = size;
    while left > 0 {
        match stream.write(&piece[..left.min(MIB)]) {
            Ok(written) if written > 0 => left -= written,
            _ => break,
        }
    }
    size - left
}

/// Reads and drops so much; how much came.
fn drain(stream: &mut impl Read, size: usize) -> usize {
    let mut piece = vec![0; MIB];
    let mut left = size;
    while left > 0 {
        match stream.read(&mut piece[..left.min(MIB)]) {
            Ok(read) if read > 0 => left -= read,
            _ => break,
        }
    }
    size - left
}

/// The most memory the node ever had, in bytes.
fn peak(node: &Node) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.process())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() << 10
}

#[test]
fn a_gigabyte_down_and_up_takes_no_room() {
    let address = raw(|mut stream| {
        let head = read_head(&mut stream);
        if head.starts_with("GET") {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            write(&mut stream, LARGE);
            return;
        }
        let came = drain(&mut stream, LARGE).to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", came.len());
        stream.write_all((head + &came).as_bytes()).unwrap();
    });
    let node = plain(address);
    let before = peak(&node);
    let mut down = node.connect();
    down.send(&Request::get("/").bytes());
    assert_eq!(down.read_head().unwrap().0, 200);
    assert_eq!(drain(down.buffered(), LARGE), LARGE);
    let mut up = node.connect();
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n");
    up.send(head.as_bytes());
    assert_eq!(write(&mut up.socket().try_clone().unwrap(), LARGE), LARGE);
    assert_eq!(up.read("POST").unwrap().text(), LARGE.to_string());
    let growth = peak(&node) - before;
    assert!(growth < GROWTH, "{growth} bytes more");
}

#[test]
fn events_arrive_one_by_one() {
    let (tell, told) = mpsc::sync_channel::<()>(0);
    let told = std::sync::Mutex::new(told);
    let address = raw(move |mut stream| {
        read_head(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        // The next one only once the test has seen this one.
        for event in 0.. {
            stream
                .write_all(format!("data: {event}\n\n").as_bytes())
                .unwrap();
            if told.lock().unwrap().recv().is_err() {
                return;
            }
        }
    });
    let node = plain(address);
    let mut client = node.connect();
    client.send(&Request::get("/events").bytes());
    let (status, headers) = client.read_head().unwrap();
    assert_eq!(status, 200);
    let fields: Vec<_> = headers
        .iter()
        .map(|(name, _)| name.to_lowercase())
        .collect();
    assert!(
        fields.contains(&"transfer-encoding".to_owned()),
        "{fields:?}"
    );
    for event in 0..100 {
        let data = format!("data: {event}\n\n");
        let chunk = format!("{:X}\r\n{data}\r\n", data.len());
        let came = client.read_bytes(chunk.len());
        assert_eq!(String::from_utf8(came).unwrap(), chunk);
        tell.send(()).unwrap();
    }
}

#[test]
fn an_expectation_goes_to_the_origin_and_its_answer_comes_back() {
    let address = raw(|mut stream| {
        let head = read_head(&mut stream).to_lowercase();
        assert!(head.contains("expect: 100-continue"), "{head}");
        if head.starts_with("post /refused") {
            let refusal = b"HTTP/1.1 417 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
            stream.write_all(refusal).unwrap();
            return;
        }
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        let mut body = [0; 5];
        stream.read_exact(&mut body).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            .unwrap();
        stream.write_all(&body).unwrap();
    });
    let node = plain(address);
    let expecting = |path| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut client = node.connect();
    client.send(expecting("/taken").as_bytes());
    assert_eq!(client.read_head().unwrap().0, 100);
    client.send(b"hello");
    assert_eq!(client.read("POST").unwrap().text(), "hello");
    let mut client = node.connect();
    client.send(expecting("/refused").as_bytes());
    assert_eq!(client.read_head().unwrap().0, 417);
}

#[test]
fn an_answer_begins_before_the_request_has_ended() {
    let answered = Gate::default();
    let gate = answered.clone();
    let address = raw(move |mut stream| {
        read_head(&mut stream);
        let mut piece = [0; 5];
        stream.read_exact(&mut piece).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
            .unwrap();
        stream.write_all(&piece).unwrap();
        gate.wait(PATIENCE);
        stream.read_exact(&mut piece).unwrap();
        stream.write_all(&piece).unwrap();
    });
    let node = plain(address);
    let mut client = node.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst");
    assert_eq!(client.read_head().unwrap().0, 200);
    assert_eq!(client.read_bytes(5), b"first");
    client.send(b"later");
    answered.open();
    assert_eq!(client.read_bytes(5), b"later");
}

#[test]
fn a_connection_serves_on_after_a_large_body() {
    let origin = Origin::start(|request| Answer::ok(request.body.clone()));
    let node = plain(origin.address);
    let mut client = node.connect();
    let body = vec![b'x'; 8 * MIB];
    let request = Request::new("PUT", "/").body(&body).bytes();
    let mut socket = client.socket().try_clone().unwrap();
    for _ in 0..2 {
        let request = request.clone();
        let mut socket = socket.try_clone().unwrap();
        let sending = thread::spawn(move || socket.write_all(&request));
        let answer = client.read("PUT").unwrap();
        sending.join().unwrap().unwrap();
        assert!(answer.complete && answer.body == body);
    }
    socket.write_all(&Request::get("/").bytes()).unwrap();
    assert_eq!(client.read("GET").unwrap().status, 200);
}

#[test]
fn a_client_that_is_being_answered_may_pause_for_longer_than_a_body() {
    let origin = raw(|mut stream| {
        read_head(&mut stream);
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n";
        stream.write_all(head).unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"0\r\n\r\n") {
            let mut byte = [0];
            if stream.read_exact(&mut byte).is_err() {
                return;
            }
            heard.push(byte[0]);
        }
        stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n").ok();
    });
    let toml = r#"
        [server.limits]
        body_timeout = "100ms"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        upstream = "origin""#;
    let node = node(toml).set("origin", &origin).start();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = node.connect();
    client.send(head);
    assert_eq!(client.read_head().unwrap().0, 200);
    assert_eq!(client.read_bytes(8), b"3\r\none\r\n");
    // Nobody answers this one, so that it is given up for its silence.
    let mut silent = node.connect();
    silent.send(head);
    assert_eq!(
        silent.read("POST").unwrap().error(),
        (408, "request-timeout")
    );
    client.send(b"3\r\nend\r\n0\r\n\r\n");
    assert_eq!(client.read_bytes(13), b"3\r\ntwo\r\n0\r\n\r\n");
}
