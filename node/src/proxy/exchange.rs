//! The exchange with a backend where functions have to do with a body, or which speaks HTTP/2.
//!
//! The library passes an answer's header on before it has read the body, its body filters cannot
//! wait, and of a request's body it sends on what it has read itself; with an HTTP/2 backend it
//! waits for one direction while the other is blocked. So the node carries these requests: it
//! sends what the functions made of the request, reads the answer as far as they get it, runs
//! them, and writes what they made of it.

mod answer;
mod connection;
mod delivery;
mod header;
mod http1;
mod http2;
mod sink;
mod tunnel;
mod upload;

use bytes::Bytes;
use http::HeaderValue;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

pub use self::connection::Connector;
pub use self::tunnel::Tunnels;

use self::connection::Connection;
use self::upload::Upload;
use super::backend::{self, Repeat};
use super::body::{self, Buffered};
use super::context::Context;
use super::error::ErrorCode;
use super::{Next, conversation, phase, respond, response, watch};
use crate::edge::{Chain, ResponseBody};

/// What an exchange needs besides the request.
pub(super) struct Exchange<'a> {
    connector: &'a Connector,
    functions: Option<&'a Chain>,
    /// The request's, if it is there already.
    body: RequestBody,
    /// Bytes of the answer's body that functions get; `None` if none asks for it.
    limit: Option<usize>,
}

/// What goes to the backend as the request's body.
enum RequestBody {
    /// What the client sends.
    Clients,
    /// The client's, of which all is here.
    Buffered(Bytes),
    /// A function's, in the client's place.
    Replaced(Bytes),
}

impl<'a> Exchange<'a> {
    /// Of a request that no function has to do with.
    pub(super) fn plain(connector: &'a Connector) -> Self {
        Self {
            connector,
            functions: None,
            body: RequestBody::Clients,
            limit: None,
        }
    }

    /// Of a request that these functions have forwarded.
    pub(super) fn of(
        chain: &'a Chain,
        connector: &'a Connector,
        (replaced, buffered): (Option<Bytes>, Buffered),
    ) -> Self {
        let body = match (replaced, buffered.body()) {
            (Some(body), _) => RequestBody::Replaced(body),
            (None, Some(body)) => RequestBody::Buffered(body),
            (None, None) => RequestBody::Clients,
        };
        Self {
            functions: Some(chain),
            body,
            limit: chain.response_body_limit(),
            ..Self::plain(connector)
        }
    }

    /// Whether functions see the body of the answer, or that of the request is not the client's
    /// stream any more.
    pub(super) fn is_needed(&self) -> bool {
        self.limit.is_some() || !matches!(self.body, RequestBody::Clients)
    }

