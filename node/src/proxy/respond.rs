//! Answers the node makes itself: of functions, of routes without an origin, of errors.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, DATE, HeaderName, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode, Version};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::date::get_cached_date;
use pingora::proxy::Session;
use tokio::time::{Duration, timeout};

use super::action::StaticAnswer;
use super::context::Context;
use super::error::{self, ErrorCode, PROBLEM_JSON, Row};
use super::request::{content_length, expects_continue};
use super::{hsts, policy, timing};
use crate::edge::Answer;
use crate::listener::Refusal;

const X_AEGIS_ERROR: HeaderName = HeaderName::from_static("x-aegis-error");

/// An unread body of at most this size is read, so that the connection can be kept.
const DRAINED: u64 = 64 * 1024;
/// How long a client that is still sending gets to read why it should not.
const LINGER: Duration = Duration::from_secs(2);

/// Room for what is added to an answer: date, length, connection, options, strict transport.
const NODE_HEADERS: usize = 5;

/// Sends a fixed answer.
pub(super) async fn fixed(
    session: &mut Session,
    context: &Context,
    answer: &StaticAnswer,
) -> Result<()> {
    let mut header =
        ResponseHeader::build(answer.status, Some(answer.headers.len() + NODE_HEADERS))?;
    for (name, value) in &answer.headers {
        header.append_header(name.clone(), value.clone())?;
    }
    policy::finish(context, &mut header)?;
    hsts::add(&mut header, context)?;
    send(session, header, answer.body.clone()).await
}

/// Sends a function's answer.
pub(super) async fn function(
    session: &mut Session,
    context: &Context,
    answer: Answer,
) -> Result<()> {
    let mut header = ResponseHeader::build(
        answer.status,
        Some(answer.edits.headers.len() + NODE_HEADERS),
    )?;
    header.insert_header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))?;
    policy::apply(&answer.edits.headers, &mut header)?;
    timing::add(&mut header, context)?;
    policy::finish(context, &mut header)?;
    hsts::add(&mut header, context)?;
    send(session, header, answer.body).await
}

/// Sends a problem document. One that refuses a body waits for the client to read it.
pub(super) async fn problem(
    session: &mut Session,
    context: &Context,
    code: ErrorCode,
    allow: Option<HeaderValue>,
) -> Result<()> {
    let row = code.row();
    let mut header = ResponseHeader::build(row.status, Some(8))?;
    for (name, value) in problem_headers(row) {
        header.insert_header(name, value)?;
    }
    if let Some(allow) = allow {
        header.insert_header(ALLOW, allow)?;
    }
    timing::add(&mut header, context)?;
    policy::explain(context, &mut header)?;
    hsts::add(&mut header, context)?;
    let body = Bytes::from(error::problem(row, context.id.as_str()));
    if !session.is_body_done() && refuses_the_body(session, code) {
        session.set_keepalive(None);
        write(session, header, body).await?;
        linger(session).await;
        return Ok(());
    }
    send(session, header, body).await
}

fn problem_headers(row: Row) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON)),
        (X_AEGIS_ERROR, HeaderValue::from_static(row.code)),
        (
            http::header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ),
    ];
    if row.status == StatusCode::SERVICE_UNAVAILABLE {
        headers.push((RETRY_AFTER, HeaderValue::from_static(error::RETRY_AFTER)));
    }
    headers
}

/// Sends an answer without a body.
pub(super) async fn empty(session: &mut Session, header: ResponseHeader) -> Result<()> {
    send(session, header, Bytes::new()).await
}

/// Sends an answer and leaves the connection usable if the client owes little or nothing.
async fn send(session: &mut Session, header: ResponseHeader, body: Bytes) -> Result<()> {
    if !session.is_body_done() {
        drain_small(session).await;
    }
    let refuses = header.status.as_u16() >= StatusCode::BAD_REQUEST.as_u16();
    write(session, header, body).await?;
    // Of a stream that is reset while it sends, a client may not read the answer.
    if refuses && session.req_header().version == Version::HTTP_2 && !session.is_body_done() {
        linger(session).await;
    }
    Ok(())
}

