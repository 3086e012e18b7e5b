//! Request bodies: counted as they pass, or read in full for the functions that ask.

use bytes::{Bytes, BytesMut};
use http::Version;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::context::Context;
use super::error::ErrorCode;
use super::request::content_length;
use crate::listener::Connection;

/// Room for an ordinary header.
const HEADER_ROOM: usize = 1024;

/// What happens to a buffered body after the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterBuffering {
    /// It is forwarded.
    Forward,
    /// The functions answer.
    Answer,
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

/// Reads the whole body, at most `limit` bytes of it.
pub(super) async fn buffer(session: &mut Session, limit: u64) -> Result<Bytes, ErrorCode> {
    check_length(session, limit)?;
    if session.req_header().headers.contains_key(EXPECT) {
        session
            .write_continue_response()
            .await
            .map_err(|_| ErrorCode::BadRequest)?;
    }
    let mut body = BytesMut::new();
    loop {
        match session.read_request_body().await {
            Ok(Some(piece)) if (body.len() + piece.len()) as u64 > limit => {
                return Err(ErrorCode::BodyTooLarge);
            }
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => return Ok(body.freeze()),
            Err(error) => return Err(unreadable(error)),
        }
    }
}

fn unreadable(error: Box<pingora::Error>) -> ErrorCode {
    ErrorCode::of_proxy(&error.into_down()).unwrap_or(ErrorCode::BadRequest)
}

/// Lets the library read the request once more, with the buffered body.
///
/// A body that was read before proxying is forwarded only from the library's retry
/// buffer, which ends at 64 KiB. So the connection plays the whole request back, header
/// included, framed by its length, and the library forwards it like any other.
pub(super) async fn rewind(
    session: &mut Session,
    connection: &Connection,
    body: &Bytes,
) -> Result<(), ErrorCode> {
    let keepalive = session.get_keepalive();
    let header = session.req_header_mut();
    header.remove_header(&TRANSFER_ENCODING);
    // Answered already; an upstream that answered it again would confuse the client.
    header.remove_header(&EXPECT);
    header
        .insert_header(CONTENT_LENGTH, body.len())
        .map_err(|_| ErrorCode::Internal)?;
    connection.play_back(wire(header, body));
    match session.read_request().await {
        Ok(true) => session.set_keepalive(keepalive),
        Ok(false) | Err(_) => return Err(ErrorCode::Internal),
    }
    Ok(())
}

/// The request as HTTP/1 sends it.
fn wire(header: &RequestHeader, body: &Bytes) -> Bytes {
    let mut bytes = BytesMut::with_capacity(body.len() + HEADER_ROOM);
    bytes.extend_from_slice(header.method.as_str().as_bytes());
    bytes.extend_from_slice(b" ");
    bytes.extend_from_slice(header.raw_path());
    bytes.extend_from_slice(match header.version {
        Version::HTTP_10 => b" HTTP/1.0\r\n",
        _ => b" HTTP/1.1\r\n",
    });
    header.header_to_h1_wire(&mut bytes);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes.freeze()
}
