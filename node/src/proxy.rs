//! What happens to a request, phase by phase. The only `ProxyHttp` there is.

mod access;
mod action;
mod body;
mod context;
mod error;
mod forward;
mod request;
mod request_id;
mod respond;
mod response;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use tracing::{debug, warn};

pub use access::{AccessLine, AccessLog};
pub use action::{Action, EncodedSlashes, Snapshot, StaticAnswer, Target};
pub use context::{Activity, Context};
pub use error::ErrorCode;
pub use respond::raw as raw_refusal;

use self::body::AfterBuffering;
use self::context::ReplacedBody;
use crate::edge::{Chain, Outcome, Request};
use crate::route::{self, Lookup};
use crate::upstream::{Unavailable, Upstream};

/// The proxy: the current snapshot and where requests are counted and logged.
pub struct Proxy<L> {
    /// What a reload swaps.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Requests under way.
    pub activity: Arc<Activity>,
    /// One line per request.
    pub access_log: L,
}

/// Why a request ends here, and what a 405 allows.
struct Refused {
    code: ErrorCode,
    allow: Option<HeaderValue>,
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Self { code, allow: None }
    }
}

#[async_trait]
impl<L: AccessLog> ProxyHttp for Proxy<L> {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.snapshot.load_full(), &self.activity)
    }

    async fn early_request_filter(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<()> {
        begin(session, context, self.activity.is_draining());
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        let refused = match admit(session, context) {
            Ok(action) => match self.act(session, context, &action).await? {
                Ok(answered) => return Ok(answered),
                Err(code) => Refused::from(code),
            },
            Err(refused) => refused,
        };
        context.error = Some(refused.code);
        respond::problem(session, refused.code, context.id.as_str(), refused.allow).await?;
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        context: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        let upstream = upstream(context).ok_or_else(|| Error::new(ErrorType::InternalError))?;
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

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        // Nothing was sent, so another backend may be asked whatever the method.
        let retries = upstream(context).map_or(0, |upstream| upstream.retries());
        if let Some(lease) = &context.exchange.lease {
            let address = lease.backend().address();
            debug!(%address, %error, "a backend cannot be connected to");
            context.exchange.tried.push(address);
        }
        let left = context.exchange.tried.len() <= retries;
        let others = upstream(context).is_some_and(|u| u.pick(&context.exchange.tried).is_ok());
        error.set_retry(left && others);
        error.into_up()
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        forward::add_headers(upstream, session.req_header().version, context)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        piece: &mut Option<Bytes>,
        end: bool,
        context: &mut Context,
    ) -> Result<()> {
        let limit = context
            .action
            .as_ref()
            .map_or(u64::MAX, |action| action.body_size);
        if let Err(code) = body::count(context, piece.as_ref().map_or(0, Bytes::len), limit) {
            context.error = Some(code);
            return Error::err(ErrorType::HTTPStatus(code.row().status.as_u16()));
        }
        if let Some(connection) = context.connection.as_ref().filter(|_| end) {
            connection.body_read();
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        header: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        context.exchange.took = context.exchange.started.map(|at| at.elapsed());
        if !header.status.is_informational() {
            response::strip_hop_by_hop(header);
            // The version is each connection's own (RFC 9110, section 2.5).
            header.set_version(http::Version::HTTP_11);
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        header: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        if header.status.is_informational() {
            return Ok(());
        }
        response::edit(context, &session.req_header().method, header)
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        piece: &mut Option<Bytes>,
        _end: bool,
        context: &mut Context,
    ) -> Result<Option<Duration>> {
        response::filter_body(&mut context.exchange.body, piece);
        Ok(None)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Context,
    ) -> FailToProxy {
        let status = fail(session, error, context).await;
        FailToProxy {
            error_code: status.unwrap_or(0),
            can_reuse_downstream: status.is_some(),
        }
    }

    /// Told once, by `fail_to_proxy`.
    fn suppress_error_log(&self, _: &Session, _: &Context, _: &Error) -> bool {
        true
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, context: &mut Context) {
        self.access_log.write(&AccessLine::new(session, context));
        if let Some(connection) = &context.connection {
            connection.request_done();
        }
    }
}

impl<L> Proxy<L> {
    /// Does what the route says: `true` when the request is answered, `false` when it goes
    /// on to the upstream, an error code when it is refused.
    async fn act(
        &self,
        session: &mut Session,
        context: &mut Context,
        action: &Action,
    ) -> Result<Result<bool, ErrorCode>> {
        match &action.target {
            Target::Upstream(_) => return Ok(Ok(false)),
            Target::Answer(answer) => respond::fixed(session, answer).await?,
            Target::Functions(chain) => {
                return run(session, context, chain, AfterBuffering::Answer).await;
            }
            Target::FunctionsThenUpstream(chain, _) => {
                return run(session, context, chain, AfterBuffering::Forward).await;
            }
        }
        Ok(Ok(true))
    }
}

/// Times and identifies a request whose header has just been read.
fn begin(session: &mut Session, context: &mut Context, draining: bool) {
    let limits = &context.snapshot.limits;
    if draining {
        session.set_keepalive(None);
    } else if session.get_keepalive().is_some() {
        session.set_keepalive(Some(limits.idle_timeout.as_secs().max(1)));
    }
    session.set_read_timeout(Some(limits.body_timeout));
    session.set_write_timeout(Some(limits.write_timeout));
    let owes_body = !session.is_body_empty();
    if let Some(connection) = &context.connection {
        match owes_body {
            true => connection.expect_body(),
            false => connection.header_read(),
        }
    }
}

/// Checks the request and finds its route.
fn admit(session: &mut Session, context: &mut Context) -> Result<Arc<Action>, Refused> {
    let size = session
        .as_http1()
        .map_or(0, |http1| http1.get_headers_raw_bytes().len());
    request::check(session.req_header(), size, &context.snapshot.limits)?;
    request::strip_claims(session.req_header_mut());
    let action = route(session, context)?;
    context.action = Some(Arc::clone(&action));
    body::check_length(session, action.body_size)?;
    Ok(action)
}

/// Looks the normalised path up and makes it the request's own.
fn route(session: &mut Session, context: &Context) -> Result<Arc<Action>, Refused> {
    let header = session.req_header();
    let normal = request::normal_path(header)?;
    let wanted = route::Request {
        host: header
            .headers
            .get(http::header::HOST)
            .and_then(|host| host.to_str().ok()),
        path: &normal.path,
        method: &header.method,
        headers: &header.headers,
    };
    let action = match context.snapshot.routes.find(&wanted) {
        Lookup::Found(action) => Arc::clone(action),
        Lookup::NotFound => return Err(ErrorCode::NoRoute.into()),
        Lookup::MethodNotAllowed(methods) => {
            return Err(Refused {
                code: ErrorCode::MethodNotAllowed,
                allow: allow(&methods),
            });
        }
    };
    if normal.encoded_slash && action.encoded_slashes == EncodedSlashes::Reject {
        return Err(ErrorCode::BadRequest.into());
    }
    let is_origin_form = header.uri.authority().is_none();
    if !(is_origin_form && normal.path == header.uri.path()) {
        let target = request::target(&normal.path, &header.uri);
        if !forward::set_target(session.req_header_mut(), target) {
            return Err(ErrorCode::BadRequest.into());
        }
    }
    Ok(action)
}

/// The value of `Allow`.
fn allow(methods: &[Method]) -> Option<HeaderValue> {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).ok()
}

/// Runs the functions of a route.
async fn run(
    session: &mut Session,
    context: &mut Context,
    chain: &Chain,
    after: AfterBuffering,
) -> Result<Result<bool, ErrorCode>> {
    let body = match buffer(session, context, chain, after).await {
        Ok(body) => body,
        Err(code) => return Ok(Err(code)),
    };
    let header = session.req_header();
    let request = Arc::new(Request {
        id: context.id.to_string(),
        method: header.method.clone(),
        uri: request::target(header.uri.path(), &header.uri),
        headers: header.headers.clone(),
        body,
    });
    match chain.run(&request, &mut context.records).await {
        Outcome::Respond(answer) => respond::function(session, answer).await?,
        Outcome::Forward(edits) => {
            context.edits = edits;
            return Ok(Ok(false));
        }
        Outcome::Fail(fault) => return Ok(Err(ErrorCode::Function(fault))),
        Outcome::Overloaded => return Ok(Err(ErrorCode::Overloaded)),
    }
    Ok(Ok(true))
}

/// The body, if a function of the chain asked for it.
async fn buffer(
    session: &mut Session,
    context: &Context,
    chain: &Chain,
    after: AfterBuffering,
) -> Result<Bytes, ErrorCode> {
    let Some(limit) = chain.body_limit().filter(|_| !session.is_body_empty()) else {
        return Ok(Bytes::new());
    };
    let route_limit = context
        .action
        .as_ref()
        .map_or(u64::MAX, |action| action.body_size);
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).min(route_limit);
    let body = body::buffer(session, limit).await?;
    let connection = context.connection.as_ref().ok_or(ErrorCode::Internal)?;
    connection.body_read();
    if after == AfterBuffering::Forward {
        body::rewind(session, connection, &body).await?;
    }
    Ok(body)
}

