//! `proxy_protocol = true`: a balancer's header says who the client is.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{OK, site};
use crate::harness::secure::connect;
use crate::harness::{Answer, Client, Connection, Node, Origin, Request, node};

const LISTENER: &str = "[[listeners]]\naddress = \"{listen}\"\nproxy_protocol = true";
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n";

/// Version 2 with a command, a family and what follows.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [
        b"\r\n\r\n\0\r\nQUIT\n",
        &[command, family][..],
        &length,
        rest,
    ]
    .concat()
}

/// From 2001:db8::7, with a TLV behind it.
fn v2_of_v6() -> Vec<u8> {
    let mut addresses = [0; 36];
    addresses[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    addresses[15] = 7;
    v2(
        0x21,
        0x21,
        &[&addresses[..], &[0x05, 0, 2, b'i', b'd']].concat(),
    )
}

fn proxied() -> (Node, Origin) {
    let origin = Origin::start(|_| Answer::ok("from the origin"));
    let route = "[upstreams.o]\nbackends = [\"{origin}\"]\n[[routes]]\nupstream = \"o\"";
    let setup = node(&format!("{LISTENER}\n{route}"));
    (setup.set("origin", &origin.address).start(), origin)
}

/// Sends `header` in front of everything.
fn connect_as(node: &Node, header: &[u8]) -> Connection {
    let mut connection = node.connect();
    connection.send(header);
    connection
}

#[test]
fn the_client_is_who_the_header_says() {
    let (node, origin) = proxied();
    for (target, header, client) in [
        ("/v1", V1.to_vec(), "192.0.2.7"),
        ("/v2", v2_of_v6(), "2001:db8::7"),
        ("/unknown", b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        ("/local", v2(0x20, 0, &[]), "127.0.0.1"),
    ] {
        let mut connection = connect_as(&node, &header);
        for _ in 0..2 {
            let response = connection.exchange(&Request::get(target)).unwrap();
            assert_eq!(response.text(), "from the origin");
            assert_eq!(origin.last().all("x-forwarded-for"), [client]);
        }
        assert_eq!(node.access(target)["client"], client);
    }
}

#[test]
fn header_and_request_may_come_in_one_piece_or_byte_by_byte() {
    let (node, _origin) = proxied();
    let request = Request::get("/").bytes();
    for header in [V1.to_vec(), v2_of_v6()] {
        let all = [&header[..], &request].concat();
        let mut whole = connect_as(&node, &all);
        assert_eq!(whole.read("GET").unwrap().status, 200);
        let mut pieces = node.connect();
        for byte in &all {
            pieces.send(&[*byte]);
        }
        assert_eq!(pieces.read("GET").unwrap().status, 200);
    }
}

#[test]
fn without_a_header_that_counts_the_connection_is_closed() {
    let (node, origin) = proxied();
    let request = Request::get("/").bytes();
    let long = [b"PROXY UNKNOWN ", &[b'x'; 200][..], b"\r\n"].concat();
    for header in [
        &b""[..],
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP4 nobody nowhere 1 1\r\n",
        &long,
        &v2(0x21, 0x11, &[0; 3]),
        &v2(0x21, 0x11, &[0; 5000]),
        &v2(0x29, 0x11, &[0; 12]),
    ] {
        let mut connection = connect_as(&node, &[header, &request].concat());
        assert_eq!(connection.read_to_close(), b"", "{header:?}");
    }
    assert_eq!(origin.accepts(), 0);
    let told = |line: &str| line.contains("no PROXY header");
    node.stderr.wait_for(told);
    let complaints = node
        .stderr
        .all()
        .iter()
        .filter(|line| line.contains("PROXY header"))
        .count();
    assert_eq!(complaints, 1, "one a minute");
}

#[test]
fn a_header_that_does_not_end_is_cut_at_its_deadline() {
    let limits = "[server.limits]\nheader_timeout = \"300ms\"\nconnections = 1";
    for start in [&b""[..], &V1[..20], &v2_of_v6()[..20]] {
        let node = node(&format!("{LISTENER}\n{limits}\n{OK}")).start();
        let began = Instant::now();
        let mut connection = connect_as(&node, start);
        assert_eq!(connection.read_to_close(), b"");
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(300), "{took:?}");
        // Its place is free again.
        let deadline = began + crate::harness::lines::PATIENCE;
        while connect_as(&node, V1)
            .exchange(&Request::get("/"))
            .is_none_or(|r| r.status != 200)
        {
            assert!(Instant::now() < deadline);
        }
    }
}

#[test]
fn connections_are_counted_for_the_client_the_header_names() {
    let limits = "[server.limits]\nconnections_per_client = 1";
    let node = node(&format!("{LISTENER}\n{limits}\n{OK}")).start();
    let get = |header: &[u8]| {
        let mut connection = connect_as(&node, header);
        let response = connection.exchange(&Request::get("/")).unwrap();
        (response.status, connection)
    };
    let (status, kept) = get(V1);
    assert_eq!(status, 200);
    let (status, _other) = get(&v2_of_v6());
    assert_eq!(status, 200);
    assert_eq!(get(V1).0, 503);
    drop(kept);
    let deadline = Instant::now() + crate::harness::lines::PATIENCE;
    while get(V1).0 != 200 {
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn the_header_comes_before_tls() {
    let origin = Origin::start(|_| Answer::ok("from the origin"));
    let route = "[upstreams.o]\nbackends = [\"{origin}\"]\n[[routes]]\nupstream = \"o\"";
    let setup = site("proxy_protocol = true", route).0;
    let node = setup.set("origin", &origin.address).start();
    let mut stream = connect(node.address);
    stream.write_all(V1).unwrap();
    let mut secure = Client::default().over(stream, Some("site.test")).unwrap();
    assert_eq!(secure.get("/").text(), "from the origin");
    assert_eq!(origin.last().all("x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(origin.last().header("x-forwarded-proto"), Some("https"));
    assert!(Client::default().open(node.address, None).is_err());
}
