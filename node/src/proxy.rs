//! What happens to a request, phase by phase. The only `ProxyHttp` there is.

mod access;
mod action;
mod admit;
mod body;
mod context;
mod error;
mod fail;
mod forward;
mod phase;
mod request;
mod request_id;
mod respond;
mod response;
mod survey;
mod timing;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use tracing::debug;

pub use access::{AccessLine, AccessLog};
pub use action::{Action, EncodedSlashes, Snapshot, StaticAnswer, Target};
pub use context::{Activity, Context};
pub use error::ErrorCode;
pub use respond::raw as raw_refusal;

use self::admit::Refused;
use self::body::Buffered;
use crate::edge::{Chain, Forwarded, Outcome, Request, ResponseBody};
use crate::upstream::Unavailable;

/// The proxy: the current snapshot and where requests are counted and logged.
pub struct Proxy<L> {
    /// What a reload swaps.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Requests under way.
    pub activity: Arc<Activity>,
    /// One line per request.
    pub access_log: L,
}

/// What a route's action comes to.
enum Next {
    Answered,
    /// To the upstream.
    Forward,
    Refused(ErrorCode),
}

#[async_trait]
impl<L: AccessLog> ProxyHttp for Proxy<L> {
    /// Boxed: the library moves it through several futures.
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Box<Context> {
        Box::new(Context::new(self.snapshot.load_full(), &self.activity))
    }

    async fn early_request_filter(
        &self,
        session: &mut Session,
        context: &mut Box<Context>,
    ) -> Result<()> {
        admit::begin(session, context, self.activity.is_draining());
        Ok(())
    }

    async fn request_filter(
        &self,
        session: &mut Session,
        context: &mut Box<Context>,
    ) -> Result<bool> {
        let refused = match admit::admit(session, context) {
            Ok(action) => match act(session, context, &action).await? {
                Next::Answered => return Ok(true),
                Next::Forward => return Ok(false),
                Next::Refused(code) => Refused::from(code),
            },
            Err(refused) => refused,
        };
        context.error = Some(refused.code);
        respond::problem(session, context, refused.code, refused.allow).await?;
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        context: &mut Box<Context>,
    ) -> Result<Box<HttpPeer>> {
        let upstream = context
            .upstream()
            .ok_or_else(|| Error::new(ErrorType::InternalError))?;
        // Another attempt sends the body again, and needs the last one's place no more.
        context.received = 0;
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

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        context: &mut Box<Context>,
        mut error: Box<Error>,
    ) -> Box<Error> {
        if let Some(lease) = &context.exchange.lease {
            let address = lease.backend().address();
            debug!(%address, %error, "a backend cannot be connected to");
            context.exchange.tried.push(address);
        }
        // Nothing was sent, so another backend may be asked whatever the method.
        let tried = &context.exchange.tried;
        let retry = context
            .upstream()
            .is_some_and(|upstream| tried.len() <= upstream.retries() && upstream.has_other(tried));
        error.set_retry(retry);
        error.into_up()
    }

