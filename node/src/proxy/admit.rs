//! From a header just read to the route's action, or to a refusal.

use std::sync::Arc;

use http::{HeaderValue, Method, Version};
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::action::{Action, EncodedSlashes};
use super::context::Context;
use super::error::ErrorCode;
use super::policy::Preflight;
use super::{body, forward, http2, identity, policy, request, trace, upgrade};
use crate::listener::Limits;
use crate::route::{self, Lookup, Table};

/// `Allow` where no route has been looked up yet: what routes usually take.
const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Why a request ends here, and what a 405 allows.
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) allow: Option<HeaderValue>,
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        let allow = (code == ErrorCode::MethodNotAllowed).then_some(METHODS);
        Self { code, allow }
    }
}

/// Prepares for a request whose header has just been read.
pub(super) fn begin(session: &mut Session, context: &Context, draining: bool) {
    if draining {
        session.set_keepalive(None);
    }
    settle(session, &context.snapshot.limits);
    let owes_body = !session.is_body_empty();
    if let Some(connection) = &context.connection {
        match owes_body {
            true => connection.expect_body(),
            false => connection.header_read(),
        }
    }
}

/// What the library is told for each request. Keep-alive stays as the client asked for it:
/// the listener times what is idle, and what does not take its answer.
fn settle(session: &mut Session, limits: &Limits) {
    session.set_read_timeout(Some(limits.body_timeout));
    // A client may send its next request before it has this one's answer.
    session.set_pipelining_enabled(true);
    if session.req_header().version == Version::HTTP_10 {
        // RFC 9110, section 15.2: HTTP/1.0 has no interim answers.
        session.set_ignore_info_resp(true);
    }
}

/// Checks the request and finds its route.
pub(super) fn admit(session: &mut Session, context: &mut Context) -> Result<Arc<Action>, Refused> {
    if session.req_header().method == Method::CONNECT {
        // What follows is not meant for this node.
        session.set_keepalive(None);
    }
    if session.req_header().version == Version::HTTP_2 {
        http2::adopt(session.req_header_mut())?;
    }
    let size = match session.as_http1() {
        Some(http1) => http1.get_headers_raw_bytes().len(),
        None => http2::size(session.req_header()),
    };
    let checked = request::check(session.req_header(), size, &context.snapshot.limits);
    if checked == Err(ErrorCode::BadRequest) {
        // Whoever sent this may mean something else by what it sends next.
        session.set_keepalive(None);
    }
    identify(session, context, checked?);
    let action = route(session, context)?;
    context.action = Some(Arc::clone(&action));
    policy::begin(context, &action, session.req_header())?;
    body::check_length(session, action.body_size)?;
    let protocol = upgrade::asked_for(session, &action);
    upgrade::begin(session, context, protocol);
    Ok(action)
}

/// Finds out who asks, as part of what, and leaves nothing in the header that says otherwise.
fn identify(session: &mut Session, context: &mut Context, noted: request::Noted) {
    if noted.has_claims {
        identity::establish(&session.req_header().headers, context);
        request::strip_claims(session.req_header_mut());
    }
    if noted.is_traced {
        let kept = trace::keep(&session.req_header().headers);
        let is_kept = kept.is_some();
        context.trace = kept.or(context.trace.take());
        if !is_kept {
            let header = session.req_header_mut();
            header.remove_header(&trace::TRACEPARENT);
            header.remove_header(&trace::TRACESTATE);
        }
    }
}

/// Looks the normalised path up and makes it the request's own.
fn route(session: &mut Session, context: &mut Context) -> Result<Arc<Action>, Refused> {
    let header = session.req_header();
    let normal = request::normal_path(header)?;
    let wanted = route::Request {
        scheme: context.scheme,
        host: header
            .headers
            .get(http::header::HOST)
            .and_then(|host| host.to_str().ok()),
        path: &normal.path,
        method: &header.method,
        headers: &header.headers,
    };
    let (found, preflight) = find(&context.snapshot.routes, header, &wanted);
    let action = match found {
        Lookup::Found(action) => Arc::clone(action),
        Lookup::NotFound => return Err(ErrorCode::NoRoute.into()),
        Lookup::MethodNotAllowed(methods) => {
            return Err(Refused {
                code: ErrorCode::MethodNotAllowed,
                allow: allow(&methods),
            });
        }
    };
    context.preflight = preflight;
    if normal.encoded_slash && action.encoded_slashes == EncodedSlashes::Reject {
        return Err(ErrorCode::BadRequest.into());
    }
    if !(request::is_origin_form(header) && normal.path == header.uri.path()) {
        let target = request::target(&normal.path, &header.uri);
        if !forward::set_target(session.req_header_mut(), target) {
            return Err(ErrorCode::BadRequest.into());
        }
    }
    Ok(action)
}

/// A preflight belongs to the route of the request that it comes before, if that has rules for it;
/// whether a page may make that request is not for another route to say.
fn find<'c>(
    routes: &'c Table<Arc<Action>>,
    header: &RequestHeader,
    wanted: &route::Request<'_>,
) -> (Lookup<'c, Arc<Action>>, Preflight) {
    let Some(method) = policy::preflight_for(header) else {
        return (routes.find(wanted), Preflight::No);
    };
    let method = &method;
    let found = routes.find(&route::Request { method, ..*wanted });
    let has_rules = |action: &Action| action.policy.as_ref().is_some_and(|p| p.cors.is_some());
    match found {
        Lookup::Found(action) if has_rules(action) => (found, Preflight::Own),
        _ => (routes.find(wanted), Preflight::OfAnother),
    }
}

/// The value of `Allow`.
fn allow(methods: &[Method]) -> Option<HeaderValue> {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).ok()
}
