//! What the upstream is sent besides the client's own request.

use std::net::SocketAddr;

use http::header::{CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, VIA};
use http::{HeaderName, HeaderValue, Uri, Version};
use pingora::Result;
use pingora::http::RequestHeader;

use super::context::Context;
use super::request::{CDN_LOOP, NODE_NAME};
use crate::edge::{HeaderEdit, OF_THE_BODY, RequestEdits};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FRAMING: [HeaderName; 2] = [CONTENT_LENGTH, TRANSFER_ENCODING];
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the client asked for becomes what the functions made of it; then who asked, through
/// whom, and under which id is added, and removed what the client cannot expect.
pub(super) fn add_headers(
    upstream: &mut RequestHeader,
    received: Version,
    context: &Context,
) -> Result<()> {
    apply(&context.request_edits, upstream)?;
    if received == Version::HTTP_10 || received == Version::HTTP_2 {
        // RFC 9110, section 10.1.1: an old client waits for nothing; on HTTP/2 the node passes no
        // interim answer on.
        upstream.remove_header(&EXPECT);
    }
    if let Some(client) = &context.client {
        upstream.insert_header(X_FORWARDED_FOR, &**client)?;
    }
    upstream.insert_header(X_FORWARDED_PROTO, HeaderValue::from_static("http"))?;
    match upstream.headers.get(HOST).cloned() {
        Some(host) => upstream.insert_header(X_FORWARDED_HOST, host)?,
        None => add_host(upstream, context)?,
    }
    upstream.insert_header(X_REQUEST_ID, context.id.as_str())?;
    upstream.append_header(VIA, HeaderValue::from_static(via(received)))?;
    upstream.append_header(CDN_LOOP, HeaderValue::from_static(NODE_NAME))?;
    Ok(())
}

/// A client that takes trailers says so, and gRPC wants to hear it. It concerns one connection,
/// so that the node has to say it anew; HTTP/1.1 backends' trailers go nowhere.
pub(super) fn accept_trailers(
    upstream: &mut RequestHeader,
    received: &RequestHeader,
    context: &Context,
) {
    upstream.remove_header(&TE);
    if context.speaks_http2() && takes_trailers(received) {
        let trailers = HeaderValue::from_static("trailers");
        upstream.insert_header(TE, trailers).ok();
    }
}

fn takes_trailers(header: &RequestHeader) -> bool {
    let values = header.headers.get_all(TE).iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// The functions' edits. A replaced body is there already, and framed.
fn apply(edits: &RequestEdits, upstream: &mut RequestHeader) -> Result<()> {
    if let Some(uri) = &edits.uri {
        upstream.set_uri(uri.clone());
    }
    if edits.body.is_some() {
        // Before the edits: what a function says of its own body stays.
        for name in OF_THE_BODY.iter().filter(|name| !FRAMING.contains(name)) {
            upstream.remove_header(name);
        }
    }
    for edit in &edits.headers {
        match edit {
            HeaderEdit::Set(name, value) => upstream.insert_header(name, value)?,
            HeaderEdit::Add(name, value) => {
                upstream.append_header(name, value)?;
            }
            HeaderEdit::Remove(name) => {
                upstream.remove_header(name);
            }
        }
    }
    Ok(())
}

/// HTTP/1.0 needs no Host, but the HTTP/1.1 spoken to the backend does.
fn add_host(upstream: &mut RequestHeader, context: &Context) -> Result<()> {
    let backend = context
        .exchange
        .lease
        .as_ref()
        .map(|l| l.backend().address());
    upstream.insert_header(
        HOST,
        backend.map_or(String::new(), |a: SocketAddr| a.to_string()),
    )
}

/// RFC 9110, section 7.6.3.
fn via(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0 aegis",
        Version::HTTP_2 => "2 aegis",
        _ => "1.1 aegis",
    }
}

/// Replaces the target where the normal form differs from what was received.
pub(super) fn set_target(header: &mut RequestHeader, target: String) -> bool {
    match Uri::try_from(target) {
        Ok(uri) => {
            header.set_uri(uri);
            true
        }
        Err(_) => false,
    }
}
