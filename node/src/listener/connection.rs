//! What the guard of a connection and the proxy tell each other about it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderValue;

use super::gate::Place;
use super::limits::Limits;
use super::tls::Secured;
use crate::scheme::Scheme;

tokio::task_local! {
    /// The connection whose requests the current task serves.
    pub(super) static CURRENT: Arc<Connection>;
}

/// The connection of the request being served; `None` outside a guarded listener.
pub fn current() -> Option<Arc<Connection>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// What is being read from a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Between requests.
    Idle = 0,
    /// Part of a header is there.
    Header = 1,
    /// A header is complete; nothing is owed by the client.
    Request = 2,
    /// The client owes the rest of a body.
    Body = 3,
    /// The client may go on with its body, and is being answered already.
    Conversing = 4,
}

/// One downstream connection.
#[derive(Debug)]
pub struct Connection {
    /// The client's address as text: every request needs it.
    client: Option<Arc<str>>,
    /// The same, as nearly all upstreams are told.
    client_value: Option<HeaderValue>,
    /// `None` in the clear.
    secured: Option<Secured>,
    address: Option<IpAddr>,
    phase: AtomicU8,
    /// Time spent waiting for the client's body, in nanoseconds.
    waited: AtomicU64,
    /// Bytes of the body received.
    received: AtomicU64,
    malformed_body: AtomicBool,
    tunnel: AtomicBool,
    pub(super) limits: Limits,
    place: Arc<Place>,
}

/// A slow body is judged only after this much waiting.
const GRACE: Duration = Duration::from_secs(10);

impl Connection {
    pub(super) fn new(client: Option<IpAddr>, limits: Limits, place: Place) -> Self {
        let address = client.map(|client| client.to_canonical());
        let client = address.map(|address| Arc::from(address.to_string()));
        let value = |text: &Arc<str>| HeaderValue::from_str(text).ok();
        Self {
            client_value: client.as_ref().and_then(value),
            client,
            address,
            secured: None,
            phase: AtomicU8::new(Phase::Idle as u8),
            waited: AtomicU64::new(0),
            received: AtomicU64::new(0),
            malformed_body: AtomicBool::new(false),
            tunnel: AtomicBool::new(false),
            limits,
            place: Arc::new(place),
        }
    }

    /// One stream of it: with a body of its own, and the connection's place.
    pub(super) fn stream(&self) -> Self {
        Self {
            client: self.client.clone(),
            client_value: self.client_value.clone(),
            address: self.address,
            phase: AtomicU8::new(Phase::Request as u8),
            waited: AtomicU64::new(0),
            received: AtomicU64::new(0),
            secured: self.secured,
            malformed_body: AtomicBool::new(false),
            tunnel: AtomicBool::new(false),
            limits: self.limits.clone(),
            place: Arc::clone(&self.place),
        }
    }

