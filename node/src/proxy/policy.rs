//! What a route asks of its requests and makes of its answers, besides passing them on.
//!
//! A route without any of it has no [`Policy`], and its requests carry no [`State`].

mod admission;
mod cors;
mod in_flight;
mod networks;
mod rate;
mod rewrite;

use std::sync::Arc;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

pub(super) use self::admission::enforce;
pub use self::cors::{AllowedOrigin, Cors, CorsSettings, Credentials, OriginError};
pub(super) use self::cors::{Preflight, preflight_for};
pub use self::in_flight::InFlight;
pub use self::networks::{AddressRules, Network, NetworkError, Networks};
pub use self::rate::{Counters, Counting, Ledger, RateKey, RateKeyError, RateLimit, RateSettings};
pub use self::rewrite::{Rewrite, RewriteError};

use self::in_flight::Place;

use super::action::Action;
use super::context::Context;
use super::error::ErrorCode;
use super::forward;
use super::request;
use crate::auth::Login;
use crate::edge::HeaderEdit;

/// What holds for all requests of a route.
#[derive(Debug, Default)]
pub struct Policy {
    /// What the upstream is asked for instead of the path.
    pub rewrite: Option<Rewrite>,
    /// What the upstream is sent as `Host`.
    pub host: Option<HeaderValue>,
    /// Made of the request before its functions see it.
    pub request_headers: Vec<HeaderEdit>,
    /// Made of every answer but the node's error documents, after the functions' edits.
    pub response_headers: Vec<HeaderEdit>,
    /// Whose pages may use it.
    pub cors: Option<Cors>,
    /// From where it may be used.
    pub addresses: AddressRules,
    /// How many requests may be under way, and those that are.
    pub in_flight: Option<(usize, Arc<InFlight>)>,
    /// How often it may be used.
    pub rate_limit: Option<RateLimit>,
    /// Who may use it.
    pub login: Option<Login>,
}

impl Policy {
    /// Whether some requests end before anything is done for them.
    pub(super) fn is_guarded(&self) -> bool {
        self.cors.is_some()
            || !self.addresses.is_empty()
            || self.in_flight.is_some()
            || self.rate_limit.is_some()
            || self.login.is_some()
    }
}

/// What a request of such a route carries.
#[derive(Debug, Default)]
pub(super) struct State {
    /// In place of the client's own.
    target: Option<Uri>,
    /// The origin that its answer allows.
    origin: Option<HeaderValue>,
    place: Option<Place>,
    /// What the upstream is told of who is asking.
    identity: Vec<HeaderEdit>,
    /// Removes what a client has made to look like what the route edits.
    disguised: Vec<HeaderEdit>,
    /// What the answer says beside the error that it is refused with.
    refusal: Vec<(HeaderName, HeaderValue)>,
}

/// Begins with a request whose route is known.
///
/// # Errors
/// When what the upstream would be asked for is not to be asked for.
pub(super) fn begin(
    context: &mut Context,
    action: &Action,
    header: &RequestHeader,
) -> Result<(), ErrorCode> {
    let Some(policy) = &action.policy else {
        return Ok(());
    };
    let cors = policy.cors.as_ref();
    let mut state = State {
        // A yes to what comes before a request of another route would be that route's to give.
        origin: cors
            .filter(|_| context.preflight != Preflight::OfAnother)
            .and_then(|cors| cors.allowed(&header.headers)),
        disguised: disguised(&policy.request_headers, &header.headers),
        ..State::default()
    };
    let target = policy.rewrite.as_ref().map_or(Ok(None), |rewrite| {
        let longest = context.snapshot.limits.uri_length;
        rewrite.target(&header.uri, (action.encoded_slashes, longest))
    });
    // There also for a request that is refused here: its answer too is read by pages.
    let target = target.map(|target| state.target = target);
    context.policy = Some(Box::new(state));
    target
}

/// What the upstream is asked for, unless functions change it: path and query.
pub(super) fn target(context: &Context, uri: &Uri) -> String {
    let state = context.policy.as_ref();
    let uri = state.and_then(|state| state.target.as_ref()).unwrap_or(uri);
    request::target(uri.path(), uri)
}

