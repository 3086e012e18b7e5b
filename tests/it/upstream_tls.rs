//! TLS towards backends: who is believed, what is asked for, what is shown, and how it fails.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{Certificate, CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::harness::node::Setup;
use crate::harness::{Answer, Authority, Node, Origin, Request, node, phases};

const NAME: &str = "origin.test";

/// Both ways a request is carried: by the library, and by the node where functions see the answer's body.
const WAYS: [&str; 2] = ["/plain", "/seen"];

/// A node whose routes go to `backend` over TLS with these keys.
fn towards(backend: &impl ToString, tls: &str) -> Setup {
    node(
        &r#"
        [functions.f]
        module = "f.wasm"
        response_entry = "handle_response"
        body = "response"
        [upstreams.origin]
        backends = ["{backend}"]
        connect_timeout = "500ms"
        tls = {TLS}
        [[routes]]
        path_prefix = "/seen"
        functions = ["f"]
        upstream = "origin"
        [[routes]]
        upstream = "origin""#
            .replace("{TLS}", tls),
    )
    .set("backend", backend)
    .wasm("f", phases("(i32.const 0)", "(i32.const 0)"))
}

const TRUSTING: &str = "{ sni = \"origin.test\", ca_file = \"ca.pem\" }";

fn trusting(authority: &Authority, backend: SocketAddr) -> Node {
    let setup = towards(&backend, TRUSTING).file("ca.pem", &authority.pem);
    setup.start()
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
}

fn pair(
    (certificate, key): (Certificate, KeyPair),
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (vec![certificate.der().clone()], key)
}

fn showing(identity: (Certificate, KeyPair)) -> Arc<ServerConfig> {
    let (chain, key) = pair(identity);
    let config = builder().with_no_client_auth().with_single_cert(chain, key);
    Arc::new(config.unwrap())
}

/// Takes only clients with a certificate of `clients`.
fn demanding(authority: &Authority, clients: &Authority) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(der(&clients.pem)).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let (chain, key) = pair(authority.certificate(&[NAME]));
    let config = builder()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key);
    Arc::new(config.unwrap())
}

fn der(pem: &str) -> CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// Remembers the names that clients ask for.
#[derive(Debug)]
struct Asked(Mutex<Vec<Option<String>>>, Arc<CertifiedKey>);

impl ResolvesServerCert for Asked {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_owned);
        self.0.lock().unwrap().push(name);
        Some(Arc::clone(&self.1))
    }
}

#[test]
fn requests_reach_a_backend_that_shows_the_name_it_is_asked_for() {
    let authority = Authority::new();
    let (chain, key) = pair(authority.certificate(&[NAME]));
    let key = ring::sign::any_supported_type(&key).unwrap();
    let asked = Arc::new(Asked(
        Mutex::default(),
        Arc::new(CertifiedKey::new(chain, key)),
    ));
    let config = builder().with_no_client_auth();
    let config = Arc::new(config.with_cert_resolver(Arc::clone(&asked) as _));
    let origin = Origin::start_tls(config, |request| Answer::ok(request.body.clone()));
    let node = trusting(&authority, origin.address);
    for way in WAYS {
        for body in ["", "sent over tls"] {
            let request = Request::new("POST", way)
                .host("shop.test")
                .body(body.as_bytes());
            let response = node.send(&request);
            assert_eq!(
                (response.status, response.text().as_str()),
                (200, body),
                "{way}"
            );
            assert_eq!(origin.last().header("host"), Some("shop.test"));
        }
    }
    let asked = asked.0.lock().unwrap();
    assert!(
        !asked.is_empty() && asked.iter().all(|name| name.as_deref() == Some(NAME)),
        "{asked:?}"
    );
    assert_eq!(origin.accepts(), 2, "each way keeps its connection");
}

#[test]
fn without_keys_the_backends_host_is_verified_against_the_systems_authorities() {
    let authority = Authority::new();
    let origin = Origin::start_tls(authority.server(&["localhost"]), |_| Answer::ok("believed"));
    let backend = format!("localhost:{}", origin.address.port());
    let setup = towards(&backend, "{}").file("system.pem", &authority.pem);
    let system = setup.path("system.pem");
    let node = setup
        .environment("SSL_CERT_FILE", &system.display())
        .start();
    assert_eq!(
        WAYS.map(|way| node.get(way).text()),
        ["believed", "believed"]
    );
}

