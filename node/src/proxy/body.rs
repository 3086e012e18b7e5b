//! Request bodies: counted as they pass, or read in full for the functions that ask.

use std::io::Cursor;

use bytes::{Bytes, BytesMut};
use http::Version;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;

use super::admit::settle;
use super::context::Context;
use super::error::ErrorCode;
use super::request::{content_length, expects_continue};
use crate::edge::{Chain, Hold};
use crate::listener::Connection;

/// Room for an ordinary header.
const HEADER_ROOM: usize = 1024;

/// Room made at once for a body: clients may announce more than they send.
const BEGUN: u64 = 64 * 1024;

/// Of a body this part at most is room that it does not fill.
const SPARE_PART: usize = 8;

/// A body read in full, or why it was not.
#[derive(Debug)]
pub(super) enum Buffered {
    /// There is none, or no function asked for it.
    Nothing,
    Body(Bytes),
    Refused(ErrorCode),
}

impl Buffered {
    /// The body, if it was read.
    pub(super) fn body(self) -> Option<Bytes> {
        match self {
            Self::Body(body) => Some(body),
            Self::Nothing | Self::Refused(_) => None,
        }
    }

    /// What functions get.
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Body(body) => body.clone(),
            Self::Nothing | Self::Refused(_) => Bytes::new(),
        }
    }
}

/// Refuses a body that announces more than `limit`.
pub(super) fn check_length(session: &Session, limit: u64) -> Result<(), ErrorCode> {
    match content_length(&session.req_header().headers) {
        Some(length) if length > limit => Err(ErrorCode::BodyTooLarge),
        _ => Ok(()),
    }
}

/// Counts a piece on its way to the upstream.
pub(super) fn count(context: &mut Context, bytes: usize, limit: u64) -> Result<(), ErrorCode> {
    context.received = context.received.saturating_add(bytes as u64);
    if context.received > limit {
        return Err(ErrorCode::BodyTooLarge);
    }
    Ok(())
}

/// The body, if a function of the chain asked for it.
///
/// # Errors
/// When the client is gone.
pub(super) async fn wanted(
    session: &mut Session,
    context: &mut Context,
    chain: &Chain,
) -> Result<Buffered> {
    let Some(limit) = chain.body_limit().filter(|_| !session.is_body_empty()) else {
        return Ok(Buffered::Nothing);
    };
    let Some(connection) = context.connection.clone() else {
        return Ok(Buffered::Refused(ErrorCode::Internal));
    };
    let hold = context.body_hold.insert(chain.hold());
    let of_route = context.action.as_ref().map(|action| action.body_size);
    let limit = (limit as u64).min(of_route.unwrap_or(u64::MAX));
    let buffered = buffer(session, &connection, limit, hold).await?;
    if let Buffered::Refused(code) = buffered {
        // What was read of it is gone; the client may take its time over the answer.
        context.body_hold = None;
        return Ok(Buffered::Refused(code));
    }
    if let Buffered::Body(body) = &buffered
        && reframe(session.req_header_mut(), body.len()).is_err()
    {
        return Ok(Buffered::Refused(ErrorCode::Internal));
    }
    Ok(buffered)
}

/// The header of a request whose body was read: framed by its length, nothing expected.
fn reframe(header: &mut RequestHeader, length: usize) -> Result<()> {
    header.remove_header(&TRANSFER_ENCODING);
    // Answered already; an upstream that answered it again would confuse the client.
    header.remove_header(&EXPECT);
    header.insert_header(CONTENT_LENGTH, length)
}

/// Reads the whole body, at most `limit` bytes of it, and no more than the node's memory
/// has room for.
async fn buffer(
    session: &mut Session,
    connection: &Connection,
    limit: u64,
    hold: &Hold,
) -> Result<Buffered> {
    let announced = content_length(&session.req_header().headers).unwrap_or(0);
    let mut body = BytesMut::with_capacity(announced.min(limit).min(BEGUN) as usize);
    let keep = |piece: Bytes| {
        let room = hold.grow(piece.len());
        if room {
            body.extend_from_slice(&piece);
        }
        room
    };
    Ok(match receive(session, connection, limit, keep).await? {
        Ok(()) => Buffered::Body(exact(body)),
        Err(code) => Buffered::Refused(code),
    })
}

/// The body without the room that its growth has left: only its bytes are charged.
pub(super) fn exact(body: BytesMut) -> Bytes {
    let spare = body.capacity() - body.len();
    match spare > body.len() / SPARE_PART {
        true => Bytes::copy_from_slice(&body),
        false => body.freeze(),
    }
}

/// Puts the body that a function has set in the place of the client's, of which the rest is
/// read and dropped.
///
/// # Errors
/// When the client is gone.
pub(super) async fn replace(
    session: &mut Session,
    context: &Context,
    body: &Bytes,
) -> Result<Result<(), ErrorCode>> {
    if let Err(code) = drop_rest(session, context).await? {
        return Ok(Err(code));
    }
    if reframe(session.req_header_mut(), body.len()).is_err() {
        return Ok(Err(ErrorCode::Internal));
    }
    Ok(rewind(session, context, body).await)
}

