//! Whether a request may go on, before anything is done for it: preflights are answered, then
//! address, room and rate are looked at, in this order.

use std::time::Duration;

use http::HeaderValue;
use http::header::RETRY_AFTER;
use pingora::Result;
use pingora::proxy::Session;

use super::{Policy, cors, rate};
use crate::proxy::Next;
use crate::proxy::context::Context;
use crate::proxy::error::ErrorCode;
use crate::proxy::respond;

/// Whether the request ends here, and how; `None` where it goes on.
pub(in crate::proxy) async fn enforce(
    session: &mut Session,
    context: &mut Context,
    policy: &Policy,
) -> Result<Option<Next>> {
    if let Some(cors) = &policy.cors
        && cors::preflight_for(session.req_header()).is_some()
    {
        let state = context.policy.as_ref();
        let answer = cors.preflight(state.and_then(|state| state.origin.as_ref()))?;
        respond::empty(session, answer).await?;
        return Ok(Some(Next::Answered));
    }
    match admit(session, context, policy).await {
        Ok(()) => Ok(None),
        Err(code) => Ok(Some(Next::Refused(code))),
    }
}

async fn admit(
    session: &Session,
    context: &mut Context,
    policy: &Policy,
) -> Result<(), ErrorCode> {
    let Some(state) = &mut context.policy else {
        return Err(ErrorCode::Internal);
    };
    let client = rate::parse_client(context.client.as_ref());
    if !policy.addresses.is_empty() && !policy.addresses.admit(client) {
        return Err(ErrorCode::Forbidden);
    }
    if let Some((limit, requests)) = &policy.in_flight {
        let place = requests.enter(*limit);
        state.place = Some(place.ok_or(ErrorCode::Overloaded)?);
    }
    if let Some(limit) = &policy.rate_limit {
        let headers = &session.req_header().headers;
        if let Some(wait) = limit.count(client, headers).await {
            state.refusal.push((RETRY_AFTER, seconds(wait)));
            return Err(ErrorCode::RateLimited);
        }
    }
    Ok(())
}

/// Rounded up: who waits that long is in time.
fn seconds(wait: Duration) -> HeaderValue {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX))
}
