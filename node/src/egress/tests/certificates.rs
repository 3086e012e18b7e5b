//! Certificates that must not be trusted.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

use super::origin::{Origin, respond};
use super::world::{NAME, World, at, client, get, serving};
use crate::egress::{EgressError, Reply};

async fn call_with(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> EgressError {
    let world = World::new().await;
    let handler = Arc::new(|_: &_| respond(200, &[], b""));
    let origin = Origin::start("127.0.0.1:0", world.tls(names, change), handler).await;
    let (url, entry) = at(&origin, "/");
    let error = get(&world.client(&[&entry]), &url).await.unwrap_err();
    assert!(origin.seen().is_empty());
    error
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let (world, stranger) = (World::new().await, World::new().await);
    let origin = stranger.origin(|_| respond(200, &[], b"")).await;
    let (url, entry) = at(&origin, "/");
    let error = get(&world.client(&[&entry]), &url).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls(_)), "{error:?}");
    assert!(origin.seen().is_empty());
    // The same origin, by someone who knows its authority.
    let mut settings = stranger.settings(&[&entry]);
    settings.nameservers = vec![world.dns.address];
    get(&client(&settings), &url).await.unwrap();
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let error = call_with(&["other.example.com"], |_| {}).await;
    assert!(matches!(error, EgressError::Tls(_)), "{error:?}");
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_refused() {
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    assert!(matches!(
        call_with(&[NAME], expired).await,
        EgressError::Tls(_)
    ));
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(3000, 1, 1);
    assert!(matches!(
        call_with(&[NAME], early).await,
        EgressError::Tls(_)
    ));
}

#[tokio::test]
async fn a_certificate_for_clients_is_refused() {
    let client = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    assert!(matches!(
        call_with(&[NAME], client).await,
        EgressError::Tls(_)
    ));
}

#[tokio::test]
async fn a_certificate_that_vouches_for_itself_is_refused() {
    let world = World::new().await;
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let tls = serving(vec![certificate.der().clone()], &key);
    let origin = Origin::start("127.0.0.1:0", tls, Arc::new(|_: &_| respond(200, &[], b""))).await;
    let (url, entry) = at(&origin, "/");
    let error = get(&world.client(&[&entry]), &url).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls(_)), "{error:?}");
    assert!(origin.seen().is_empty());
}

/// What comes of a call to a server that says these bytes once it has heard the client.
async fn call_to(answer: &'static [u8]) -> Result<Reply, EgressError> {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let entry = format!("{NAME}:{}", listener.local_addr().unwrap().port());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        stream.write_all(answer).unwrap();
        stream
    });
    let result = get(&world.client(&[&entry]), &format!("https://{entry}/")).await;
    server.join().unwrap();
    result
}

#[tokio::test]
async fn an_origin_without_tls_is_refused() {
    let result = call_to(b"HTTP/1.1 200 OK\r\n\r\n").await;
    assert!(matches!(result, Err(EgressError::Tls(_))), "{result:?}");
}

/// A server's hello in this version of TLS with this cipher suite: a record, the message,
/// the version, 32 random bytes, no session, the suite, no compression.
const fn hello(version: u8, suite: [u8; 2]) -> [u8; 47] {
    let mut bytes = [7; 47];
    let start = [22, 3, 3, 0, 42, 2, 0, 0, 38, 3, version];
    let mut at = 0;
    while at < start.len() {
        bytes[at] = start[at];
        at += 1;
    }
    [bytes[43], bytes[44], bytes[45], bytes[46]] = [0, suite[0], suite[1], 0];
    bytes
}

#[tokio::test]
async fn old_protocols_and_weak_suites_are_refused() {
    const TLS_1_0: [u8; 47] = hello(1, [0xc0, 0x13]);
    const TLS_1_1: [u8; 47] = hello(2, [0xc0, 0x13]);
    const RC4: [u8; 47] = hello(3, [0x00, 0x05]);
    const CBC: [u8; 47] = hello(3, [0x00, 0x2f]);
    /// The server has none of what was offered.
    const NO_COMMON_VERSION: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];
    for (answer, wanted) in [
        (&TLS_1_0[..], "tls12or13"),
        (&TLS_1_1, "tls12or13"),
        (&RC4, "suite"),
        (&CBC, "suite"),
        (&NO_COMMON_VERSION, "version"),
    ] {
        let error = call_to(answer).await.unwrap_err();
        assert!(matches!(error, EgressError::Tls(_)), "{error:?}");
        let detail = error.detail().to_lowercase();
        assert!(detail.contains(wanted), "{wanted}: {detail}");
    }
}
