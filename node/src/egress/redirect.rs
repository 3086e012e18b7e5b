//! One hop of a call: the request as it goes out, and the request a redirect
//! turns it into. Whether a hop may be made is decided elsewhere, each time.

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::error::{Denial, EgressError, Part};
use super::target::{Destination, UrlError};
use super::{Call, MAX_REQUEST_BODY, is_reserved};

/// The header that ends circles (RFC 8586), and the node's token in it.
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");
const NODE: HeaderValue = HeaderValue::from_static("aegis");

/// Headers that describe a body, and go with it.
const OF_BODY: [HeaderName; 5] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
];

/// Headers meant for one origin only.
const OF_ORIGIN: [HeaderName; 2] = [header::AUTHORIZATION, header::COOKIE];

/// A request to one destination.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    pub(super) destination: Destination,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

// === impl Hop ===

impl Hop {
    /// The call's own request.
    pub(super) fn first(call: Call) -> Result<Self, EgressError> {
        if [Method::CONNECT, Method::TRACE].contains(&call.method) {
            return Err(EgressError::NotAllowed(Denial::Method));
        }
        if call.body.len() > MAX_REQUEST_BODY {
            return Err(EgressError::TooLarge(Part::RequestBody));
        }
        Ok(Self {
            destination: Destination::parse(&call.url)?,
            method: call.method,
            headers: outgoing(&call.headers, call.passed),
            body: call.body,
        })
    }

    /// The request that follows this answer, if the answer is a redirect.
    pub(super) fn next(
        &self,
        status: StatusCode,
        answer: &HeaderMap,
    ) -> Result<Option<Self>, UrlError> {
        let Some(location) = location(status, answer) else {
            return Ok(None);
        };
        let location = std::str::from_utf8(location.as_bytes()).map_err(|_| UrlError::Character)?;
        let mut next = self.clone();
        next.destination = self.destination.join(location)?;
        if becomes_get(status, &self.method) {
            next.method = Method::GET;
            next.body = Bytes::new();
            remove(&mut next.headers, &OF_BODY);
        }
        if next.destination.target != self.destination.target {
            remove(&mut next.headers, &OF_ORIGIN);
        }
        Ok(Some(next))
    }
}

fn location(status: StatusCode, answer: &HeaderMap) -> Option<&HeaderValue> {
    match status.as_u16() {
        301 | 302 | 303 | 307 | 308 => answer.get(header::LOCATION),
        _ => None,
    }
}

/// The Fetch standard's rule (section 4.4, step 12).
fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        301 | 302 => method == Method::POST,
        303 => method != Method::GET && method != Method::HEAD,
        _ => false,
    }
}

fn remove(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

/// The headers of the guest that are its own to choose, and where the request has passed.
fn outgoing(headers: &HeaderMap, passed: Vec<HeaderValue>) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.len() + passed.len() + 1);
    for (name, value) in headers {
        if !is_reserved(name.as_str()) {
            kept.append(name, value.clone());
        }
    }
    for value in passed.into_iter().chain([NODE]) {
        kept.append(CDN_LOOP, value);
    }
    kept
}

#[cfg(test)]
mod tests;