fn upstream(context: &Context) -> Option<Arc<Upstream>> {
    match &context.action.as_ref()?.target {
        Target::Upstream(upstream) | Target::FunctionsThenUpstream(_, upstream) => {
            Some(Arc::clone(upstream))
        }
        Target::Answer(_) | Target::Functions(_) => None,
    }
}

/// Answers an error, unless the answer has begun or nobody is there to read it. Returns
/// the status sent.
async fn fail(session: &mut Session, error: &Error, context: &mut Context) -> Option<u16> {
    if *error.etype() == response::ANSWERED_BY_THE_NODE {
        return answer_whole(session, context).await;
    }
    let slow = context
        .connection
        .as_ref()
        .is_some_and(|c| c.body_is_too_slow());
    let code = match context.error {
        Some(code) => Some(code),
        None if slow => Some(ErrorCode::RequestTimeout),
        None => ErrorCode::of_proxy(error),
    };
    context.error = code;
    let code = code?;
    warn!(
        request_id = %context.id,
        route = context.action.as_ref().map(|action| &*action.name),
        code = code.row().code,
        cause = %error,
        "a request failed"
    );
    if session.response_written().is_some() {
        return None;
    }
    let sent = respond::problem(session, code, context.id.as_str(), None).await;
    sent.ok().map(|()| code.row().status.as_u16())
}

/// Writes an answer of which the upstream gave only the header.
async fn answer_whole(session: &mut Session, context: &mut Context) -> Option<u16> {
    let ReplacedBody::Whole(header, body) = std::mem::take(&mut context.exchange.body) else {
        return None;
    };
    let status = header.status.as_u16();
    respond::write(session, *header, body).await.ok()?;
    Some(status)
}
