//! Which backend a request goes to, and whether it is tried again, whoever carries it there.

use std::net::SocketAddr;
use std::time::Instant;

use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result, RetryType};
use tracing::debug;

use super::context::Context;
use super::error::ErrorCode;
use super::{policy, respond};
use crate::edge::HeaderEdit;
use crate::upstream::{Caller, Choice, Failure, Lease, Unavailable, Upstream};

/// Raised to make the library give up an answer for another attempt.
const RETRIED_STATUS: ErrorType = ErrorType::Custom("a status that is in retry_on");

/// What a backend may be chosen by: of a request as it goes to the upstream, edits of the route and
/// of functions included.
struct Sender<'a> {
    context: &'a Context,
    request: &'a RequestHeader,
}

impl Caller for Sender<'_> {
    fn client(&self) -> Option<&str> {
        self.context.client.as_deref()
    }

    fn header(&self, name: &HeaderName) -> Vec<&[u8]> {
        if *name == HOST
            && let Some(host) = policy::host(self.context)
        {
            return vec![host.as_bytes()];
        }
        let functions = self.context.request_edits.headers.iter();
        let edits = policy::request_edits(self.context).chain(functions);
        let received = self.request.headers.get_all(name).iter();
        let mut values: Vec<_> = received.map(HeaderValue::as_bytes).collect();
        for edit in edits.filter(|edit| edit.name() == name) {
            if !matches!(edit, HeaderEdit::Add(..)) {
                values.clear();
            }
            if let HeaderEdit::Set(_, value) | HeaderEdit::Add(_, value) = edit {
                values.push(value.as_bytes());
            }
        }
        values
    }

    fn path(&self) -> &str {
        match &self.context.request_edits.uri {
            Some(edited) => edited.path(),
            None => policy::path(self.context, &self.request.uri),
        }
    }
}

/// Takes a place at a backend, for this attempt: at one that has not failed, if there is such a
/// one.
pub(super) fn pick(context: &mut Context, request: &RequestHeader) -> Result<Box<HttpPeer>> {
    let upstream = context
        .upstream()
        .ok_or_else(|| Error::new(ErrorType::InternalError))?;
    let now = Instant::now();
    if context.exchange.started.is_none() {
        upstream.budget().count(now);
    }
    // Another attempt needs the last one's place no more.
    context.exchange.lease = None;
    let lease = choose(&upstream, (context, request), now).map_err(|reason| {
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
    context.exchange.interim = 0;
    Ok(peer)
}

fn choose(
    upstream: &Upstream,
    (context, request): (&Context, &RequestHeader),
    now: Instant,
) -> Result<Lease, Unavailable> {
    let caller = &Sender { context, request };
    let other_than = |tried: &[SocketAddr]| upstream.pick(&Choice { now, tried, caller });
    let (unreachable, failed) = (&context.exchange.unreachable, &context.exchange.failed);
    if !failed.is_empty()
        && let Ok(other) = other_than(&[&**unreachable, failed].concat())
    {
        return Ok(other);
    }
    other_than(unreachable)
}

/// Nothing was sent, so another backend may be asked whatever the method. This costs the backends
/// that live nothing, and so none of the budget.
pub(super) fn not_connected(context: &mut Context, mut error: Box<Error>) -> Box<Error> {
    if let Some(lease) = &context.exchange.lease {
        lease.failed();
        let address = lease.backend().address();
        debug!(%address, %error, "a backend cannot be connected to");
        context.exchange.unreachable.push(address);
    }
    let unreachable = &context.exchange.unreachable;
    let retry = context.upstream().is_some_and(|upstream| {
        upstream.retry_on().has(Failure::Connect)
            && unreachable.len() <= upstream.retries()
            && upstream.has_other(unreachable)
    });
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

    /// Of a request that the library carries.
    pub(super) fn of_library(session: &Session) -> Self {
        let unanswered = respond::status(session).is_none();
        let can_start_again = unanswered && !session.as_ref().retry_buffer_truncated();
        Self::of(&session.req_header().method, can_start_again)
    }
}

/// A connection ended before the answer was there. If doing it twice is harmless, the request is
/// sent again; one that an HTTP/2 backend says it has not looked at (RFC 9113, section 8.7) in
/// any case.
///
/// Kept connections may die under a request that nobody has read: these are replaced at least
/// once, and need no budget, since each dies only once.
pub(super) fn lost(
    context: &mut Context,
    error: &mut Error,
    repeat: Repeat,
    connection: ConnectionAge,
) {
    if *error.etype() == RETRIED_STATUS {
        // Decided when the status was read.
        return error.set_retry(true);
    }
    if let Some(lease) = &context.exchange.lease
        && speaks_against(error, connection)
    {
        lease.failed();
    }
    // Only this is decided by the library.
    let refused = matches!(error.retry, RetryType::Decided(true));
    error.retry.decide_reuse(connection == ConnectionAge::Kept);
    let replaces = error.retry()
        && context
            .upstream()
            .is_some_and(|upstream| context.exchange.resent < upstream.retries().max(1));
    let retry = match repeat {
        Repeat::Harmless => replaces || (is_reset(error) && may_resend(context, Failure::Reset)),
        Repeat::Harmful => refused && replaces,
        Repeat::Impossible => false,
    };
    if retry {
        resend(context);
    }
    error.set_retry(retry);
}

/// Before any answer: what a backend does that is restarted, or gives up.
fn is_reset(error: &Error) -> bool {
    use ErrorType as E;
    let reset = matches!(
        error.etype(),
        E::ReadError | E::WriteError | E::ConnectionClosed | E::H2Error
    );
    reset && *error.esource() == ErrorSource::Upstream
}

/// An answer with this status is to be given up for another attempt.
///
/// # Errors
/// What makes the library do so.
pub(super) fn judge(context: &mut Context, status: StatusCode, repeat: Repeat) -> Result<()> {
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || repeat != Repeat::Harmless || !may_resend(context, Failure::Status(status)) {
        return Ok(());
    }
    if let Some(lease) = &context.exchange.lease {
        lease.answered(status);
    }
    resend(context);
    let mut error = Error::new_up(RETRIED_STATUS);
    error.set_retry(true);
    Err(error)
}

/// Whether the rules and the budget of the upstream allow it.
fn may_resend(context: &Context, failure: Failure) -> bool {
    context.upstream().is_some_and(|upstream| {
        upstream.retry_on().has(failure)
            && context.exchange.resent < upstream.retries()
            && upstream.budget().take(Instant::now())
    })
}

/// The next attempt goes to another backend, if there is one.
fn resend(context: &mut Context) {
    let exchange = &mut context.exchange;
    exchange.resent += 1;
    if let Some(lease) = &exchange.lease {
        let address = lease.backend().address();
        debug!(%address, "a request is sent again");
        exchange.failed.push(address);
    }
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
