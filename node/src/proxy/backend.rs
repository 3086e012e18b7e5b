//! Which backend a request goes to, and whether it is tried again, whoever carries it there.

use std::time::Instant;

use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use tracing::debug;

use super::context::Context;
use super::error::ErrorCode;
use crate::upstream::Unavailable;

/// Takes a place at the next backend that was not tried, for this attempt.
pub(super) fn pick(context: &mut Context) -> Result<Box<HttpPeer>> {
    let upstream = context
        .upstream()
        .ok_or_else(|| Error::new(ErrorType::InternalError))?;
    // Another attempt needs the last one's place no more.
    context.exchange.lease = None;
    let lease = upstream.pick(&context.exchange.tried).map_err(|reason| {
        context.error = Some(match reason {
            Unavailable::Full => ErrorCode::Overloaded,
            Unavailable::Exhausted => ErrorCode::UpstreamConnect,
        });
        Error::new(ErrorType::ConnectError)
    })?;
    let peer = Box::new(lease.backend().peer().clone());
    context.exchange.lease = Some(lease);
    context.exchange.started = Some(Instant::now());
    Ok(peer)
}

/// Nothing was sent, so another backend may be asked whatever the method.
pub(super) fn not_connected(context: &mut Context, mut error: Box<Error>) -> Box<Error> {
    if let Some(lease) = &context.exchange.lease {
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

/// Whether sending a request twice changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Its method is idempotent, and its body is still there.
    Harmless,
    Harmful,
}

/// A kept connection may die under a request that nobody has read. Such a request is
/// sent again, at least once and at most `retries` times, if doing it twice is harmless.
pub(super) fn lost(
    context: &mut Context,
    error: &mut Error,
    repeat: Repeat,
    connection: ConnectionAge,
) {
    let allowed = context
        .upstream()
        .map_or(0, |upstream| upstream.retries().max(1));
    match repeat == Repeat::Harmless && context.exchange.resent < allowed {
        true => error.retry.decide_reuse(connection == ConnectionAge::Kept),
        false => error.set_retry(false),
    }
    context.exchange.resent += usize::from(error.retry());
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
