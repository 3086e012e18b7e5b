//! Ways into a store: sockets, TLS, users and passwords.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::server::{Server, free_port};
use super::{
    BuildError, Cache, CacheError, Settings, StoreSettings, cache_at, namespace, settings_at,
    until, until_it_works,
};

/// Settings with files.
fn with_files(url: &str, password_file: Option<PathBuf>, ca_file: Option<PathBuf>) -> Settings {
    Settings {
        store: StoreSettings::Dragonfly {
            url: url.parse().unwrap(),
            password_file,
            ca_file,
        },
        ..Settings::default()
    }
}

/// A server whose certificate, of an authority of its own, is for this name or address.
///
/// It takes plain connections too, on its other port.
pub(super) struct Encrypted {
    pub(super) server: Server,
    pub(super) port: u16,
    pub(super) ca_file: PathBuf,
    _folder: TempDir,
}

impl Encrypted {
    pub(super) fn start(name: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_certificates(folder.path(), name);
        let port = free_port();
        let at = |file: &str| folder.path().join(file).display().to_string();
        let (text, ca) = (port.to_string(), at("ca.pem"));
        let (certificate, key) = (at("cert.pem"), at("key.pem"));
        let tls = [
            ["--tls-port", &text],
            ["--tls-ca-cert-file", &ca],
            ["--tls-cert-file", &certificate],
            ["--tls-key-file", &key],
            ["--tls-auth-clients", "no"],
        ];
        Self {
            server: Server::start_with(free_port(), &[&tls.concat(), arguments].concat()),
            port,
            ca_file: ca.into(),
            _folder: folder,
        }
    }

    pub(super) fn cache(&self, url: &str) -> Cache {
        Cache::new(&with_files(url, None, Some(self.ca_file.clone()))).unwrap()
    }
}

fn write_certificates(folder: &Path, name: &str) {
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("ca.pem"), pem).unwrap();
    fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

async fn assert_never_connects(cache: &Cache, server: &Server) {
    let log = |server: &Server| server.log().matches("Error accepting a client").count();
    until(async || log(server), |refused| *refused >= 4).await;
    let found = cache.get(&namespace(), b"k").await;
    assert_eq!(found, Err(CacheError::Unavailable));
}

#[tokio::test]
async fn a_unix_socket_leads_to_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a store.sock").display().to_string();
    let server = Server::start_with(free_port(), &["--unixsocket", &socket]);
    let encoded = socket.replace(' ', "%20");
    for url in [
        format!("unix://{encoded}?db=2"),
        format!("redis+unix://{encoded}?db=2"),
    ] {
        let cache = cache_at(&url);
        until_it_works(&cache).await;
        cache.set(&namespace(), b"k", "v".into(), 60).await.unwrap();
    }
    let mut raw = server.raw();
    assert!(server.say(&["CLIENT", "LIST"]).contains(&socket));
    raw.ask(&[b"SELECT", b"2"]);
    assert_eq!(raw.ask(&[b"GET", b"aegis:rates:k"]), [b"v"]);
}

#[tokio::test]
async fn users_log_in_with_their_password_from_the_address_or_a_file() {
    let acl = "--user edge on >s#cret ~aegis:* +@all --user default off";
    let acl: Vec<_> = acl.split(' ').collect();
    let server = Server::start_with(free_port(), &acl);
    let port = server.port();
    let in_address = cache_at(&format!("redis://edge:s%23cret@127.0.0.1:{port}"));
    until_it_works(&in_address).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "s#cret\n").unwrap();
    let url = format!("redis://edge@127.0.0.1:{port}");
    let in_file = Cache::new(&with_files(&url, Some(file.path().into()), None)).unwrap();
    until_it_works(&in_file).await;
}

#[tokio::test]
async fn a_user_that_may_do_little_else_is_enough_also_to_notice_a_hang() {
    let acl = "--user edge on >p ~aegis:* +get +set +ping --user default off";
    let acl: Vec<_> = acl.split(' ').collect();
    let server = Server::start_with(free_port(), &acl);
    let cache = cache_at(&format!("redis://edge:p@127.0.0.1:{}", server.port()));
    until_it_works(&cache).await;
    server.freeze();
    let namespace = namespace();
    let gone = |found: &Result<_, _>| *found == Err(CacheError::Unavailable);
    until(|| cache.get(&namespace, b"k"), gone).await;
    server.thaw();
    until_it_works(&cache).await;
}

#[tokio::test]
async fn a_cache_suits_settings_until_what_their_files_say_changes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "one").unwrap();
    let path = Some(file.path().to_path_buf());
    let settings = with_files("redis://127.0.0.1:1", path, None);
    let cache = Cache::new(&settings).unwrap();
    assert!(cache.suits(&settings));
    assert!(!cache.suits(&settings_at("redis://127.0.0.1:1")));
    fs::write(file.path(), "two").unwrap();
    assert!(!cache.suits(&settings));
    fs::write(file.path(), "").unwrap();
    assert!(!cache.suits(&settings));
    let error = Cache::new(&settings).unwrap_err();
    assert!(matches!(error, BuildError::NoPassword { .. }), "{error}");
}

#[tokio::test]
async fn tls_takes_a_certificate_of_the_ca_file_for_the_name_in_the_address() {
    let store = Encrypted::start("localhost", &[]);
    let port = store.port;
    let cache = store.cache(&format!("rediss://localhost:{port}/1"));
    until_it_works(&cache).await;
    cache.set(&namespace(), b"k", "v".into(), 60).await.unwrap();
    let found = cache.get(&namespace(), b"k").await;
    assert_eq!(found, Ok(Some("v".into())));
}

#[tokio::test]
async fn tls_takes_a_certificate_for_an_address() {
    let store = Encrypted::start("127.0.0.1", &[]);
    let port = store.port;
    let cache = store.cache(&format!("rediss://127.0.0.1:{port}"));
    until_it_works(&cache).await;
}

#[tokio::test]
async fn tls_refuses_certificates_for_another_name_and_of_unknown_authorities() {
    let store = Encrypted::start("other.example", &[]);
    let url = format!("rediss://localhost:{}", store.port);
    assert_never_connects(&store.cache(&url), &store.server).await;
    let known = Encrypted::start("localhost", &[]);
    let url = format!("rediss://localhost:{}", known.port);
    assert_never_connects(&store.cache(&url), &known.server).await;
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_used_is_named() {
    let missing = Some("/nonexistent/ca.pem".into());
    let error = Cache::new(&with_files("rediss://localhost", None, missing)).unwrap_err();
    assert_eq!(error.key(), Some("ca_file"));
    assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");
}
