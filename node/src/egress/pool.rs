//! The connections of one function. Another function never gets one of them, so whatever a
//! server ties to a connection stays with the function it was opened for.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls::client::Resumption;

use super::TOTAL_TIMEOUT;
use super::resolve::{CheckedResolver, PortResolver, Told};
use super::target::Target;

/// Idle connections kept for one host: enough for the next burst, few enough that the hosts
/// of all functions do not use up the descriptors.
const IDLE_PER_HOST: usize = 8;

/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Hosts whose connections are kept. A function that may call any host could otherwise
/// leave idle connections to thousands behind.
const HOSTS: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// TLS sessions kept to be resumed, of one host.
const SESSIONS: usize = 8;

/// Most header lines of an HTTP/1 response.
const MAX_HEADERS: usize = 100;

/// What connections are made with.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) tls: ClientConfig,
    pub(super) resolver: CheckedResolver,
}

/// HTTP clients by where they lead, the least recently used of which goes first.
pub(super) struct Pool {
    hosts: Mutex<LruCache<Target, Arc<Peer>>>,
}

/// One host and port.
pub(super) struct Peer {
    pub(super) http: reqwest::Client,
    /// Of its name.
    pub(super) told: Told,
}

// === impl Pool ===

impl Pool {
    pub(super) fn new() -> Self {
        Self {
            hosts: Mutex::new(LruCache::new(HOSTS)),
        }
    }

    /// The client for this host, with the connections it has; a new one if there is none.
    pub(super) fn peer(
        &self,
        target: &Target,
        connector: &Connector,
    ) -> reqwest::Result<Arc<Peer>> {
        if let Some(peer) = self.hosts.lock().get(target) {
            return Ok(Arc::clone(peer));
        }
        let new = Arc::new(connector.peer(target.port)?);
        // Somebody else may have been quicker. The one that goes keeps its calls under way,
        // and closes its idle connections.
        let mut hosts = self.hosts.lock();
        let peer = hosts.get_or_insert(target.clone(), || new);
        Ok(Arc::clone(peer))
    }
}

// === impl Connector ===

impl Connector {
    /// A client without connections, for one host at this port.
    pub(super) fn peer(&self, port: u16) -> reqwest::Result<Peer> {
        let mut tls = self.tls.clone();
        tls.resumption = Resumption::in_memory_sessions(SESSIONS);
        let told = Told::default();
        let resolver = self.resolver.for_port(port, told.clone());
        Ok(Peer {
            http: http_client(tls, resolver)?,
            told,
        })
    }
}

fn http_client(tls: ClientConfig, resolver: PortResolver) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(resolver)
        .https_only(true)
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .user_agent("aegis")
        // A connection attempt goes on when its call is dropped: bound it too.
        .connect_timeout(TOTAL_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_max_headers(MAX_HEADERS)
        .build()
}
