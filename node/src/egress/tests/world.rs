//! What egress meets outside, all on loopback: an authority, a name server and
//! origins. The client is built from the settings every operator has.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::NamedTempFile;

use super::dns::{Dns, Zone};
use super::origin::{Answer, Origin, Request};
use crate::egress::{
    AllowList, Call, Caller, Client, EgressError, OwnAddresses, Reply, Room, Settings,
};

/// The name most tests call; it resolves to 127.0.0.1.
pub(super) const NAME: &str = "origin.example.com";

/// Generous for a loaded machine, and still short of the real one, so that a
/// refusal that comes by way of a timeout shows.
const PATIENCE: Duration = Duration::from_secs(4);

pub(super) struct World {
    pub(super) dns: Dns,
    authority: CertifiedIssuer<'static, KeyPair>,
    ca_file: NamedTempFile,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with_names([]).await
    }

    /// Adds names to the zone.
    pub(super) async fn with_names<const N: usize>(
        names: [(&'static str, Vec<Vec<&'static str>>); N],
    ) -> Self {
        let mut zone = Zone::from([(NAME, vec![vec!["127.0.0.1"]])]);
        zone.extend(names);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        let mut ca_file = NamedTempFile::new().unwrap();
        ca_file.write_all(authority.pem().as_bytes()).unwrap();
        Self {
            dns: Dns::start(zone).await,
            authority,
            ca_file,
        }
    }

    /// Serves these names instead of its own.
    pub(super) async fn with_zone(
        &mut self,
        names: impl Iterator<Item = (&'static str, Vec<Vec<&'static str>>)>,
    ) {
        self.dns = Dns::start(names.collect()).await;
    }

    /// Settings that exempt loopback from the ban on private addresses.
    pub(super) fn settings(&self, allow: &[&str]) -> Settings {
        Settings {
            allow: list(allow),
            ca_file: Some(self.ca_file.path().to_owned()),
            allow_private: vec!["127.0.0.0/8".parse().unwrap()],
            nameservers: vec![self.dns.address],
        }
    }

    pub(super) fn client(&self, allow: &[&str]) -> Client {
        client(&self.settings(allow))
    }

    pub(super) fn client_with_timeout(&self, allow: &[&str], milliseconds: u64) -> Client {
        let timeout = Duration::from_millis(milliseconds);
        Client::with_timeout(&self.settings(allow), OwnAddresses::default(), timeout).unwrap()
    }

    /// A certificate for these names, changed as the test wants.
    pub(super) fn tls(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> ServerConfig {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        serving(vec![certificate.der().clone()], &key)
    }

    /// An origin for any name below `example.com`, and for 127.0.0.1.
    pub(super) async fn origin(
        &self,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Origin {
        self.origin_at("127.0.0.1:0", handler).await
    }

    pub(super) async fn origin_at(
        &self,
        bind: &str,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Origin {
        let tls = self.tls(&["*.example.com", "127.0.0.1"], |_| {});
        Origin::start(bind, tls, Arc::new(handler)).await
    }
}

/// A server's end of TLS with this certificate.
pub(super) fn serving(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

pub(super) fn client(settings: &Settings) -> Client {
    Client::with_timeout(settings, OwnAddresses::default(), PATIENCE).unwrap()
}

pub(super) fn list(entries: &[&str]) -> AllowList {
    entries
        .iter()
        .map(|entry| entry.parse().expect(entry))
        .collect()
}

/// The URL and the allow entry of an origin under [`NAME`].
pub(super) fn at(origin: &Origin, path: &str) -> (String, String) {
    let port = origin.address.port();
    (
        format!("https://{NAME}:{port}{path}"),
        format!("{NAME}:{port}"),
    )
}

/// Room for every answer.
pub(super) struct Plenty;

impl Room for Plenty {
    fn take(&self, _bytes: usize) -> bool {
        true
    }
}

pub(super) fn request(method: Method, url: &str) -> Call {
    Call {
        request_id: "request".to_owned(),
        method,
        url: url.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        passed: Vec::new(),
    }
}

/// A function's way out.
pub(super) fn caller(client: &Client, function: &str, grant: &[&str]) -> Arc<Caller> {
    client.caller(&Arc::from(function), &list(grant))
}

/// A call by a function with this grant.
pub(super) async fn call(
    client: &Client,
    grant: &[&str],
    call: Call,
) -> Result<Reply, EgressError> {
    caller(client, "caller", grant).call(call, &Plenty).await
}

/// A GET by a function that may do all the node allows.
pub(super) async fn get(client: &Client, url: &str) -> Result<Reply, EgressError> {
    call(client, &["*"], request(Method::GET, url)).await
}
