//! Which route a request takes. Matching only: what a match means is the caller's type `T`.
//!
//! Routes for the request's scheme come before routes for any, like those of a listener of their
//! own. Among these, precedence is that of the Kubernetes Gateway API's `HTTPRoute`, over all routes
//! that match:
//! host (exact, longest wildcard, any), then path (exact, regex in file order, longest prefix),
//! then a named method before any method, then the most headers, then the order in the file.

use http::{HeaderMap, Method};

use crate::scheme::Scheme;

mod criteria;
mod host;
mod hosts;
pub mod normal;
mod path;
mod precedence;
mod prefixes;
mod scope;
mod table;

pub use criteria::Criteria;
pub use host::{HostError, HostName, HostPattern};
pub use path::{NormalText, PathPattern, PatternError};
pub use table::Table;

/// What a [`Table`] looks at in a request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// How it came.
    pub scheme: Scheme,
    /// The host as the client wrote it: perhaps with a port, a trailing dot, in any case.
    /// One that is absent or malformed matches only routes without hosts.
    pub host: Option<&'a str>,
    /// The path in its normal form (see [`normal::normalise`]), without the query.
    pub path: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The header fields.
    pub headers: &'a HeaderMap,
}

/// What a [`Table`] says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<'t, T> {
    /// The target of the route that takes precedence.
    Found(&'t T),
    /// At least one route would match but for its method: all methods these routes name, sorted,
    /// each once (never empty).
    MethodNotAllowed(Vec<Method>),
    /// No route matches, whatever the method.
    NotFound,
}
