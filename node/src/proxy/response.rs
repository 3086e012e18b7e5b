//! The upstream's answer on its way to the client.

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::http::date::get_cached_date;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::context::{Context, ReplacedBody};
use super::policy::{self, apply};
use super::respond::has_body;
use super::{hsts, timing};
use crate::edge::OF_THE_BODY;

/// Raised to make the library stop forwarding an answer that the node writes itself.
pub(super) const ANSWERED_BY_THE_NODE: ErrorType = ErrorType::Custom("answered by the node");

/// Headers that are about one connection only (RFC 9110, section 7.6.1), and the one by which the
/// node's own errors are told from others.
const DROPPED: [HeaderName; 7] = [
    CONNECTION,
    TE,
    TRAILER,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("x-aegis-error"),
];

/// Interim answers (1xx) before the answer proper; further ones are a fault of the backend.
pub(super) const MAX_INTERIM: usize = 16;

/// Refuses what could be read in two ways, interim answers without an end, and another protocol:
/// nobody asks for one on the library's way.
pub(super) fn check(context: &mut Context, header: &ResponseHeader) -> Result<()> {
    let interim = header.status.is_informational();
    context.exchange.interim += usize::from(interim);
    let sound = match interim {
        true => {
            context.exchange.interim <= MAX_INTERIM
                && header.status != StatusCode::SWITCHING_PROTOCOLS
        }
        false => has_plain_framing(&header.headers),
    };
    match sound {
        true => Ok(()),
        false => Err(Error::new_up(ErrorType::InvalidHTTPHeader)),
    }
}

/// At most one length, and no transfer coding but one `chunked`: others nobody would undo, and
/// the client would not be told of them. With both the library has dropped the length.
pub(super) fn has_plain_framing(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let is_number = |length: &HeaderValue| length.as_bytes().iter().all(u8::is_ascii_digit);
    codings.next().is_none_or(is_chunked)
        && codings.next().is_none()
        && lengths.next().is_none_or(is_number)
        && lengths.next().is_none()
}

/// Takes note of an answer's header, and takes from it what was the backend's connection's.
pub(super) fn received(context: &mut Context, header: &mut ResponseHeader) {
    context.exchange.took = context.exchange.started.map(|at| at.elapsed());
    let is_final = !header.status.is_informational();
    if is_final || header.status == StatusCode::SWITCHING_PROTOCOLS {
        if let Some(lease) = &context.exchange.lease {
            lease.answered(header.status);
        }
        strip_hop_by_hop(header);
        // The version is each connection's own (RFC 9110, section 2.5).
        header.set_version(Version::HTTP_11);
    }
}

/// Removes hop-by-hop headers, those that `Connection` names included, and what only the node says.
fn strip_hop_by_hop(header: &mut ResponseHeader) {
    // Most answers have none; `Connection` is one of them.
    if !header.headers.keys().any(|name| DROPPED.contains(name)) {
        return;
    }
    let named: Vec<HeaderName> = header
        .headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING)
        .collect();
    for name in named.iter().chain(&DROPPED) {
        header.remove_header(name);
    }
}

/// HTTP/1.0 has no chunks: a body of unknown length ends with the connection.
pub(super) fn frame_for(session: &mut Session, header: &mut ResponseHeader) {
    let old = session.req_header().version == Version::HTTP_10;
    if old && header.remove_header(&TRANSFER_ENCODING).is_some() {
        session.set_keepalive(None);
    }
}

/// Applies the functions' response edits.
///
/// # Errors
/// [`ANSWERED_BY_THE_NODE`] when the upstream sends no body that could be replaced: the
/// whole answer is then in the context.
pub(super) fn edit(
    context: &mut Context,
    method: &Method,
    header: &mut ResponseHeader,
) -> Result<()> {
    if !header.headers.contains_key(DATE) {
        header.insert_header(DATE, get_cached_date())?;
    }
    let upstream_sends = sends_body(method, header);
    let received = header.status;
    let body = context.edits.body.take();
    if body.is_some() {
        // Before the edits: what a function says of its own body stays.
        for name in &OF_THE_BODY {
            header.remove_header(name);
        }
    }
    // A body of a function's own is no part of the upstream's.
    let whole =
        (body.is_some() && received == StatusCode::PARTIAL_CONTENT).then_some(StatusCode::OK);
    if let Some(status) = context.edits.status.or(whole) {
        header.set_status(status)?;
        // It spoke of the other status.
        header.set_reason_phrase(None)?;
    }
    apply(&context.edits.headers, header)?;
    timing::add(header, context)?;
    policy::finish(context, header)?;
    hsts::add(header, context)?;
    match body.filter(|_| has_body(method, header.status)) {
        Some(body) => replace(context, header, body, upstream_sends),
        None => fit_body(context, method, received, header),
    }
}

/// Applies what concerns the header of an agreement to go on in another protocol: it has no status
/// and no body but its own.
pub(super) fn edit_agreement(context: &Context, header: &mut ResponseHeader) -> Result<()> {
    apply(&context.edits.headers, header)?;
    policy::finish(context, header)?;
    strip_hop_by_hop(header);
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING] {
        header.remove_header(&name);
    }
    Ok(())
}

/// Whether a body follows the upstream's header.
fn sends_body(method: &Method, header: &ResponseHeader) -> bool {
    let empty = header
        .headers
        .get(CONTENT_LENGTH)
        .is_some_and(|length| length == "0");
    has_body(method, header.status) && !empty
}

fn replace(
    context: &mut Context,
    header: &mut ResponseHeader,
    body: Bytes,
    upstream_sends: bool,
) -> Result<()> {
    if !upstream_sends {
        context.exchange.body = ReplacedBody::Whole(Box::new(header.clone()), body);
        return Error::err(ANSWERED_BY_THE_NODE);
    }
    header.set_content_length(body.len())?;
    context.exchange.body = ReplacedBody::Pending(body);
    Ok(())
}

/// A status edited to one without a body takes the upstream's body away; one edited to a
/// status with a body has none to show.
fn fit_body(
    context: &mut Context,
    method: &Method,
    received: StatusCode,
    header: &mut ResponseHeader,
) -> Result<()> {
    let had_body = has_body(&Method::GET, received);
    let may_have_body = has_body(&Method::GET, header.status);
    if had_body && may_have_body {
        return Ok(());
    }
    context.exchange.body = ReplacedBody::Sent;
    // What a HEAD is told of is the body that a GET would get, if there is one.
    let edited = had_body != may_have_body && *method != Method::HEAD;
    if edited || says_it_is_empty(header.status) {
        header.remove_header(&CONTENT_LENGTH);
        header.remove_header(&TRANSFER_ENCODING);
    }
    match header.status {
        StatusCode::RESET_CONTENT => header.set_content_length(0),
        _ if edited && may_have_body => header.set_content_length(0),
        _ => Ok(()),
    }
}

/// Whatever the method: a 204 has no length, a 205 one of 0 (RFC 9110, sections 8.6 and 15.3.6).
fn says_it_is_empty(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::RESET_CONTENT
}

/// Replaces one piece of the upstream's body.
pub(super) fn filter_body(replaced: &mut ReplacedBody, piece: &mut Option<Bytes>) {
    match std::mem::take(replaced) {
        ReplacedBody::No => {}
        ReplacedBody::Pending(body) => {
            *piece = Some(body);
            *replaced = ReplacedBody::Sent;
        }
        ReplacedBody::Sent => {
            *piece = None;
            *replaced = ReplacedBody::Sent;
        }
        whole @ ReplacedBody::Whole(..) => *replaced = whole,
    }
}
