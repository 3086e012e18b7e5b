//! More of everything than there is room for: descriptors, bodies, slow clients. Who is served keeps being served.

mod slow;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::lines::PATIENCE;
use crate::harness::{Connection, Gate, Node, Origin, Request, node};

const SMALL: &str = "
    [[routes]]
    path = \"/control\"
    respond = { status = 200, body = \"fine\" }";

/// Waits for a state that must come.
fn until(what: &str, holds: impl Fn() -> bool) {
    let (deadline, never) = (Instant::now() + PATIENCE, Gate::default());
    while !holds() {
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        // Looking takes time that others need.
        never.wait(Duration::from_millis(10));
    }
}

fn descriptors(node: &Node) -> usize {
    let path = format!("/proc/{}/fd", node.process());
    std::fs::read_dir(path).map_or(0, Iterator::count)
}

/// In KiB.
fn resident(node: &Node) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.process())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

#[test]
fn a_node_out_of_descriptors_serves_those_it_has_and_then_the_others() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let node = node(SMALL).start();
    let mut held = node.connect();
    let control = Request::get("/control");
    assert_eq!(held.exchange(&control).unwrap().status, 200);
    let most = descriptors(&node) + 20;
    let process = Pid::from_raw(i32::try_from(node.process()).unwrap());
    let limit = Rlimit {
        current: Some(most as u64),
        maximum: Some(20_000.min(hard_limit())),
    };
    prlimit(process, Resource::Nofile, limit).unwrap();
    let start = Instant::now();
    let mut flood: Vec<Connection> = (0..60).map(|_| node.connect()).collect();
    for connection in &mut flood {
        connection.send(&control.bytes());
    }
    until("no descriptor is left", || descriptors(&node) >= most);
    let is_told = |line: &str| line.contains("Too many open files");
    node.stderr.wait_for(is_told);
    for _ in 0..100 {
        assert_eq!(held.exchange(&control).unwrap().status, 200);
    }
    let mut rest = flood.split_off(20);
    drop(flood);
    // Each that is served makes room for another one.
    for mut connection in rest.drain(..) {
        assert_eq!(connection.read("GET").unwrap().status, 200);
    }
    let told = node
        .stderr
        .all()
        .iter()
        .filter(|line| is_told(line))
        .count();
    assert!(
        told as u64 <= start.elapsed().as_secs() + 2,
        "told {told} times"
    );
}

#[test]
fn clients_get_no_more_than_half_of_the_descriptors() {
    let origin = Origin::saying("there");
    let toml = format!(
        "{SMALL}\n[[routes]]\nupstream = \"origin\"\n[upstreams.origin]\nbackends = [\"{{origin}}\"]"
    );
    let node = node(&toml)
        .set("origin", &origin.address)
        .descriptors(400)
        .start();
    let mut clients: Vec<Connection> = (0..210).map(|_| node.connect()).collect();
    let mut served = 0;
    for client in &mut clients {
        // Each that is let in has another one behind it.
        let response = client.exchange(&Request::get("/")).unwrap();
        match response.status {
            200 => served += 1,
            _ => assert_eq!(response.error(), (503, "overloaded")),
        }
    }
    assert!((195..=200).contains(&served), "{served}");
    drop(clients);
    node.connect_until_served("/control");
}

/// Of this process, which the node has inherited.
fn hard_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.maximum.unwrap_or(u64::MAX)
}

/// An origin that reads nothing before `gate` is open, and then all of each body.
fn sink(gate: &Gate) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, gate) = (listener.local_addr().unwrap(), gate.clone());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let gate = gate.clone();
            thread::spawn(move || swallow(stream, &gate));
        }
    });
    address
}

fn swallow(mut stream: TcpStream, gate: &Gate) -> Option<()> {
    gate.wait(PATIENCE);
    let (mut piece, mut received) = (vec![0; 65_536], 0);
    while received < BODY {
        let length = stream.read(&mut piece).ok().filter(|length| *length > 0)?;
        received += length;
    }
    let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(answer).ok()
}

const BODY: usize = 10_000_000;
const UPLOADS: usize = 100;

#[test]
fn a_hundred_bodies_at_once_take_no_memory_to_speak_of() {
    let gate = Gate::default();
    let toml = format!(
        "{SMALL}\n[upstreams.origin]\nbackends = [\"{{origin}}\"]\n[[routes]]\nupstream = \"origin\""
    );
    let node = node(&toml).set("origin", &sink(&gate)).start();
    assert_eq!(node.get("/control").status, 200);
    let before = resident(&node);
    let (begun, body) = (Barrier::new(UPLOADS + 1), vec![b'x'; 1_000_000]);
    thread::scope(|scope| {
        for _ in 0..UPLOADS {
            let (begun, body, mut connection) = (&begun, &body, node.connect());
            scope.spawn(move || {
                let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n");
                connection.send(head.as_bytes());
                connection.send(body);
                begun.wait();
                for _ in 1..BODY / body.len() {
                    connection.send(body);
                }
                assert_eq!(connection.read("PUT").unwrap().status, 200);
            });
        }
        begun.wait();
        // The rest is stuck in sockets by now, or passes; either way little of it may be here.
        let mut most = resident(&node);
        for _ in 0..20 {
            assert_eq!(node.get("/control").status, 200);
            most = most.max(resident(&node));
        }
        gate.open();
        for _ in 0..100 {
            assert_eq!(node.get("/control").status, 200);
            most = most.max(resident(&node));
        }
        let grown = most.saturating_sub(before);
        assert!(grown < 60_000, "{grown} KiB more");
    });
}

#[test]
fn chunks_without_end_are_cut_off() {
    let gate = Gate::default();
    gate.open();
    let toml = "
        [server.limits]
        body_size = \"1MiB\"
        [upstreams.origin]
        backends = [\"{origin}\"]
        [[routes]]
        upstream = \"origin\"";
    let node = node(toml).set("origin", &sink(&gate)).start();
    let mut connection = node.connect();
    connection.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
    for _ in 0..17 {
        connection.send(&chunk);
    }
    let response = connection.read("PUT").unwrap();
    assert_eq!(response.error(), (413, "body-too-large"));
    assert_eq!(response.header("connection"), Some("close"));
    let mut stream = connection.socket();
    let endless = (0..).find(|_| stream.write_all(&chunk).is_err());
    assert!(endless.is_some());
}

#[test]
fn a_clients_connections_are_counted_by_its_address_and_not_by_what_it_says() {
    let toml = format!(
        "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n[server.limits]\nconnections_per_client = 2\n{SMALL}"
    );
    let node = node(&toml).start();
    let from = |last: u8, named: &str| {
        let mut connection = Connection::open_from([127, 0, 0, last].into(), node.address);
        let request = Request::get("/control").header("X-Forwarded-For", named);
        let status = connection
            .exchange(&request)
            .map(|response| response.status);
        (connection, status)
    };
    let (_first, one) = from(2, "192.0.2.1");
    let (_second, two) = from(2, "192.0.2.2");
    let (_third, three) = from(2, "192.0.2.3");
    assert_eq!((one, two), (Some(200), Some(200)));
    assert!(three.is_none_or(|status| status == 503), "{three:?}");
    assert_eq!(from(3, "192.0.2.1").1, Some(200), "another address");
}
