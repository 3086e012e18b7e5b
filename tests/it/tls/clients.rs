//! `client_ca`: who may connect.

use std::io;

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use super::{OK, Pair, site};
use crate::harness::secure::{Asks, connect, open_with};
use crate::harness::{Authority, Client, Node, Request, Secure};

/// The answer to a request, or why there is none: over TLS 1.3 a client learns that it is refused when it reads.
fn get(node: &Node, client: &Client) -> io::Result<String> {
    answer(client.open(node.address, Some("site.test"))?)
}

fn answer(mut secure: Secure) -> io::Result<String> {
    secure.send(&Request::get("/").bytes());
    match secure.read("GET") {
        Some(response) => Ok(response.text()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn as_client(pair: &Pair) -> Client {
    Client::default().identified_by(pair)
}

#[test]
fn only_clients_with_a_certificate_of_the_authority_are_served() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let setup = site("client_ca = \"clients.pem\"", OK).0;
    let node = setup.file("clients.pem", &ours.pem).start();
    let good = ours.certificate(&["a client"]);
    let foreign = theirs.certificate(&["a client"]);
    for version in [&TLS12, &TLS13] {
        let answer = get(&node, &as_client(&good).version(version));
        assert_eq!(answer.unwrap(), "over tls");
        for refused in [Client::default(), as_client(&foreign)] {
            let refused = get(&node, &refused.version(version));
            assert!(refused.is_err(), "{version:?}: {refused:?}");
        }
    }
}

#[test]
fn another_authority_counts_after_a_reload_and_for_resumed_sessions_too() {
    let (old, new) = (Authority::new(), Authority::new());
    let setup = site("client_ca = \"clients.pem\"", OK).0;
    let node = setup.file("clients.pem", &old.pem).start();
    let client = as_client(&old.certificate(&["a client"]));
    // One configuration keeps the tickets of its sessions.
    let config = client.config(Asks::ForName);
    let ask = || {
        let opened = open_with(&config, connect(node.address), Some("site.test"));
        let opened = opened?;
        let kind = opened.socket().conn.handshake_kind();
        answer(opened).map(|text| (text, kind))
    };
    let served = |kind| ("over tls".to_owned(), Some(kind));
    assert_eq!(ask().unwrap(), served(HandshakeKind::Full));
    assert_eq!(ask().unwrap(), served(HandshakeKind::Resumed));
    std::fs::write(node.path("clients.pem"), &new.pem).unwrap();
    node.reload_files().unwrap();
    assert!(ask().is_err());
    let client = as_client(&new.certificate(&["a client"]));
    assert_eq!(get(&node, &client).unwrap(), "over tls");
}
