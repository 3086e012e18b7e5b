//! Which backend a request goes to, and whether it is tried again, whoever carries it there.

use std::time::Instant;

use http::{HeaderName, HeaderValue, Method};
use pingora::http::RequestHeader;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result, RetryType};
use tracing::debug;

use super::context::Context;
use super::error::ErrorCode;
use crate::edge::HeaderEdit;
use crate::upstream::{Caller, Choice, Unavailable};

/// What a backend may be chosen by: of a request as it goes to the upstream, edits of functions
/// included.
struct Sender<'a> {
    context: &'a Context,
    request: &'a RequestHeader,
}

impl Caller for Sender<'_> {
    fn client(&self) -> Option<&str> {
        self.context.client.as_deref()
    }

    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        let edits = self.context.request_edits.headers.iter();
        let mut value = self.request.headers.get(name);
        for edit in edits.filter(|edit| edit.name() == name) {
            value = match edit {
                HeaderEdit::Set(_, set) => Some(set),
                HeaderEdit::Add(_, added) => value.or(Some(added)),
                HeaderEdit::Remove(_) => None,
            };
        }
        value.map(HeaderValue::as_bytes)
    }

    fn path(&self) -> &str {
        let edited = self.context.request_edits.uri.as_ref();
        edited.unwrap_or(&self.request.uri).path()
    }
}

/// Takes a place at a backend that was not tried, for this attempt.
pub(super) fn pick(context: &mut Context, request: &RequestHeader) -> Result<Box<HttpPeer>> {
    let upstream = context
        .upstream()
        .ok_or_else(|| Error::new(ErrorType::InternalError))?;
    // Another attempt needs the last one's place no more.
    context.exchange.lease = None;
    let now = Instant::now();
    let chosen = upstream.pick(&Choice {
        now,
        tried: &context.exchange.tried,
        caller: &Sender { context, request },
    });
    let lease = chosen.map_err(|reason| {
        context.error = Some(match reason {
            Unavailable::Full => ErrorCode::Overloaded,
            Unavailable::Exhausted => ErrorCode::UpstreamConnect,
            Unavailable::Unhealthy => ErrorCode::NoHealthyUpstream,
        });
        Error::new(ErrorType::ConnectError)
    })?;
    let peer = Box::new(lease.backend().peer().clone());
    context.exchange.lease = Some(lease);
    context.exchange.started = Some(now);
    Ok(peer)
}

/// Nothing was sent, so another backend may be asked whatever the method.
pub(super) fn not_connected(context: &mut Context, mut error: Box<Error>) -> Box<Error> {
    if let Some(lease) = &context.exchange.lease {
        lease.failed();
        let address = lease.backend().address();
        debug!(%address, %error, "a backend cannot be connected to");
        context.exchange.tried.push(address);
    }
    let tried = &context.exchange.tried;
    let retry = context
        .upstream()
        .is_some_and(|upstream| tried.len() <= upstream.retries() && upstream.has_other(tried));
    error.set_retry(retry);
    error.into_up()
}

/// Whether a request can be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Its method is idempotent, and its body is still there.
    Harmless,
    /// Doing it twice may change something, but its body is still there.
    Harmful,
    /// Nobody has its body any more.
    Impossible,
}

impl Repeat {
    /// Of a request whose body is still there if it `can_start_again`.
    pub(super) fn of(method: &Method, can_start_again: bool) -> Self {
        match (can_start_again, method.is_idempotent()) {
            (false, _) => Self::Impossible,
            (true, true) => Self::Harmless,
            (true, false) => Self::Harmful,
        }
    }
}

/// A kept connection may die under a request that nobody has read. Such a request is
/// sent again, at least once and at most `retries` times, if doing it twice is harmless; one
/// that an HTTP/2 backend says it has not looked at (RFC 9113, section 8.7) in any case.
pub(super) fn lost(
    context: &mut Context,
    error: &mut Error,
    repeat: Repeat,
    connection: ConnectionAge,
) {
    if let Some(lease) = &context.exchange.lease
        && speaks_against(error, connection)
    {
        lease.failed();
    }
    let allowed = context
        .upstream()
        .map_or(0, |upstream| upstream.retries().max(1));
    // Only this is decided by the library.
    let refused = matches!(error.retry, RetryType::Decided(true));
    match repeat {
        _ if context.exchange.resent >= allowed => error.set_retry(false),
        Repeat::Harmless => error.retry.decide_reuse(connection == ConnectionAge::Kept),
        Repeat::Harmful => error.set_retry(refused),
        Repeat::Impossible => error.set_retry(false),
    }
    context.exchange.resent += usize::from(error.retry());
}

/// Whether the backend is to blame. Any backend closes connections that nobody uses, and may do
/// so just when a request arrives on one.
fn speaks_against(error: &Error, connection: ConnectionAge) -> bool {
    use ErrorType::{ReadTimedout, WriteTimedout};
    let slow = matches!(error.etype(), ReadTimedout | WriteTimedout);
    *error.esource() == ErrorSource::Upstream && (slow || connection == ConnectionAge::New)
}

/// Whether a connection has carried a request before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionAge {
    New,
    Kept,
}

impl ConnectionAge {
    pub(super) fn of(reused: bool) -> Self {
        match reused {
            true => Self::Kept,
            false => Self::New,
        }
    }
}