    /// A kept connection may die under a request that nobody has read. Such a request is
    /// sent again, at least once and at most `retries` times, if doing it twice is harmless.
    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        context: &mut Box<Context>,
        reused: bool,
    ) -> Box<Error> {
        let mut error = error.more_context(format!("Peer: {peer}"));
        let harmless = session.req_header().method.is_idempotent()
            && !session.as_ref().retry_buffer_truncated();
        let allowed = context
            .upstream()
            .map_or(0, |upstream| upstream.retries().max(1));
        match harmless && context.exchange.resent < allowed {
            true => error.retry.decide_reuse(reused),
            false => error.set_retry(false),
        }
        context.exchange.resent += usize::from(error.retry());
        error
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        context: &mut Box<Context>,
    ) -> Result<()> {
        forward::add_headers(upstream, session.req_header().version, context)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        piece: &mut Option<Bytes>,
        end: bool,
        context: &mut Box<Context>,
    ) -> Result<()> {
        let limit = context
            .action
            .as_ref()
            .map_or(u64::MAX, |action| action.body_size);
        let limit = match context.request_edits.body {
            // The function's own limits are what holds its body.
            Some(_) => u64::MAX,
            None => limit,
        };
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
        context: &mut Box<Context>,
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
        context: &mut Box<Context>,
    ) -> Result<()> {
        if header.status.is_informational() {
            return Ok(());
        }
        phase::run(session, context, header, ResponseBody::Streams).await?;
        response::edit(context, &session.req_header().method, header)?;
        response::frame_for(session, header);
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        piece: &mut Option<Bytes>,
        _end: bool,
        context: &mut Box<Context>,
    ) -> Result<Option<Duration>> {
        response::filter_body(&mut context.exchange.body, piece);
        Ok(None)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Box<Context>,
    ) -> FailToProxy {
        let status = fail::fail(session, error, context).await;
        FailToProxy {
            error_code: status.unwrap_or(0),
            can_reuse_downstream: status.is_some(),
        }
    }

    /// Told once, by `fail_to_proxy`.
    fn suppress_error_log(&self, _: &Session, _: &Box<Context>, _: &Error) -> bool {
        true
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, context: &mut Box<Context>) {
        self.access_log.write(&AccessLine::new(session, context));
        if let Some(connection) = &context.connection {
            connection.request_done();
        }
    }
}

/// Does what the route says.
async fn act(session: &mut Session, context: &mut Context, action: &Action) -> Result<Next> {
    match &action.target {
        Target::Upstream(_) => Ok(Next::Forward),
        Target::Answer(answer) => {
            respond::fixed(session, answer).await?;
            Ok(Next::Answered)
        }
        Target::Functions(chain) | Target::FunctionsThenUpstream(chain, _) => {
            run(session, context, chain).await
        }
    }
}

/// Runs the functions of a route, for as long as the client is there.
async fn run(session: &mut Session, context: &mut Context, chain: &Chain) -> Result<Next> {
    let buffered = body::wanted(session, context, chain).await?;
    if let Buffered::Refused(code) = buffered {
        return Ok(Next::Refused(code));
    }
    let slashes = context.action.as_ref().map(|action| action.encoded_slashes);
    let slashes = slashes.unwrap_or_default();
    let header = session.req_header();
    let request = Arc::new(Request {
        id: context.id.to_string(),
        client: context.client.clone(),
        method: header.method.clone(),
        uri: request::target(header.uri.path(), &header.uri),
        headers: header.headers.clone(),
        body: buffered.bytes(),
        uris: request::uri_rules(&context.snapshot.limits, slashes),
    });
    let hold = context.hold.get_or_insert_with(|| chain.hold());
    let outcome = tokio::select! {
        biased;
        outcome = chain.run(&request, hold, &mut context.records) => outcome,
        gone = watch::client_left(session) => return Err(gone),
    };
    match outcome {
        Outcome::Respond(answer) => {
            respond::function(session, context, answer).await?;
            Ok(Next::Answered)
        }
        Outcome::Forward(forwarded) => {
            let replaced = forwarded.request_edits.body.clone();
            keep(context, chain, forwarded);
            match (replaced, buffered) {
                (Some(body), _) => {
                    let replaced = body::replace(session, context, &body).await?;
                    Ok(replaced.map_or_else(Next::Refused, |()| Next::Forward))
                }
                (None, Buffered::Body(body)) => Ok(forward_buffered(session, context, &body).await),
                (None, Buffered::Nothing | Buffered::Refused(_)) => Ok(Next::Forward),
            }
        }
        Outcome::Fail(fault) => Ok(Next::Refused(ErrorCode::Function(fault))),
        Outcome::Overloaded => Ok(Next::Refused(ErrorCode::Overloaded)),
    }
}

/// For what is forwarded, and for its response.
fn keep(context: &mut Context, chain: &Chain, forwarded: Forwarded) {
    context.edits = forwarded.edits;
    context.request_edits = forwarded.request_edits;
    context.forwarded = chain.has_response_phase().then_some(forwarded.request);
}

async fn forward_buffered(session: &mut Session, context: &Context, body: &Bytes) -> Next {
    match body::rewind(session, context, body).await {
        Ok(()) => Next::Forward,
        Err(code) => Next::Refused(code),
    }
}
