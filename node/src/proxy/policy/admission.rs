//! Whether a request may go on, before anything is done for it: preflights are answered, then
//! address, room, rate and login are looked at, in this order.

use std::time::Duration;

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use pingora::Result;
use pingora::proxy::Session;

use super::{Policy, Preflight, rate};
use crate::auth::{Identity, Refusal};
use crate::edge::HeaderEdit;
use crate::proxy::Next;
use crate::proxy::context::Context;
use crate::proxy::error::ErrorCode;
use crate::proxy::{hsts, respond, watch};

/// Whether the request ends here, and how; `None` where it goes on.
pub(in crate::proxy) async fn enforce(
    session: &mut Session,
    context: &mut Context,
    policy: &Policy,
) -> Result<Option<Next>> {
    if let Some(cors) = &policy.cors
        && context.preflight == Preflight::Own
    {
        let state = context.policy.as_ref();
        let mut answer = cors.preflight(state.and_then(|state| state.origin.as_ref()))?;
        hsts::add(&mut answer, context)?;
        respond::empty(session, answer).await?;
        return Ok(Some(Next::Answered));
    }
    let admitted = match admit(session, context, policy).await {
        Ok(()) => log_in(session, context, policy).await?,
        Err(code) => Err(code),
    };
    Ok(admitted.err().map(Next::Refused))
}

async fn admit(session: &Session, context: &mut Context, policy: &Policy) -> Result<(), ErrorCode> {
    let Some(state) = &mut context.policy else {
        return Err(ErrorCode::Internal);
    };
    let client = context.client_address;
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

/// Asks who it is, for as long as the client is there.
async fn log_in(
    session: &mut Session,
    context: &mut Context,
    policy: &Policy,
) -> Result<Result<(), ErrorCode>> {
    let (Some(login), Some(state)) = (&policy.login, &mut context.policy) else {
        return Ok(Ok(()));
    };
    let client = rate::of_client(context.client_address);
    let judged = match login.read(&session.req_header().headers) {
        Ok(presented) => {
            tokio::select! {
                biased;
                judged = login.judge(presented, &client) => judged,
                gone = watch::client_left(session) => return Err(gone),
            }
        }
        Err(refusal) => Err(refusal),
    };
    Ok(match judged {
        Ok(identity) => {
            state.identity = edits(identity, &session.req_header().headers);
            Ok(())
        }
        Err(Refusal::Unauthorized(challenge)) => {
            state.refusal.push((WWW_AUTHENTICATE, challenge));
            Err(ErrorCode::Unauthorized)
        }
        Err(Refusal::TooMany(wait)) => {
            state.refusal.push((RETRY_AFTER, seconds(wait)));
            Err(ErrorCode::RateLimited)
        }
        Err(Refusal::Overloaded) => Err(ErrorCode::Overloaded),
    })
}

/// The headers that tell of the client, and none that a client has made to look like them: many
/// servers take an underscore for a hyphen.
fn edits(identity: Identity, received: &HeaderMap) -> Vec<HeaderEdit> {
    let disguised = received.keys().filter(|name| {
        let plain = name.as_str().replace('_', "-");
        plain != name.as_str() && identity.iter().any(|(own, _)| own.as_str() == plain)
    });
    let mut edits: Vec<_> = disguised.cloned().map(HeaderEdit::Remove).collect();
    edits.extend(identity.into_iter().map(|(name, value)| match value {
        Some(value) => HeaderEdit::Set(name, value),
        None => HeaderEdit::Remove(name),
    }));
    edits
}

/// Rounded up: who waits that long is in time.
fn seconds(wait: Duration) -> HeaderValue {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX))
}
