//! What one request carries through the phases.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::action::{Action, Snapshot, Target};
use super::error::ErrorCode;
use super::identity::Told;
use super::policy::{Preflight, State};
use super::request_id::RequestId;
use super::upgrade::Protocol;
use crate::edge::{Edits, Hold, Record, Request, RequestEdits};
use crate::listener::Connection;
use crate::scheme::Scheme;
use crate::upstream::{Lease, Upstream};

/// State of one request.
pub struct Context {
    /// One snapshot for the whole request.
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) connection: Option<Arc<Connection>>,
    /// How the client's request came.
    pub(super) scheme: Scheme,
    pub(super) started: Instant,
    pub(super) id: RequestId,
    /// Random; what [`Context::id`] is made of, unless that was given.
    pub(super) bits: u128,
    /// The client's address as text.
    pub(super) client: Option<Arc<str>>,
    pub(super) client_address: Option<IpAddr>,
    /// The other end of the connection.
    pub(super) peer: Option<IpAddr>,
    /// The same as text, where it is a proxy that is not the client.
    pub(super) peer_name: Option<Arc<str>>,
    /// What a trusted proxy says of the request.
    pub(super) told: Option<Box<Told>>,
    /// The trace that the client's request is part of.
    pub(super) trace: Option<Box<str>>,
    pub(super) action: Option<Arc<Action>>,
    /// Whether it is a preflight, and its route's to answer.
    pub(super) preflight: Preflight,
    /// Of its route's policy, if that has one.
    pub(super) policy: Option<Box<State>>,
    /// What the backend is asked to go on in.
    pub(super) upgrade: Option<Protocol>,
    /// What the access log says, if not told by anything else.
    pub(super) error: Option<ErrorCode>,
    /// Bytes of the request body seen so far.
    pub(super) received: u64,
    pub(super) exchange: Exchange,
    /// For the buffered body of the request.
    pub(super) body_hold: Option<Hold>,
    /// For what the functions made: their answer, or their edits.
    pub(super) hold: Option<Hold>,
    /// One for each function that ran.
    pub(super) records: Vec<Record>,
    /// For the response.
    pub(super) edits: Edits,
    /// For the request that is forwarded.
    pub(super) request_edits: RequestEdits,
    /// What was forwarded, for functions that see the response.
    pub(super) forwarded: Option<Arc<Request>>,
    _active: Active,
}

/// The exchange with the upstream.
#[derive(Default)]
pub(super) struct Exchange {
    pub(super) lease: Option<Lease>,
    /// Backends that could not be connected to.
    pub(super) unreachable: Vec<SocketAddr>,
    /// Backends that got the request and failed.
    pub(super) failed: Vec<SocketAddr>,
    /// How often the request was sent again to the latter or in their place.
    pub(super) resent: usize,
    pub(super) started: Option<Instant>,
    /// Interim answers (1xx) of this attempt.
    pub(super) interim: usize,
    /// Until the header of the answer was there.
    pub(super) took: Option<Duration>,
    /// What replaces the answer's body.
    pub(super) body: ReplacedBody,
}

/// Whether and how the upstream's body is replaced.
#[derive(Debug, Default)]
pub(super) enum ReplacedBody {
    /// It passes.
    #[default]
    No,
    /// To be sent instead of the first piece of the upstream's.
    Pending(Bytes),
    /// Sent; the rest of the upstream's is dropped.
    Sent,
    /// The upstream sends no body that could be replaced, so the whole answer is
    /// written by the node.
    Whole(Box<pingora::http::ResponseHeader>, Bytes),
}

impl Context {
    pub(super) fn new(snapshot: Arc<Snapshot>, activity: &Arc<Activity>) -> Self {
        let connection = crate::listener::current();
        let peer = connection.as_ref().and_then(|c| c.address());
        let bits = fastrand::u128(..);
        Self {
            snapshot,
            scheme: connection.as_ref().map(|c| c.scheme()).unwrap_or_default(),
            started: Instant::now(),
            id: RequestId::of(bits),
            bits,
            client: connection.as_ref().and_then(|c| c.client()),
            client_address: peer,
            peer,
            peer_name: None,
            told: None,
            trace: None,
            action: None,
            preflight: Preflight::No,
            policy: None,
            upgrade: None,
            error: None,
            received: 0,
            exchange: Exchange::default(),
            body_hold: None,
            hold: None,
            records: Vec::new(),
            edits: Edits::default(),
            request_edits: RequestEdits::default(),
            forwarded: None,
            connection,
            _active: Active::enter(activity),
        }
    }

    /// Whether the backend of this attempt is spoken to in HTTP/2.
    pub(super) fn speaks_http2(&self) -> bool {
        let lease = self.exchange.lease.as_ref();
        lease.is_some_and(|lease| lease.backend().speaks_http2())
    }

    /// Where the request goes, if its route has an upstream.
    pub(super) fn upstream(&self) -> Option<Arc<Upstream>> {
        match &self.action.as_ref()?.target {
            Target::Upstream(upstream) | Target::FunctionsThenUpstream(_, upstream) => {
                Some(Arc::clone(upstream))
            }
            Target::Answer(_)
            | Target::ToHttps(_)
            | Target::Functions(_)
            | Target::FunctionsThenFiles(..)
            | Target::Files(_) => None,
        }
    }
}

/// Which requests are under way, for a drain.
#[derive(Debug, Default)]
pub struct Activity {
    requests: AtomicUsize,
    draining: AtomicBool,
    idle: Notify,
}

impl Activity {
    /// From now on every answer closes its connection.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether [`Activity::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Returns once no request is under way.
    pub async fn idle(&self) {
        loop {
            let notified = self.idle.notified();
            if self.requests.load(Ordering::Acquire) == 0 {
                return;
            }
            notified.await;
        }
    }

    /// Requests under way.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }
}

/// Counts one request for as long as it lives.
struct Active(Arc<Activity>);

impl Active {
    fn enter(activity: &Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(activity))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let last = self.0.requests.fetch_sub(1, Ordering::AcqRel) == 1;
        if last && self.0.is_draining() {
            self.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_the_last_request() {
        let activity = Arc::new(Activity::default());
        activity.idle().await;
        let request = Active::enter(&activity);
        activity.drain();
        let waiting = Arc::clone(&activity);
        let drained = tokio::spawn(async move { waiting.idle().await });
        tokio::task::yield_now().await;
        assert!(!drained.is_finished());
        drop(request);
        drained.await.expect("no panic");
    }
}