#[test]
fn a_certificate_that_is_not_to_be_believed_is_502_upstream_tls() {
    let authority = Authority::new();
    let mut expired = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    expired.not_before = date_time_ymd(2000, 1, 1);
    expired.not_after = date_time_ymd(2001, 1, 1);
    let key = KeyPair::generate().unwrap();
    let of_its_own = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let of_its_own = of_its_own.self_signed(&key).unwrap();
    for (why, identity) in [
        ("self-signed", (of_its_own, key)),
        (
            "of another authority",
            Authority::new().certificate(&[NAME]),
        ),
        ("for another name", authority.certificate(&["other.test"])),
        (
            "for the address only",
            authority.certificate(&["127.0.0.1"]),
        ),
        ("expired", authority.sign(expired)),
    ] {
        let origin = Origin::start_tls(showing(identity), |_| Answer::ok("believed"));
        let node = trusting(&authority, origin.address);
        for way in WAYS {
            assert_eq!(node.get(way).error(), (502, "upstream-tls"), "{why}, {way}");
        }
        assert!(origin.accepts() >= 2, "{why}: it was tried");
        assert!(origin.requests().is_empty(), "{why}: nothing was sent");
    }
}

#[test]
fn with_a_ca_file_the_systems_authorities_count_for_nothing() {
    let (system, own) = (Authority::new(), Authority::new());
    let origin = Origin::start_tls(system.server(&[NAME]), |_| Answer::ok("believed"));
    let setup = towards(&origin.address, TRUSTING).file("ca.pem", &own.pem);
    let setup = setup.file("system.pem", &system.pem);
    let file = setup.path("system.pem");
    let node = setup.environment("SSL_CERT_FILE", &file.display()).start();
    assert_eq!(node.get("/").error(), (502, "upstream-tls"));
}

#[test]
fn a_backend_that_speaks_no_tls_is_502_and_a_silent_one_504() {
    let authority = Authority::new();
    let plain = Origin::saying("plain");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut hello = [0; 1000];
                drop(stream.read(&mut hello));
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
            });
        }
    });
    let node = trusting(&authority, address);
    assert_eq!(WAYS.map(|way| node.get(way).status), [502; 2]);
    assert_eq!(node.get("/").error(), (502, "upstream-tls"));
    // It waits for the end of a request that never comes.
    let node = trusting(&authority, plain.address);
    for way in WAYS {
        assert_eq!(node.get(way).error(), (504, "upstream-timeout"), "{way}");
    }
    assert!(plain.accepts() >= 2 && plain.requests().is_empty());
}

#[test]
fn a_client_certificate_is_shown_to_backends_that_ask() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let origin = Origin::start_tls(demanding(&authority, &clients), |_| Answer::ok("known"));
    let (certificate, key) = clients.certificate(&["node.test"]);
    let keys = "{ sni = \"origin.test\", ca_file = \"ca.pem\", cert = \"c.pem\", key = \"c.key\" }";
    let setup = towards(&origin.address, keys).file("ca.pem", &authority.pem);
    let setup = setup.file("c.pem", certificate.pem());
    let node = setup.file("c.key", key.serialize_pem()).start();
    assert_eq!(WAYS.map(|way| node.get(way).text()), ["known", "known"]);
    let without = trusting(&authority, origin.address);
    for way in WAYS {
        assert_eq!(without.get(way).error(), (502, "upstream-tls"), "{way}");
    }
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_tunnel_to_such_a_backend_is_encrypted_too() {
    let authority = Authority::new();
    let agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello";
    let origin = Origin::start_tls(authority.server(&[NAME]), move |_| Answer::raw(agreed));
    let node = trusting(&authority, origin.address);
    let request = Request::get("/").header("Connection", "Upgrade");
    let mut connection = node.connect();
    connection.send(&request.header("Upgrade", "websocket").bytes());
    assert_eq!(connection.read_head().unwrap().0, 101);
    assert_eq!(connection.read_bytes(5), b"hello");
    let doubted = trusting(&Authority::new(), origin.address);
    let request = Request::get("/").header("Connection", "Upgrade");
    let response = doubted.send(&request.header("Upgrade", "websocket"));
    assert_eq!(response.error(), (502, "upstream-tls"));
}