    /// What the client sends from now on is not HTTP/1, and passes as it is.
    pub fn become_tunnel(&self) {
        self.tunnel.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Relaxed)
    }

    pub(super) fn note_malformed_body(&self) {
        self.malformed_body.store(true, Ordering::Relaxed);
    }

    /// Whether reading the body failed because it is not framed as RFC 9112 says. Nothing is
    /// read from the connection after that.
    pub fn body_is_malformed(&self) -> bool {
        self.malformed_body.load(Ordering::Relaxed)
    }

    /// The same connection, over TLS.
    pub(super) fn over(mut self, secured: Option<Secured>) -> Self {
        self.secured = secured;
        self
    }

    /// How requests come.
    pub fn scheme(&self) -> Scheme {
        match self.secured {
            Some(_) => Scheme::Https,
            None => Scheme::Http,
        }
    }

    /// The version of TLS, `TLSv1.2` or `TLSv1.3`; `None` in the clear.
    pub fn tls_version(&self) -> Option<&'static str> {
        Some(self.secured?.version)
    }

    /// The client's address as text, if it has one.
    pub fn client(&self) -> Option<Arc<str>> {
        self.client.clone()
    }

    /// The same, as the value of a header field.
    pub fn client_value(&self) -> Option<&HeaderValue> {
        self.client_value.as_ref()
    }

    /// The same, as an address.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// A header is complete: its deadline is over.
    pub fn header_read(&self) {
        self.enter(Phase::Request);
    }

    /// The client owes a body from now on.
    pub fn expect_body(&self) {
        self.waited.store(0, Ordering::Relaxed);
        self.received.store(0, Ordering::Relaxed);
        self.enter(Phase::Body);
    }

    /// The client is answered, and may take its time over what is left of its body: both ends
    /// together are held to `upgrade_idle_timeout` instead of the limits of bodies. Whether there
    /// is anything left.
    pub fn converse(&self) -> bool {
        let owes = self.phase() == Phase::Body;
        if owes {
            self.enter(Phase::Conversing);
        }
        owes
    }

    /// The answer is complete: what the client still owes is a body like any other. Whether it
    /// owes anything.
    pub fn end_conversation(&self) -> bool {
        let owes = self.phase() == Phase::Conversing;
        if owes {
            self.expect_body();
        }
        owes
    }

    /// The longest wait for the next piece of the body.
    pub(super) fn longest_wait(&self) -> Duration {
        match self.phase() {
            Phase::Conversing => self.limits.upgrade_idle_timeout,
            Phase::Idle | Phase::Header | Phase::Request | Phase::Body => self.limits.body_timeout,
        }
    }

    /// The body is complete.
    pub fn body_read(&self) {
        self.enter(Phase::Request);
    }

    /// The answer is out; the next byte starts a new request.
    pub fn request_done(&self) {
        self.enter(Phase::Idle);
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Header,
            3 => Phase::Body,
            4 => Phase::Conversing,
            _ => Phase::Request,
        }
    }

    /// Counts a piece of the body and the wait for it, unless that is the client's own affair.
    pub(super) fn count_body(&self, bytes: u64, wait: Duration) {
        if self.phase() == Phase::Conversing {
            return;
        }
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.waited.fetch_add(nanos, Ordering::Relaxed);
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether the body comes slower than `body_rate`, not counting the time in which
    /// nobody waited for it.
    pub fn body_is_too_slow(&self) -> bool {
        let waited = Duration::from_nanos(self.waited.load(Ordering::Relaxed));
        let received = self.received.load(Ordering::Relaxed);
        waited > GRACE && received < self.limits.body_rate.saturating_mul(waited.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::gate::Gate;

    fn connection() -> Connection {
        let gate = Gate::default();
        let place = gate
            .enter("127.0.0.1".parse().expect("an address"), &Limits::default())
            .expect("room");
        Connection::new(None, Limits::default(), place)
    }

    #[test]
    fn a_body_is_judged_by_the_time_spent_waiting_for_it() {
        let connection = connection();
        connection.expect_body();
        connection.count_body(10, Duration::from_secs(9));
        assert!(
            !connection.body_is_too_slow(),
            "within the first ten seconds"
        );
        connection.count_body(10, Duration::from_secs(3));
        assert!(connection.body_is_too_slow());
        connection.count_body(1 << 20, Duration::from_secs(1));
        assert!(!connection.body_is_too_slow(), "it caught up");
    }

    #[test]
    fn a_conversation_is_not_judged_and_what_follows_it_is_alone() {
        let connection = connection();
        assert!(!connection.converse(), "there is no body");
        connection.expect_body();
        connection.count_body(10, Duration::from_secs(9));
        assert!(connection.converse());
        let limits = Limits::default();
        assert_eq!(connection.longest_wait(), limits.upgrade_idle_timeout);
        connection.count_body(50, Duration::from_secs(300));
        assert!(!connection.body_is_too_slow());
        assert!(connection.end_conversation());
        assert_eq!(connection.longest_wait(), limits.body_timeout);
        connection.count_body(10, Duration::from_secs(9));
        assert!(!connection.body_is_too_slow(), "it begins anew");
        connection.count_body(10, Duration::from_secs(9));
        assert!(connection.body_is_too_slow());
        connection.body_read();
        assert!(!connection.end_conversation());
    }

    #[test]
    fn each_body_is_judged_alone() {
        let connection = connection();
        connection.expect_body();
        connection.count_body(0, Duration::from_secs(100));
        connection.body_read();
        connection.expect_body();
        assert!(!connection.body_is_too_slow());
    }
}
