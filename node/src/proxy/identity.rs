//! Who a request is from: the other end of the connection, or whom a proxy that is trusted names.

mod address;
mod chain;
mod forwarded;

use std::net::IpAddr;
use std::sync::Arc;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

use self::chain::Chain;
use super::Networks;
use super::context::Context;
use super::request_id::RequestId;
use super::survey::is_authority;
use crate::scheme::Scheme;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a trusted proxy says of a request.
#[derive(Debug, PartialEq)]
pub(super) struct Told {
    /// The client, and the proxies between it and this node, for `x-forwarded-for`.
    pub(super) path: String,
    scheme: Option<Scheme>,
    /// What the client asked for by its own words.
    pub(super) host: Option<HeaderValue>,
}

/// Takes what the peer says of the client, if it is a proxy that may.
pub(super) fn establish(headers: &HeaderMap, context: &mut Context) {
    let Some(peer) = context.peer else {
        return;
    };
    if !context.snapshot.trusted_proxies.contain(peer) {
        return;
    }
    if let Some(id) = headers.get(X_REQUEST_ID).and_then(RequestId::given) {
        // Otherwise the trace that begins here has the request's own id.
        context.trace = Some(std::mem::replace(&mut context.id, id).as_str().into());
    }
    let (chain, told) = hear(headers, peer, &context.snapshot.trusted_proxies);
    let client = chain.client();
    if client != peer {
        context.peer_name = context.client.take();
        context.client = Some(Arc::from(client.to_string()));
    }
    context.client_address = Some(client);
    if let Some(scheme) = told.scheme {
        context.scheme = scheme;
    }
    context.told = Some(Box::new(told));
}

/// `X-Forwarded-For` counts before `Forwarded`, and that before `X-Real-IP`: a proxy passes on
/// unread what it does not write itself, so of two stories one may be the client's, and
/// `X-Forwarded-For` is what nearly all proxies write.
fn hear(headers: &HeaderMap, peer: IpAddr, trusted: &Networks) -> (Chain, Told) {
    let mut chain = Chain::from(peer);
    let (mut scheme, mut host) = (None, None);
    if headers.contains_key(X_FORWARDED_FOR) {
        let entries = list(headers, &X_FORWARDED_FOR);
        chain.walk(trusted, entries.map(address::plain));
    } else if headers.contains_key(FORWARDED) {
        let elements = forwarded::elements(headers);
        let length = chain.walk(trusted, elements.iter().rev().map(forwarded::Element::from));
        // What the proxy says that has seen the client; nothing where none has named it.
        let first = elements.iter().rev().nth(length.wrapping_sub(1));
        if let Some(element) = first {
            scheme = element.scheme.as_deref().and_then(Scheme::named);
            host = element.host.as_deref().and_then(authority);
        }
    } else if let Some(address) = last(headers, &X_REAL_IP) {
        chain.walk(trusted, std::iter::once(address::plain(address)));
    }
    let told = last(headers, &X_FORWARDED_PROTO).and_then(Scheme::named);
    let named = last(headers, &X_FORWARDED_HOST).and_then(authority);
    let told = Told {
        path: chain.to_string(),
        scheme: told.or(scheme),
        host: named.or(host),
    };
    (chain, told)
}

/// The entries of a list, the last one first.
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> + use<'h> {
    let values = headers.get_all(name).into_iter().rev();
    let entries = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    entries.map(<[u8]>::trim_ascii)
}

/// The entry that the peer itself has written.
fn last<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    list(headers, name).next()
}

fn authority(text: &[u8]) -> Option<HeaderValue> {
    let is_host = std::str::from_utf8(text).is_ok_and(is_authority);
    is_host.then(|| HeaderValue::from_bytes(text).ok())?
}

#[cfg(test)]
mod tests;