#[test]
fn renewed_files_count_from_the_reload_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let clients = Authority::new();
    let origin = Origin::start_tls(demanding(&old, &clients), |_| Answer::ok("known"));
    let keys = "{ sni = \"origin.test\", ca_file = \"ca.pem\", cert = \"c.pem\", key = \"c.key\" }";
    let (certificate, key) = new.certificate(&["node.test"]);
    let setup = towards(&origin.address, keys).file("ca.pem", &old.pem);
    let setup = setup.file("c.pem", certificate.pem());
    let node = setup.file("c.key", key.serialize_pem()).start();
    assert_eq!(
        node.get("/").error(),
        (502, "upstream-tls"),
        "an unknown client"
    );
    let write = |name: &str, text: String| std::fs::write(node.path(name), text).unwrap();
    let (certificate, key) = clients.certificate(&["node.test"]);
    write("c.pem", certificate.pem());
    let refused = node.reload_files().unwrap_err();
    assert!(refused.contains("upstreams.origin.tls.key"), "{refused}");
    write("c.key", key.serialize_pem());
    node.reload_files().unwrap();
    assert_eq!(node.get("/").text(), "known");
    // Kept connections are those of the old files.
    write("ca.pem", new.pem);
    node.reload_files().unwrap();
    assert_eq!(node.get("/").error(), (502, "upstream-tls"));
}

#[test]
fn upstreams_share_no_connections() {
    let (authority, other) = (Authority::new(), Authority::new());
    let origin = Origin::start_tls(authority.server(&[NAME]), |_| Answer::ok("believed"));
    let toml = r#"
        [upstreams.trusting]
        backends = ["{origin}"]
        tls = { sni = "origin.test", ca_file = "ca.pem" }
        [upstreams.doubting]
        backends = ["{origin}"]
        tls = { sni = "origin.test", ca_file = "other.pem" }
        [[routes]]
        path = "/doubting"
        upstream = "doubting"
        [[routes]]
        upstream = "trusting""#;
    let setup = node(toml).set("origin", &origin.address);
    let setup = setup.file("ca.pem", &authority.pem);
    let node = setup.file("other.pem", &other.pem).start();
    for _ in 0..3 {
        assert_eq!(node.get("/").text(), "believed");
        assert_eq!(node.get("/doubting").error(), (502, "upstream-tls"));
    }
}

#[test]
fn files_that_cannot_be_used_are_problems_of_the_configuration() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate(&["node.test"]);
    let (_, other) = authority.certificate(&["node.test"]);
    let client = "{ sni = \"a.test\", ca_file = \"ca.pem\", cert = \"c.pem\", key = \"c.key\" }";
    let (ca, cert, good) = (
        authority.pem.as_str(),
        certificate.pem(),
        key.serialize_pem(),
    );
    let other = other.serialize_pem();
    for (files, place, message) in [
        (
            [None, Some(&*cert), Some(&*good)],
            "tls.ca_file",
            "cannot read",
        ),
        (
            [Some("x"), Some(&cert), Some(&good)],
            "tls.ca_file",
            "holds no PEM certificate",
        ),
        ([Some(ca), None, Some(&good)], "tls.cert", "cannot read"),
        (
            [Some(ca), Some(&good), Some(&good)],
            "tls.cert",
            "holds no PEM certificate",
        ),
        ([Some(ca), Some(&cert), None], "tls.key", "cannot read"),
        (
            [Some(ca), Some(&cert), Some(&cert)],
            "tls.key",
            "holds no PEM private key",
        ),
        (
            [Some(ca), Some(&cert), Some(&other)],
            "tls.key",
            "cannot be used",
        ),
    ] {
        let mut setup = towards(&"127.0.0.1:9", client);
        for (name, text) in ["ca.pem", "c.pem", "c.key"].iter().zip(files) {
            if let Some(text) = text {
                setup = setup.file(name, text);
            }
        }
        let (code, printed) = setup.check(&[]);
        let place = format!("upstreams.origin.{place}");
        let told = printed.contains(&place) && printed.contains(message);
        assert!(code == Some(1) && told, "{place}: {printed}");
    }
}

#[test]
fn a_system_without_authorities_is_told_of_when_they_are_needed() {
    let setup = towards(&"localhost:9", "{}").environment("SSL_CERT_DIR", &"/nonexistent");
    let (code, printed) = setup
        .environment("SSL_CERT_FILE", &"/nonexistent")
        .check(&[]);
    assert_eq!(code, Some(1), "{printed}");
    let told = printed.contains("upstreams.origin.tls") && printed.contains("ca-certificates");
    assert!(told, "{printed}");
}