/// Reads what is left of the client's body, which goes nowhere, within the route's limit.
///
/// # Errors
/// When the client is gone.
pub(super) async fn drop_rest(
    session: &mut Session,
    context: &Context,
) -> Result<Result<(), ErrorCode>> {
    let Some(connection) = &context.connection else {
        return Ok(Err(ErrorCode::Internal));
    };
    if session.is_body_done() {
        return Ok(Ok(()));
    }
    let limit = context.action.as_ref().map(|action| action.body_size);
    receive(session, connection, limit.unwrap_or(u64::MAX), |_| true).await
}

/// Tells a client to go on that waits for it.
///
/// # Errors
/// When the client is gone.
pub(super) async fn invite(session: &mut Session) -> Result<()> {
    if !expects_continue(session.req_header()) {
        return Ok(());
    }
    // The library takes this for the answer, and would close the connection after one that is
    // sent before the body is there.
    let keepalive = session.get_keepalive();
    let sent = session.write_continue_response().await;
    sent.map_err(|error| error.into_down())?;
    session.set_keepalive(keepalive);
    Ok(())
}

/// Reads the body to its end, at most `limit` bytes of it. `keep` is false when there is no
/// room for a piece.
async fn receive(
    session: &mut Session,
    connection: &Connection,
    limit: u64,
    mut keep: impl FnMut(Bytes) -> bool,
) -> Result<Result<(), ErrorCode>> {
    if let Err(code) = check_length(session, limit) {
        return Ok(Err(code));
    }
    invite(session).await?;
    let mut received = 0u64;
    loop {
        match session.read_request_body().await {
            Ok(Some(piece)) => {
                received = received.saturating_add(piece.len() as u64);
                if received > limit {
                    return Ok(Err(ErrorCode::BodyTooLarge));
                }
                if !keep(piece) {
                    return Ok(Err(ErrorCode::Overloaded));
                }
            }
            Ok(None) => break,
            Err(error) => return unreadable(session, connection, error),
        }
    }
    connection.body_read();
    Ok(Ok(()))
}

fn unreadable(
    session: &mut Session,
    connection: &Connection,
    error: Box<pingora::Error>,
) -> Result<Result<(), ErrorCode>> {
    // Where the next request would begin is unknown.
    session.set_keepalive(None);
    let error = error.into_down();
    if connection.body_is_too_slow() {
        return Ok(Err(ErrorCode::RequestTimeout));
    }
    match ErrorCode::of_proxy(&error) {
        Some(code) => Ok(Err(code)),
        None => Err(error),
    }
}

/// Lets the library read the request once more, with the buffered body.
///
/// A body that was read before proxying is forwarded only from the library's retry
/// buffer, which ends at 64 KiB. So the connection plays the whole request back, header
/// included, framed by its length, and the library forwards it like any other. What the
/// client has sent past it is played back too.
pub(super) async fn rewind(
    session: &mut Session,
    context: &Context,
    body: &Bytes,
) -> Result<(), ErrorCode> {
    let connection = context.connection.as_ref().ok_or(ErrorCode::Internal)?;
    let keepalive = session.get_keepalive();
    let head = head(session.req_header());
    if !read_again(session, connection, head, body).await {
        return Err(ErrorCode::Internal);
    }
    settle(session, &context.snapshot.limits);
    if keepalive.is_none() {
        session.set_keepalive(None);
    }
    Ok(())
}

/// Replaces the library's session by another one on the same connection. `false` leaves
/// one without a connection.
async fn read_again(
    session: &mut Session,
    connection: &Connection,
    head: Bytes,
    body: &Bytes,
) -> bool {
    // Whatever happens next, the log wants a request to tell of.
    let mut meanwhile = ServerSession::new_http1(Box::new(Cursor::new(head.to_vec())));
    if !meanwhile.read_request().await.unwrap_or(false) {
        return false;
    }
    meanwhile.set_keepalive(None);
    // The library would close the connection here if the client asked for that.
    session.req_header_mut().remove_header(&CONNECTION);
    session.set_keepalive(Some(0));
    let first = std::mem::replace(&mut *session.downstream_session, meanwhile);
    let Ok(Some(kept)) = first.finish().await else {
        return false;
    };
    let (stream, past) = kept.into_parts();
    let past = past.map(BytesMut::freeze).unwrap_or_default();
    connection.play_back([head, body.clone(), past]);
    let mut second = ServerSession::new_http1(stream);
    if !second.read_request().await.unwrap_or(false) {
        return false;
    }
    *session.downstream_session = second;
    true
}

/// The request's header as HTTP/1 sends it.
fn head(header: &RequestHeader) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_ROOM);
    bytes.extend_from_slice(header.method.as_str().as_bytes());
    bytes.extend_from_slice(b" ");
    bytes.extend_from_slice(header.raw_path());
    bytes.extend_from_slice(match header.version {
        Version::HTTP_10 => b" HTTP/1.0\r\n",
        _ => b" HTTP/1.1\r\n",
    });
    header.header_to_h1_wire(&mut bytes);
    bytes.extend_from_slice(b"\r\n");
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_keeps_little_more_room_than_it_fills() {
        for (length, capacity) in [(0, 100), (1, 65_536), (65_537, 131_072), (100, 101), (9, 9)] {
            let mut body = BytesMut::with_capacity(capacity);
            body.extend_from_slice(&vec![b'x'; length]);
            let body = exact(body);
            assert_eq!(body.len(), length);
            let room = body.try_into_mut().map_or(0, |body| body.capacity());
            assert!(room <= length + length / SPARE_PART, "{length}: {room}");
        }
    }
}
