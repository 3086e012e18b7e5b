//! What happens to a request, phase by phase. The only `ProxyHttp` there is.

mod access;
mod action;
mod admit;
mod backend;
mod body;
mod compress;
mod context;
mod conversation;
mod error;
mod exchange;
mod fail;
mod files;
mod forward;
mod hsts;
mod http2;
mod identity;
mod phase;
mod policy;
mod redirect;
mod request;
mod request_id;
mod respond;
mod response;
mod survey;
mod timing;
mod trace;
mod upgrade;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, Result};

pub use access::{AccessLine, AccessLog};
pub use action::{Action, EncodedSlashes, HttpsRedirect, Snapshot, StaticAnswer, Target};
pub use compress::Compression;
pub use context::{Activity, Context};
pub use error::ErrorCode;
pub use exchange::{Connector, Tunnels};
pub use fail::Complaints;
pub use policy::{
    AddressRules, AllowedOrigin, Cors, CorsSettings, Counters, Counting, Credentials, InFlight,
    Ledger, Network, NetworkError, Networks, OriginError, Policy, RateKey, RateKeyError, RateLimit,
    RateSettings, Rewrite, RewriteError,
};
pub use respond::raw as raw_refusal;
pub use upgrade::{Protocol, ProtocolError};

use self::admit::Refused;
use self::backend::{ConnectionAge, Repeat};
use self::body::Buffered;
use self::exchange::Exchange;
use crate::edge::{Chain, Forwarded, Outcome, Request, ResponseBody};
use crate::files::Files;

/// The proxy: the current snapshot and where requests are counted and logged.
pub struct Proxy<L> {
    /// What a reload swaps.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Requests under way.
    pub activity: Arc<Activity>,
    /// One line per request.
    pub access_log: L,
    /// For routes whose functions see the body of the upstream's answer.
    pub connector: Connector,
    /// For requests to go on in another protocol.
    pub tunnels: Tunnels,
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

    /// None: `compress` adds one where it is asked for.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

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
            Ok(action) => match act(session, context, &action, &self.connector).await? {
                Next::Answered => return Ok(true),
                Next::Forward if context.upgrade.is_some() => {
                    Box::pin(self.tunnels.run(session, context)).await?;
                    return Ok(true);
                }
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
        session: &mut Session,
        context: &mut Box<Context>,
    ) -> Result<Box<HttpPeer>> {
        // Another attempt sends the body again.
        context.received = 0;
        backend::pick(context, session.req_header())
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        context: &mut Box<Context>,
        error: Box<Error>,
    ) -> Box<Error> {
        backend::not_connected(context, error)
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        context: &mut Box<Context>,
        reused: bool,
    ) -> Box<Error> {
        let mut error = error.more_context(format!("Peer: {peer}"));
        let repeat = Repeat::of_library(session);
        let age = ConnectionAge::of(reused);
        backend::lost(context, &mut error, repeat, age);
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
        if let Err(code) = body::count(context, piece.as_ref().map_or(0, Bytes::len), limit) {
            context.error = Some(code);
            return Error::err(error::BODY_TOO_LARGE);
        }
        if let Some(connection) = context.connection.as_ref().filter(|_| end) {
            connection.body_read();
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        header: &mut ResponseHeader,
        context: &mut Box<Context>,
    ) -> Result<()> {
        response::check(context, header)?;
        backend::judge(context, header.status, Repeat::of_library(session))?;
        response::received(context, header);
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
        if context.forwarded.is_some() {
            // On the heap: most answers are none of it.
            Box::pin(phase::run(session, context, header, ResponseBody::Streams)).await?;
        }
        response::edit(context, &session.req_header().method, header)?;
        response::frame_for(session, header);
        conversation::begin(session, context);
        Ok(())
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        piece: &mut Option<Bytes>,
        end: bool,
        context: &mut Box<Context>,
    ) -> Result<Option<Duration>> {
        response::filter_body(&mut context.exchange.body, piece);
        if end {
            conversation::end(session, context);
        }
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
        // Not every answer has told of its end.
        conversation::end(session, context);
        if let Some(connection) = &context.connection {
            connection.request_done();
        }
    }
}

/// Does what the route says.
async fn act(
    session: &mut Session,
    context: &mut Context,
    action: &Action,
    connector: &Connector,
) -> Result<Next> {
    if let Some(compression) = &action.compression {
        compress::begin(session, compression);
    }
    let policy = action.policy.as_ref();
    if let Some(policy) = policy.filter(|policy| policy.is_guarded()) {
        // On the heap: other requests need no room for it.
        let ended = Box::pin(policy::enforce(session, context, policy)).await?;
        if let Some(next) = ended {
            return Ok(next);
        }
    }
    match &action.target {
        Target::Upstream(upstream) if upstream.speaks_http2() && context.upgrade.is_none() => {
            Box::pin(Exchange::plain(connector).run(session, context)).await
        }
        Target::Upstream(_) => Ok(Next::Forward),
        Target::Answer(answer) => {
            respond::fixed(session, context, answer).await?;
            Ok(Next::Answered)
        }
        Target::ToHttps(redirect) => match redirect::answer(session.req_header(), *redirect) {
            Some(answer) => {
                respond::fixed(session, context, &answer).await?;
                Ok(Next::Answered)
            }
            None => Ok(Next::Refused(ErrorCode::BadRequest)),
        },
        // On the heap: other requests need no room for it.
        Target::Files(files) => Box::pin(files::serve(session, context, files)).await,
        Target::Functions(chain)
        | Target::FunctionsThenUpstream(chain, _)
        | Target::FunctionsThenFiles(chain, _) => {
            let files = action.target.files();
            run(session, context, (chain, files), connector).await
        }
    }
}

/// Runs the functions of a route, for as long as the client is there.
async fn run(
    session: &mut Session,
    context: &mut Context,
    (chain, files): (&Chain, Option<&Arc<Files>>),
    connector: &Connector,
) -> Result<Next> {
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
        uri: policy::target(context, &header.uri),
        headers: policy::headers(context, &header.headers),
        body: buffered.bytes(),
        uris: request::uri_rules(&context.snapshot.limits, slashes),
    });
    let hold = context.hold.get_or_insert_with(|| chain.hold());
    let outcome = tokio::select! {
        biased;
        outcome = chain.run(&request, hold, &mut context.records) => outcome,
        gone = watch::client_left(session) => return Err(gone),
    };
    // An exchange may last: what it needs of this is kept elsewhere.
    drop(request);
    match outcome {
        Outcome::Respond(answer) => {
            respond::function(session, context, answer).await?;
            Ok(Next::Answered)
        }
        Outcome::Forward(forwarded) => {
            let replaced = forwarded.request_edits.body.clone();
            if replaced.is_some() {
                // Not with a body.
                context.upgrade = None;
            }
            keep(context, chain, forwarded);
            if let Some(files) = files {
                return Box::pin(files::serve(session, context, files)).await;
            }
            let http2 = context.upstream().is_some_and(|to| to.speaks_http2());
            let exchange = Exchange::of(chain, connector, (replaced, buffered));
            // No answer to a request for another protocol is read beforehand.
            match (exchange.is_needed() || http2) && context.upgrade.is_none() {
                // On the heap: other requests need no room for it.
                true => Box::pin(exchange.run(session, context)).await,
                false => Ok(Next::Forward),
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
