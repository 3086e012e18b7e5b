//! Certificates that must not be trusted.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};

use super::origin::{Origin, respond};
use super::world::{NAME, World, at, client, get};
use crate::egress::EgressError;

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
async fn an_origin_without_tls_is_refused() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let entry = format!("{NAME}:{}", listener.local_addr().unwrap().port());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        stream
    });
    let result = get(&world.client(&[&entry]), &format!("https://{entry}/")).await;
    assert!(matches!(result, Err(EgressError::Tls(_))), "{result:?}");
    server.join().unwrap();
}
