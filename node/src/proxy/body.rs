//! Request bodies: counted as they pass, or read in full for the functions that ask.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

use super::context::Context;
use super::error::ErrorCode;
use super::request::{content_length, expects_continue};
use super::respond;
use crate::edge::{Chain, Hold};
use crate::listener::Connection;

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
    let go_on = ResponseHeader::build(StatusCode::CONTINUE, Some(0))?;
    respond::interim(session, Box::new(go_on)).await
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
    match ErrorCode::of_body(connection).or_else(|| ErrorCode::of_proxy(&error)) {
        Some(code) => Ok(Err(code)),
        None => Err(error),
    }
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
