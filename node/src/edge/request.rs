//! The request as functions see it: after the node's own checks.

use bytes::Bytes;
use http::{HeaderMap, Method};

/// Shared by all functions of a chain.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Named in every log record of its functions.
    pub id: String,
    /// The method.
    pub method: Method,
    /// The path as normalised for matching and the query as received.
    pub uri: String,
    /// Without forwarding headers of the client and without `x-aegis-*`.
    pub headers: HeaderMap,
    /// The buffered body, if a function of the chain asked for it.
    pub body: Bytes,
}
