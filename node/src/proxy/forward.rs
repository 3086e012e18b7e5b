//! What the upstream is sent besides the client's own request.

use std::net::SocketAddr;

use http::header::{CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, VIA};
use http::{HeaderName, HeaderValue, Uri, Version};
use pingora::Result;
use pingora::http::RequestHeader;

use super::context::Context;
use super::identity::{
    X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, X_REAL_IP, X_REQUEST_ID,
};
use super::policy;
use super::request::{CDN_LOOP, NODE_NAME};
use super::trace::{self, TRACEPARENT, TRACESTATE};
use super::upgrade;
use crate::edge::{HeaderEdit, OF_THE_BODY, RequestEdits};

const FRAMING: [HeaderName; 2] = [CONTENT_LENGTH, TRANSFER_ENCODING];

/// What the client asked for becomes what the functions made of it; then who asked, through
/// whom, and under which id is added, and removed what the client cannot expect.
pub(super) fn add_headers(
    upstream: &mut RequestHeader,
    received: Version,
    context: &Context,
) -> Result<()> {
    policy::forward(context, upstream)?;
    apply(&context.request_edits, upstream)?;
    if received == Version::HTTP_10 || received == Version::HTTP_2 {
        // RFC 9110, section 10.1.1: an old client waits for nothing; on HTTP/2 the node passes no
        // interim answer on.
        upstream.remove_header(&EXPECT);
    }
    add_identity(upstream, context)?;
    policy::set_host(context, upstream)?;
    upstream.append_header(VIA, HeaderValue::from_static(via(received)))?;
    upstream.append_header(CDN_LOOP, HeaderValue::from_static(NODE_NAME))?;
    upgrade::ask(upstream, context)
}

/// A client that takes trailers says so, and gRPC wants to hear it. It concerns one connection,
/// so that the node has to say it anew; HTTP/1.1 backends' trailers go nowhere.
pub(super) fn accept_trailers(
    upstream: &mut RequestHeader,
    received: &RequestHeader,
    context: &Context,
) {
    upstream.remove_header(&TE);
    // Another protocol is asked for over HTTP/1.1.
    if context.speaks_http2() && context.upgrade.is_none() && takes_trailers(received) {
        let trailers = HeaderValue::from_static("trailers");
        upstream.insert_header(TE, trailers).ok();
    }
}

fn takes_trailers(header: &RequestHeader) -> bool {
    let values = header.headers.get_all(TE).iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Who asks, by what, for which host, under which id, and as part of which trace.
fn add_identity(upstream: &mut RequestHeader, context: &Context) -> Result<()> {
    let told = context.told.as_deref();
    if let Some(client) = &context.client {
        // Without a proxy before the node, the client is the connection's own.
        let connection = context.connection.as_ref().filter(|_| told.is_none());
        let own = connection.and_then(|connection| connection.client_value());
        match own {
            Some(own) => {
                upstream.insert_header(X_FORWARDED_FOR, own.clone())?;
                upstream.insert_header(X_REAL_IP, own.clone())?;
            }
            None => {
                let path = told.map_or(&**client, |told| &told.path);
                upstream.insert_header(X_FORWARDED_FOR, path)?;
                upstream.insert_header(X_REAL_IP, &**client)?;
            }
        }
    }
    let scheme = context.scheme.as_str();
    upstream.insert_header(X_FORWARDED_PROTO, HeaderValue::from_static(scheme))?;
    let host = upstream.headers.get(HOST).cloned();
    if host.is_none() {
        add_host(upstream, context)?;
    }
    let asked = told.and_then(|told| told.host.clone());
    if let Some(host) = asked.or(host) {
        upstream.insert_header(X_FORWARDED_HOST, host)?;
    }
    upstream.insert_header(X_REQUEST_ID, context.id.as_str())?;
    if !upstream.headers.contains_key(TRACEPARENT) {
        upstream.remove_header(&TRACESTATE);
        upstream.insert_header(TRACEPARENT, &trace::begin(context.bits)[..])?;
    }
    Ok(())
}

/// The functions' edits. A replaced body is there already, and framed.
pub(super) fn apply(edits: &RequestEdits, upstream: &mut RequestHeader) -> Result<()> {
    if let Some(uri) = &edits.uri {
        upstream.set_uri(uri.clone());
    }
    if edits.body.is_some() {
        // Before the edits: what a function says of its own body stays.
        for name in OF_THE_BODY.iter().filter(|name| !FRAMING.contains(name)) {
            upstream.remove_header(name);
        }
    }
    edit(&edits.headers, upstream)
}

/// Applies header edits in their order.
pub(super) fn edit<'e>(
    edits: impl IntoIterator<Item = &'e HeaderEdit>,
    upstream: &mut RequestHeader,
) -> Result<()> {
    for edit in edits {
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
