//! The request as functions see it: after the node's own checks.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::edits::{Edits, RequestEdits};

/// Shared by all functions of a chain. After its request edits this is what was forwarded.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Named in every log record of its functions.
    pub id: String,
    /// The client's IP address as text, without a port.
    pub client: Option<Arc<str>>,
    /// The method.
    pub method: Method,
    /// The path as normalised for matching and the query as received.
    pub uri: String,
    /// Without forwarding headers of the client and without `x-aegis-*`.
    pub headers: HeaderMap,
    /// The buffered body, if a function of the chain asked for it.
    pub body: Bytes,
    /// Which URIs functions may set.
    pub uris: UriRules,
}

impl Request {
    /// Bytes that a copy of it takes; the body is shared.
    pub(super) fn copied_size(&self) -> usize {
        let header = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
        self.headers.iter().map(header).sum::<usize>() + self.uri.len()
    }
}

/// Which URIs a function may have its request forwarded with.
#[derive(Clone, Copy, Debug)]
pub struct UriRules {
    /// Bytes of path and query.
    pub longest: usize,
    /// Brings path and query into the form that routes match; `None` refuses them.
    pub normalise: fn(&str) -> Option<http::Uri>,
}

/// None at all.
impl Default for UriRules {
    fn default() -> Self {
        Self {
            longest: 0,
            normalise: |_| None,
        }
    }
}

/// A request on its way to the upstream.
#[derive(Debug, Default)]
pub struct Forwarded {
    /// As the upstream and the response phase see it.
    pub request: Arc<Request>,
    /// What the functions changed about it, its new body included.
    pub request_edits: RequestEdits,
    /// For the response.
    pub edits: Edits,
}
