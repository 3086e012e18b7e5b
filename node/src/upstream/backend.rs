//! One backend: how to connect to it, and how much it has to do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pingora::protocols::l4::ext::TcpKeepalive;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};

use super::Settings;

/// How long an unused connection is kept for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest wait for the backend to take the next piece of a request.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// A dead peer is noticed after about two minutes without traffic.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(15),
    count: 4,
    user_timeout: Duration::from_secs(0),
};

/// One address of an upstream.
pub struct Backend {
    address: SocketAddr,
    /// The same as text: every access-log line has it.
    name: String,
    peer: HttpPeer,
    in_flight: AtomicUsize,
    limit: usize,
}

impl Backend {
    pub(super) fn new(address: SocketAddr, settings: &Settings) -> Self {
        let mut peer = HttpPeer::new(address, false, String::new());
        let options = &mut peer.options;
        options.connection_timeout = Some(settings.connect_timeout);
        options.total_connection_timeout = Some(settings.connect_timeout);
        options.read_timeout = Some(settings.read_timeout);
        options.write_timeout = Some(WRITE_TIMEOUT);
        options.idle_timeout = Some(IDLE_TIMEOUT);
        options.tcp_keepalive = Some(KEEPALIVE);
        // A tunnel would escape the limits and filters of requests.
        options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        Self {
            address,
            name: address.to_string(),
            peer,
            in_flight: AtomicUsize::new(0),
            limit: settings.connections,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it may have one request more.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) < self.limit
    }

    /// Its address as text.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where and how to connect.
    pub fn peer(&self) -> &HttpPeer {
        &self.peer
    }
}

/// A request's place at a backend; given back when dropped.
pub struct Lease {
    backend: Arc<Backend>,
}

impl Lease {
    /// `None` while the backend has all the requests it may have.
    pub(super) fn take(backend: &Arc<Backend>) -> Option<Self> {
        let before = backend.in_flight.fetch_add(1, Ordering::Relaxed);
        let lease = Self {
            backend: Arc::clone(backend),
        };
        (before < backend.limit).then_some(lease)
    }

    /// Who serves the request.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backend.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
