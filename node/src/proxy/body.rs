//! Request bodies: counted as they pass, or read in full for the functions that ask.

use bytes::{Bytes, BytesMut};
use http::header::EXPECT;
use pingora::proxy::Session;

use super::context::Context;
use super::error::ErrorCode;
use super::request::content_length;

/// What the proxy library keeps of a body for a retry. It forwards a body that was read
/// beforehand only through this buffer, and only if the buffer did not overflow.
const RETRY_BUFFER: u64 = 64 * 1024;

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
    context.body.received = context.body.received.saturating_add(bytes as u64);
    if context.body.received > limit {
        return Err(ErrorCode::BodyTooLarge);
    }
    Ok(())
}

/// Reads the whole body, at most `limit` bytes of it.
///
/// To be forwarded afterwards the library must see the end of it: its retry buffer is
/// switched on for the last part only, and `request_body_filter` puts the whole body in
/// its place. Where the length is not announced there is no telling which part is the
/// last, so the buffer bounds the body.
pub(super) async fn buffer(
    session: &mut Session,
    limit: u64,
    after: AfterBuffering,
) -> Result<Bytes, ErrorCode> {
    let length = content_length(&session.req_header().headers);
    let limit = match (length, after) {
        (None, AfterBuffering::Forward) => limit.min(RETRY_BUFFER),
        _ => limit,
    };
    check_length(session, limit)?;
    if session.req_header().headers.contains_key(EXPECT) {
        session
            .write_continue_response()
            .await
            .map_err(|_| ErrorCode::BadRequest)?;
        // Answered here; an upstream that answered it again would confuse the client.
        session.req_header_mut().remove_header(&EXPECT);
    }
    let mut body = BytesMut::new();
    loop {
        let left = length.unwrap_or(0).saturating_sub(body.len() as u64);
        if after == AfterBuffering::Forward && left <= RETRY_BUFFER {
            session.enable_retry_buffering();
        }
        match session.read_request_body().await {
            Ok(Some(piece)) if (body.len() + piece.len()) as u64 > limit => {
                return Err(ErrorCode::BodyTooLarge);
            }
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => return Ok(body.freeze()),
            Err(error) => {
                return Err(
                    ErrorCode::of_proxy(&error.into_down()).unwrap_or(ErrorCode::BadRequest)
                );
            }
        }
    }
}
