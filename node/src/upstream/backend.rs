//! One backend: how to connect to it, and how much it has to do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use http::StatusCode;
use pingora::protocols::l4::ext::TcpKeepalive;
use pingora::upstreams::peer::{ALPN, HttpPeer, HttpUpstreamRequestPolicy, PeerOptions};
use tracing::info;

use super::standing::{Ejected, Standing};
use super::tls::Security;
use super::{BackendSettings, Settings, Upstream};

/// How long an unused connection is kept for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest wait for the backend to take the next piece of a request.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests that one HTTP/2 connection carries at once; more take another connection.
const STREAMS: usize = 100;
/// What a backend may send ahead of a client that reads slowly.
const STREAM_WINDOW: u32 = 256 * 1024;
/// All of them together: no client that does not read holds up those it shares with.
const CONNECTION_WINDOW: u32 = STREAMS as u32 * STREAM_WINDOW;
/// How often an HTTP/2 connection is asked whether it is alive.
const PING_INTERVAL: Duration = Duration::from_secs(30);
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
    /// Host and port as the configuration has them.
    authority: String,
    peer: HttpPeer,
    in_flight: AtomicUsize,
    upstream: Weak<Upstream>,
    settings: Arc<Settings>,
    standing: Standing,
}

impl Backend {
    /// One address of an entry of `settings`.
    pub(super) fn new(
        entry: &BackendSettings,
        address: SocketAddr,
        (settings, security): (&Arc<Settings>, &Security),
        upstream: &Weak<Upstream>,
    ) -> Self {
        let mut peer = HttpPeer::new(address, false, String::new());
        security.apply(&mut peer, &entry.host);
        let options = &mut peer.options;
        options.connection_timeout = Some(settings.connect_timeout);
        options.total_connection_timeout = Some(settings.connect_timeout);
        options.read_timeout = Some(settings.read_timeout);
        options.write_timeout = Some(WRITE_TIMEOUT);
        options.idle_timeout = Some(IDLE_TIMEOUT);
        options.tcp_keepalive = Some(KEEPALIVE);
        // A tunnel would escape the limits and filters of requests.
        options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        if settings.http2 {
            speak_http2(options);
        }
        Self {
            address,
            name: address.to_string(),
            authority: entry.authority(),
            peer,
            in_flight: AtomicUsize::new(0),
            upstream: Weak::clone(upstream),
            settings: Arc::clone(settings),
            standing: Standing::new(Instant::now()),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as text.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Host and port as the configuration has them.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether requests go to it over HTTP/2.
    pub fn speaks_http2(&self) -> bool {
        self.settings.http2
    }

    /// Where and how to connect.
    pub fn peer(&self) -> &HttpPeer {
        &self.peer
    }

    /// Whether it may have one request more.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight() < self.settings.connections
    }

    /// Requests under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The part of its weight that counts, above 0 and at most 1.
    pub(super) fn share(&self, now: Instant) -> f64 {
        self.standing.share(now, self.settings.slow_start)
    }

    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Whether it is passed over because requests failed.
    pub(super) fn is_ejected(&self, now: Instant) -> bool {
        match self.standing.ejected(now) {
            Ejected::No => false,
            Ejected::Yes => true,
            Ejected::Over => {
                let upstream = self.upstream.upgrade();
                let upstream = upstream.as_ref().map(|upstream| upstream.name());
                info!(upstream, backend = %self.name, "an ejected backend is tried again");
                false
            }
        }
    }
}

/// Nothing else is spoken, so that a request has the same meaning on every connection. The number
/// of streams is part of what the library keeps connections by, so no other upstream takes these.
fn speak_http2(options: &mut PeerOptions) {
    options.alpn = ALPN::H2;
    options.max_h2_streams = STREAMS;
    options.h2_stream_window_size = Some(STREAM_WINDOW);
    options.h2_connection_window_size = Some(CONNECTION_WINDOW);
    options.h2_ping_interval = Some(PING_INTERVAL);
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
        (before < backend.settings.connections).then_some(lease)
    }

    /// Who serves the request.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The backend answered: well, or with a status that a gateway has when what is behind it
    /// fails.
    pub fn answered(&self, status: StatusCode) {
        match status {
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => self.failed(),
            _ => self.backend.standing.succeeded(),
        }
    }

    /// The backend could not be connected to, hung up, or took too long. Several failures in a
    /// row eject it for a while, if enough others are left.
    pub fn failed(&self) {
        let backend = &self.backend;
        let limit = backend.settings.ejection.failures;
        if backend.standing.failed() >= limit
            && limit > 0
            && let Some(upstream) = backend.upstream.upgrade()
        {
            upstream.eject(backend, Instant::now());
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backend.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
