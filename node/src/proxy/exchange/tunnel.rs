//! Requests that ask to go on in another protocol. If the backend agrees, whatever passes from
//! then on is neither looked at nor limited; if it does not, its answer is one like any other.
//!
//! The library could carry these, but it times reads of each direction by itself, stops reading
//! what a backend sends while that does not take what it is sent, and ends a tunnel whose backend
//! agrees before the library has noted that the request has no body.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::FutureExt;
use http::StatusCode;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Stream;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::proxy::Session;
use pingora::upstreams::peer::ALPN;
use pingora::{Error, ErrorType, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::{Body, Unbuffered};
use super::delivery::{self, Content};
use super::header;
use super::sink::Framing;
use crate::edge::ResponseBody;
use crate::proxy::backend::{self, ConnectionAge, Repeat};
use crate::proxy::context::Context;
use crate::proxy::{phase, response, upgrade, watch};

/// Room for what a backend sends at once.
const PIECE: usize = 16 * 1024;
/// For a backend to take note of the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Connects clients with backends.
pub struct Tunnels(TransportConnector);

/// What a backend said, and the connection it said it on.
struct Answered {
    connection: HttpSession,
    header: Box<ResponseHeader>,
}

impl Tunnels {
    /// None yet.
    pub fn new() -> Self {
        // What becomes a tunnel is of no use to others afterwards.
        Self(TransportConnector::new(Some(ConnectorOptions::new(0))))
    }

    /// Carries the request to a backend, and its answer or a tunnel back to the client.
    ///
    /// # Errors
    /// What `fail_to_proxy` is to answer, as on the library's own way.
    pub(in crate::proxy) async fn run(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<()> {
        let answered = self.ask(session, context).await?;
        match answered.header.status {
            StatusCode::SWITCHING_PROTOCOLS => switch(session, context, answered).await,
            _ => pass(session, context, answered).await,
        }
    }

    async fn ask(&self, session: &mut Session, context: &mut Context) -> Result<Answered> {
        loop {
            let mut connection = self.connect(session, context).await?;
            let header = header::upstream(session, context, Framing::Nothing, None)?;
            let answer = tokio::select! {
                answer = attempt(&mut connection, context, header) => answer,
                gone = watch::client_left(session) => return Err(gone),
            };
            let repeat = Repeat::of_library(session);
            let judged = answer.and_then(|header| {
                backend::judge(context, header.status, repeat)?;
                Ok(header)
            });
            match judged {
                Ok(header) => return Ok(Answered { connection, header }),
                Err(mut error) => {
                    backend::lost(context, &mut error, repeat, ConnectionAge::New);
                    if !error.retry() {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn connect(&self, session: &mut Session, context: &mut Context) -> Result<HttpSession> {
        loop {
            let mut peer = backend::pick(context, session.req_header())?;
            peer.options.alpn = ALPN::H1;
            let opened = tokio::select! {
                opened = self.0.new_stream(&*peer) => opened,
                gone = watch::client_left(session) => return Err(gone),
            };
            let error = match opened {
                Ok(stream) => {
                    let mut connection = HttpSession::new_with_options(stream, &*peer);
                    connection.read_timeout = peer.options.read_timeout;
                    connection.write_timeout = peer.options.write_timeout;
                    return Ok(connection);
                }
                Err(error) => backend::not_connected(context, error.into_up()),
            };
            if !error.retry() {
                return Err(error);
            }
        }
    }
}

impl Default for Tunnels {
    fn default() -> Self {
        Self::new()
    }
}

/// Sends the request and reads the header of the answer.
async fn attempt(
    connection: &mut HttpSession,
    context: &Context,
    header: RequestHeader,
) -> Result<Box<ResponseHeader>> {
    let sent = connection.write_request_header(Box::new(header)).await;
    sent.map_err(|error| error.into_up())?;
    for _ in 0..=response::MAX_INTERIM {
        let header = connection.read_resp_header_parts().await;
        let header = header.map_err(|error| error.into_up())?;
        let sound = match header.status {
            StatusCode::SWITCHING_PROTOCOLS => upgrade::is_agreed(context, &header),
            status if status.is_informational() => continue,
            _ => response::has_plain_framing(&header.headers),
        };
        return match sound {
            true => Ok(header),
            false => Err(Error::new_up(ErrorType::InvalidHTTPHeader)),
        };
    }
    Err(Error::new_up(ErrorType::InvalidHTTPHeader))
}

/// The answer of a backend that does not agree.
async fn pass(session: &mut Session, context: &mut Context, answered: Answered) -> Result<()> {
    let Answered {
        mut connection,
        mut header,
    } = answered;
    response::received(context, &mut header);
    if context.forwarded.is_some() {
        phase::run(session, context, &header, ResponseBody::Streams).await?;
    }
    let body = Body::Begun(Bytes::new(), Unbuffered::Streams);
    let (header, content) = delivery::prepare(session, context, header, body)?;
    let (first, streams) = match content {
        Content::Nothing => (Bytes::new(), false),
        Content::Whole(body, _) => (body, false),
        Content::Streamed(beginning) => (beginning, true),
    };
    let ends = first.is_empty() && !streams;
    delivery::write(session, HttpTask::Header(header, ends)).await?;
    if ends {
        return Ok(());
    }
    delivery::write(session, HttpTask::Body(Some(first), false)).await?;
    if streams {
        stream(session, &mut connection).await?;
    }
    delivery::write(session, HttpTask::Done).await
}

async fn stream(session: &mut Session, connection: &mut HttpSession) -> Result<()> {
    loop {
        let piece = connection.read_body_bytes().await;
        match piece.map_err(|error| error.into_up())? {
            Some(piece) => delivery::write(session, HttpTask::Body(Some(piece), false)).await?,
            None => return Ok(()),
        }
    }
}

async fn write(session: &mut Session, piece: Bytes) -> Result<()> {
    let written = session.write_response_body(Some(piece), false).await;
    written.map_err(|error| error.into_down())
}

/// Tells the client that the backend agrees, and connects the two.
async fn switch(session: &mut Session, context: &mut Context, answered: Answered) -> Result<()> {
    let Answered {
        mut connection,
        mut header,
    } = answered;
    response::received(context, &mut header);
    response::edit_agreement(context, &mut header)?;
    upgrade::agree(&mut header, context)?;
    session.set_read_timeout(None);
    if let Some(connection) = &context.connection {
        connection.become_tunnel();
    }
    let sent = session.write_response_header(header, false).await;
    sent.map_err(|error| error.into_down())?;
    // What came behind the header is there at once, if there is any.
    let early = connection.read_body_bytes().now_or_never();
    if let Some(early) = early.transpose().map_err(|error| error.into_up())? {
        let Some(early) = early else { return Ok(()) };
        write(session, early).await?;
    }
    let idle = context.snapshot.limits.upgrade_idle_timeout;
    let (from, to) = tokio::io::split(connection.into_inner());
    let mut backend = Backend {
        from,
        to,
        pending: None,
    };
    let relayed = relay(session, &mut backend, idle).await;
    timeout(FAREWELL, backend.to.shutdown()).await.ok();
    relayed?;
    let ended = session.as_downstream_mut().finish_body().await;
    ended.map(drop).map_err(|error| error.into_down())
}

/// The backend's end of a tunnel.
struct Backend {
    from: ReadHalf<Stream>,
    to: WriteHalf<Stream>,
    /// What it is to take next; empty when that has only to be flushed.
    pending: Option<Bytes>,
}

/// Until one of both ends it, or neither has said anything for `idle`. What one sends is taken
/// whether or not the other takes what it is sent.
async fn relay(session: &mut Session, backend: &mut Backend, idle: Duration) -> Result<()> {
    let mut heard = Instant::now();
    let mut silence = pin!(sleep_until(heard + idle));
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        let Backend { from, to, pending } = &mut *backend;
        let waits = pending.is_some();
        tokio::select! {
            piece = session.read_request_body(), if !waits => {
                *pending = piece.map_err(|error| error.into_down())?;
                if pending.is_none() {
                    return Ok(());
                }
            }
            pushed = push(to, pending), if waits => pushed.map_err(backend_failed)?,
            count = from.read_buf(&mut buffer) => {
                if count.map_err(backend_failed)? == 0 {
                    return Ok(());
                }
                deliver(session, buffer.split().freeze(), (to, pending)).await?;
            }
            () = &mut silence => {
                // Moved only now: it hardly ever passes.
                if heard.elapsed() >= idle {
                    return Ok(());
                }
                silence.as_mut().reset(heard + idle);
                continue;
            }
        }
        heard = Instant::now();
    }
}

/// Writes to the client, and to the backend what is pending.
async fn deliver(
    session: &mut Session,
    piece: Bytes,
    (to, pending): (&mut WriteHalf<Stream>, &mut Option<Bytes>),
) -> Result<()> {
    let mut written = pin!(write(session, piece));
    loop {
        let waits = pending.is_some();
        tokio::select! {
            written = &mut written => return written,
            pushed = push(to, pending), if waits => pushed.map_err(backend_failed)?,
        }
    }
}

/// One step. May be cancelled.
async fn push(to: &mut WriteHalf<Stream>, pending: &mut Option<Bytes>) -> io::Result<()> {
    match pending {
        Some(bytes) if bytes.has_remaining() => {
            let count = to.write(bytes).await?;
            bytes.advance(count);
            match count {
                0 => Err(io::ErrorKind::WriteZero.into()),
                _ => Ok(()),
            }
        }
        Some(_) | None => {
            to.flush().await?;
            *pending = None;
            Ok(())
        }
    }
}

fn backend_failed(error: io::Error) -> Box<Error> {
    Error::because(ErrorType::ReadError, "in a tunnel", error).into_up()
}
