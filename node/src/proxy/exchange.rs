//! The exchange with a backend where a function wants to see the body of the answer.
//!
//! The library passes an answer's header on before it has read the body, and its body filters
//! cannot wait. So the node carries these requests itself: it sends the request, reads the
//! answer as far as the functions get it, runs them, and writes what they made of it.

mod answer;
mod connection;
mod delivery;
mod header;
mod upload;

use bytes::Bytes;
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

pub use self::connection::Connector;

use self::connection::Connection;
use self::upload::Upload;
use super::backend::{self, Repeat};
use super::body::{self, Buffered};
use super::context::Context;
use super::error::ErrorCode;
use super::{Next, phase, respond, response, watch};
use crate::edge::{Chain, Response};

/// What an exchange needs besides the request.
pub(super) struct Exchange<'a> {
    connector: &'a Connector,
    chain: &'a Chain,
    /// Bytes of the answer's body that functions get.
    limit: usize,
}

impl<'a> Exchange<'a> {
    /// `None` if no function of the chain asks for the answer's body.
    pub(super) fn of(chain: &'a Chain, connector: &'a Connector) -> Option<Self> {
        Some(Self {
            connector,
            chain,
            limit: chain.response_body_limit()?,
        })
    }

    /// Carries the request to a backend and the answer, past the functions, to the client. The
    /// body is the one that a function has set, or the buffered one, or streams from the client.
    ///
    /// # Errors
    /// What `fail_to_proxy` is to answer, as on the library's own way.
    pub(super) async fn run(
        self,
        session: &mut Session,
        context: &mut Context,
        (replaced, buffered): (Option<Bytes>, Buffered),
    ) -> Result<Next> {
        if replaced.is_some()
            && let Err(code) = body::drop_rest(session, context).await?
        {
            return Ok(Next::Refused(code));
        }
        let body = replaced.or_else(|| buffered.body());
        let mut upload = upload(session, context, body);
        let (mut connection, mut header) = self.ask(session, context, &mut upload).await?;
        upload.keep_nothing();
        response::received(context, &mut header);
        // Held until it is written, or replaced.
        let held = self.chain.hold();
        let ends = (&mut connection, &mut upload);
        let body = answer::body(session, ends, &header, (self.limit, &held)).await?;
        let Some(body) = body else {
            return Ok(Next::Refused(ErrorCode::Overloaded));
        };
        let mut rest = Some(connection);
        if body.is_whole() {
            self.leave(&mut rest, &mut upload).await;
        }
        let response = phase::response(context, &header, body.for_functions());
        if let Err(code) = self.judge(session, context, &mut upload, response).await? {
            return Ok(Next::Refused(code));
        }
        upload.hold_until_over(context.body_hold.take());
        let is_error = header.status.is_client_error() || header.status.is_server_error();
        let held = Some(held).filter(|_| context.edits.body.is_none());
        let answer = delivery::prepare(session, context, header, body)?;
        delivery::send(session, (rest.as_mut(), &mut upload), answer, held).await?;
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
            let mut error = match try_once(session, context, &mut connection, upload).await {
                Ok(header) => return Ok((connection, header)),
                Err(error) => error,
            };
            let idempotent = session.req_header().method.is_idempotent();
            let repeat = match idempotent && upload.can_start_again() {
                true => Repeat::Harmless,
                false => Repeat::Harmful,
            };
            backend::lost(context, &mut error, repeat, connection.age);
            if !error.retry() {
                return Err(error);
            }
        }
    }

    async fn connect(&self, session: &mut Session, context: &mut Context) -> Result<Connection> {
        loop {
            let peer = backend::pick(context)?;
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

    /// Runs the functions over the answer, for as long as the client is there. The request is
    /// not kept for longer.
    async fn judge(
        &self,
        session: &mut Session,
        context: &mut Context,
        upload: &mut Upload,
        response: Response,
    ) -> Result<Result<(), ErrorCode>> {
        let Some(request) = context.forwarded.take() else {
            return Ok(Err(ErrorCode::Internal));
        };
        let hold = context.hold.get_or_insert_with(|| self.chain.hold());
        let outcome = {
            let records = &mut context.records;
            let judging = self.chain.respond_phase(&request, response, hold, records);
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

fn upload(session: &mut Session, context: &Context, body: Option<Bytes>) -> Upload {
    match body {
        Some(body) => Upload::buffered(body),
        None => {
            let action = context.action.as_ref();
            let limit = action.map_or(u64::MAX, |action| action.body_size);
            Upload::streamed(session, context.connection.clone(), limit)
        }
    }
}

/// Sends the request on this connection and reads the header of the answer.
async fn try_once(
    session: &mut Session,
    context: &Context,
    connection: &mut Connection,
    upload: &mut Upload,
) -> Result<Box<ResponseHeader>> {
    let header = header::upstream(session, context, upload.framing())?;
    connection.send_header(header).await?;
    upload.start(session, connection).await?;
    answer::header(session, connection, upload).await
}

/// The backend may want the rest of the request, though it has answered. The client has its
/// answer whatever becomes of it.
async fn finish(session: &mut Session, upload: &mut Upload) {
    while !upload.is_over() && upload.step(session).await.is_ok() {}
}