/// The bytes on the wire; the node alone frames them. A failed write is the client's.
pub(super) async fn write(
    session: &mut Session,
    mut header: ResponseHeader,
    mut body: Bytes,
) -> Result<()> {
    if header.status == StatusCode::RESET_CONTENT {
        // RFC 9110, section 15.3.6: empty, and said to be.
        body.clear();
    }
    header.insert_header(DATE, get_cached_date())?;
    let sends_body = has_body(&session.req_header().method, header.status);
    if header.status != StatusCode::NO_CONTENT && header.status != StatusCode::NOT_MODIFIED {
        header.set_content_length(body.len())?;
    }
    let sends_body = sends_body && !body.is_empty();
    session
        .write_response_header(Box::new(header), !sends_body)
        .await
        .map_err(|error| error.into_down())?;
    if sends_body {
        let sent = session.write_response_body(Some(body), true).await;
        sent.map_err(|error| error.into_down())?;
    }
    Ok(())
}

/// Sends an interim answer; clients that know none get none.
pub(super) async fn interim(session: &mut Session, header: Box<ResponseHeader>) -> Result<()> {
    // The library takes it for the answer, and would close the connection after one that is
    // sent before the body is there.
    let keepalive = session.get_keepalive();
    let sent = session.as_downstream_mut().write_response_header(header);
    sent.await.map_err(|error| error.into_down())?;
    session.set_keepalive(keepalive);
    Ok(())
}

/// Of the answer, once its header is out; interim answers do not count.
pub(super) fn status(session: &Session) -> Option<StatusCode> {
    let status = session.response_written()?.status;
    let is_interim = status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS;
    (!is_interim).then_some(status)
}

/// Whether HTTP allows a body in this answer (RFC 9110, sections 6.4.1 and 15.3.6).
pub(super) fn has_body(method: &Method, status: StatusCode) -> bool {
    method != Method::HEAD
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::RESET_CONTENT
        && status != StatusCode::NOT_MODIFIED
        && !status.is_informational()
}

/// A client that waits for `100 Continue` is not asked for its body now.
pub(super) async fn drain_small(session: &mut Session) {
    let header = session.req_header();
    if owes_little(header) && !expects_continue(header) {
        timeout(LINGER, discard(session)).await.ok();
    }
}

/// Whether the client may still be sending what is refused.
fn refuses_the_body(session: &Session, code: ErrorCode) -> bool {
    match code {
        ErrorCode::BodyTooLarge | ErrorCode::RequestTimeout | ErrorCode::Overloaded => true,
        ErrorCode::Unauthorized | ErrorCode::Forbidden | ErrorCode::RateLimited => {
            !owes_little(session.req_header())
        }
        _ => false,
    }
}

/// The rest of the body is awaited rather than the connection given up.
fn owes_little(header: &RequestHeader) -> bool {
    content_length(&header.headers).is_some_and(|length| length <= DRAINED)
}

/// Closing at once would reset the connection under the client's feet (RFC 9112, 9.6), or the
/// stream, over which some clients forget the answer.
pub(super) async fn linger(session: &mut Session) {
    timeout(LINGER, discard(session)).await.ok();
}

async fn discard(session: &mut Session) {
    while let Ok(Some(_)) = session.read_request_body().await {}
}

/// A whole answer for a connection on which there is no request to answer yet.
pub fn raw(refusal: Refusal) -> Vec<u8> {
    let row = ErrorCode::of_refusal(refusal).row();
    let body = error::problem(row, "-");
    let mut answer = format!(
        "HTTP/1.1 {} {}\r\ndate: {}\r\nconnection: close\r\ncontent-length: {}\r\n",
        row.status.as_u16(),
        row.status.canonical_reason().unwrap_or_default(),
        get_cached_date().to_str().unwrap_or_default(),
        body.len(),
    )
    .into_bytes();
    for (name, value) in problem_headers(row) {
        answer.extend_from_slice(name.as_str().as_bytes());
        answer.extend_from_slice(b": ");
        answer.extend_from_slice(value.as_bytes());
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(&body);
    answer
}