/// The path of the same.
pub(super) fn path<'a>(context: &'a Context, uri: &'a Uri) -> &'a str {
    let state = context.policy.as_ref();
    let target = state.and_then(|state| state.target.as_ref());
    target.unwrap_or(uri).path()
}

/// The header fields that functions see.
pub(super) fn headers(context: &Context, headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for edit in request_edits(context) {
        edit.apply(&mut headers);
    }
    headers
}

/// Makes of the client's request what the functions have seen.
pub(super) fn forward(context: &Context, upstream: &mut RequestHeader) -> Result<()> {
    if let Some(target) = context
        .policy
        .as_ref()
        .and_then(|state| state.target.as_ref())
    {
        upstream.set_uri(target.clone());
    }
    forward::edit(request_edits(context), upstream)
}

/// Names the host that the upstream is to be for, after others have noted the client's.
pub(super) fn set_host(context: &Context, upstream: &mut RequestHeader) -> Result<()> {
    match host(context) {
        Some(host) => upstream.insert_header(HOST, host),
        None => Ok(()),
    }
}

/// Makes its own of an answer that is otherwise complete, whoever made it; not for the node's
/// error documents.
pub(super) fn finish(context: &Context, answer: &mut ResponseHeader) -> Result<()> {
    let Some(policy) = of(context) else {
        return Ok(());
    };
    apply(&policy.response_headers, answer)?;
    mark(context, policy, answer)
}

/// Adds to an error document what the route has to say to whoever reads it.
pub(super) fn explain(context: &Context, problem: &mut ResponseHeader) -> Result<()> {
    let Some(policy) = of(context) else {
        return Ok(());
    };
    for (name, value) in context.policy.iter().flat_map(|state| &state.refusal) {
        problem.insert_header(name.clone(), value.clone())?;
    }
    mark(context, policy, problem)
}

fn mark(context: &Context, policy: &Policy, answer: &mut ResponseHeader) -> Result<()> {
    let state = context.policy.as_ref();
    match &policy.cors {
        Some(cors) => cors.mark(state.and_then(|state| state.origin.as_ref()), answer),
        None => Ok(()),
    }
}

/// Applies header edits in their order.
pub(super) fn apply(edits: &[HeaderEdit], header: &mut ResponseHeader) -> Result<()> {
    for edit in edits {
        match edit {
            HeaderEdit::Set(name, value) => header.insert_header(name.clone(), value.clone())?,
            HeaderEdit::Add(name, value) => {
                header.append_header(name.clone(), value.clone())?;
            }
            HeaderEdit::Remove(name) => {
                header.remove_header(name);
            }
        }
    }
    Ok(())
}

/// What the upstream is sent as `Host`, if not the client's.
pub(super) fn host(context: &Context) -> Option<&HeaderValue> {
    of(context)?.host.as_ref()
}

/// Made of the request before its functions see it. Who is asking has the last word: a route's own
/// edit cannot speak for them.
pub(super) fn request_edits(context: &Context) -> impl Iterator<Item = &HeaderEdit> {
    let own = of(context)
        .into_iter()
        .flat_map(|policy| &policy.request_headers);
    let state = || context.policy.iter();
    let disguised = state().flat_map(|state| &state.disguised);
    disguised
        .chain(own)
        .chain(state().flat_map(|state| &state.identity))
}

/// Headers that differ from what the route sets or removes by underscores only: many servers take
/// these for hyphens.
fn disguised(edits: &[HeaderEdit], received: &HeaderMap) -> Vec<HeaderEdit> {
    let is_edited = |plain: &str| {
        let mut edits = edits.iter();
        edits.any(|edit| !matches!(edit, HeaderEdit::Add(..)) && edit.name().as_str() == plain)
    };
    let names = received.keys().filter(|name| name.as_str().contains('_'));
    names
        .filter(|name| is_edited(&name.as_str().replace('_', "-")))
        .cloned()
        .map(HeaderEdit::Remove)
        .collect()
}

fn of(context: &Context) -> Option<&Policy> {
    context.action.as_ref()?.policy.as_deref()
}