    /// Carries the request to a backend and the answer, past the functions, to the client.
    ///
    /// # Errors
    /// What `fail_to_proxy` is to answer, as on the library's own way.
    pub(super) async fn run(
        mut self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<Next> {
        if matches!(self.body, RequestBody::Replaced(_))
            && let Err(code) = body::drop_rest(session, context).await?
        {
            return Ok(Next::Refused(code));
        }
        let body = std::mem::replace(&mut self.body, RequestBody::Clients);
        let http2 = context.upstream().is_some_and(|to| to.speaks_http2());
        if http2 && matches!(body, RequestBody::Clients) {
            conversation::expect(session, context);
        }
        let mut upload = upload(session, context, body);
        let (mut connection, mut header) = self.ask(session, context, &mut upload).await?;
        upload.keep_nothing();
        response::received(context, &mut header);
        // Held until it is written, or replaced.
        let held = self.functions.map(Chain::hold);
        let wanted = self.limit.zip(held.as_ref());
        let ends = (&mut connection, &mut upload);
        let body = answer::body(session, ends, &header, wanted).await?;
        let Some(body) = body else {
            return Ok(Next::Refused(ErrorCode::Overloaded));
        };
        let mut rest = Some(connection);
        if body.is_whole() {
            self.leave(&mut rest, &mut upload).await;
        }
        let seen = (&*header, body.for_functions());
        if let Err(code) = self.judge(session, context, &mut upload, seen).await? {
            return Ok(Next::Refused(code));
        }
        upload.hold_until_over(context.body_hold.take());
        let is_error = header.status.is_client_error() || header.status.is_server_error();
        let held = held.filter(|_| context.edits.body.is_none());
        let answer = delivery::prepare(session, context, header, body)?;
        conversation::begin(session, context);
        delivery::send(session, (rest.as_mut(), &mut upload), answer, held).await?;
        conversation::end(session, context);
        // A client need not send the rest of what was refused (RFC 9112, section 9.5).
        if !is_error {
            finish(session, &mut upload).await;
        }
        // Nor may it lose the answer because the backend takes no more.
        if !session.is_body_done() {
            respond::linger(session).await;
        }
        self.leave(&mut rest, &mut upload).await;
        Ok(Next::Answered)
    }

    /// Sends the request until a backend answers with a header, or none is left.
    async fn ask(
        &self,
        session: &mut Session,
        context: &mut Context,
        upload: &mut Upload,
    ) -> Result<(Connection, Box<ResponseHeader>)> {
        loop {
            let mut connection = self.connect(session, context).await?;
            // Functions cannot read what is compressed.
            let coding = self.limit.map(|_| HeaderValue::from_static("identity"));
            let header = header::upstream(session, context, upload.framing(), coding)?;
            let answer = try_once(session, header, &mut connection, upload).await;
            let repeat = Repeat::of(&session.req_header().method, upload.can_start_again());
            let judged = answer.and_then(|header| {
                backend::judge(context, header.status, repeat)?;
                Ok(header)
            });
            let mut error = match judged {
                Ok(header) => return Ok((connection, header)),
                Err(error) => error,
            };
            backend::lost(context, &mut error, repeat, connection.age);
            if !error.retry() {
                return Err(error);
            }
        }
    }

    async fn connect(&self, session: &mut Session, context: &mut Context) -> Result<Connection> {
        loop {
            let peer = backend::pick(context, session.req_header())?;
            let opened = tokio::select! {
                opened = Connection::open(self.connector, peer) => opened,
                gone = watch::client_left(session) => return Err(gone),
            };
            let error = match opened {
                Ok(connection) => return Ok(connection),
                Err(error) => backend::not_connected(context, error.into_up()),
            };
            if !error.retry() {
                return Err(error);
            }
        }
    }

    /// Runs the functions that see the answer, for as long as the client is there. The request
    /// is not kept for longer.
    async fn judge(
        &self,
        session: &mut Session,
        context: &mut Context,
        upload: &mut Upload,
        (header, body): (&ResponseHeader, ResponseBody),
    ) -> Result<Result<(), ErrorCode>> {
        let (Some(request), Some(chain)) = (context.forwarded.take(), self.functions) else {
            return Ok(Ok(()));
        };
        let response = phase::response(context, header, body);
        let hold = context.hold.get_or_insert_with(|| chain.hold());
        let outcome = {
            let records = &mut context.records;
            let judging = chain.respond_phase(&request, response, hold, records);
            tokio::pin!(judging);
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut judging => break outcome,
                    step = upload.step(session) => step?,
                }
            }
        };
        Ok(phase::conclude(context, outcome))
    }

    /// Leaves the connection to the next request, if the backend has all of this one. What of
    /// it is still going up goes on.
    async fn leave(&self, connection: &mut Option<Connection>, upload: &mut Upload) {
        if let Some(connection) = connection.take()
            && upload.let_go()
        {
            connection.keep(self.connector).await;
        }
    }
}

fn upload(session: &mut Session, context: &Context, body: RequestBody) -> Upload {
    match body {
        RequestBody::Buffered(body) | RequestBody::Replaced(body) => Upload::buffered(body),
        RequestBody::Clients => {
            let action = context.action.as_ref();
            let limit = action.map_or(u64::MAX, |action| action.body_size);
            Upload::streamed(session, context.connection.clone(), limit)
        }
    }
}

/// Sends the request on this connection and reads the header of the answer.
async fn try_once(
    session: &mut Session,
    header: RequestHeader,
    connection: &mut Connection,
    upload: &mut Upload,
) -> Result<Box<ResponseHeader>> {
    let sink = connection.send_header(header, upload.framing()).await?;
    upload.start(session, sink).await?;
    answer::header(session, connection, upload).await
}

/// The backend may want the rest of the request, though it has answered. The client has its
/// answer whatever becomes of it.
async fn finish(session: &mut Session, upload: &mut Upload) {
    while !upload.is_over() && upload.step(session).await.is_ok() {}
}
