//! What a route asks of a request.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{HostPattern, PathPattern};
use crate::scheme::Scheme;

/// What a route asks of a request. The default matches every request.
#[derive(Debug, Clone, Default)]
pub struct Criteria {
    /// This one; `None`: any.
    pub scheme: Option<Scheme>,
    /// One of these; empty: any host, or none.
    pub hosts: Vec<HostPattern>,
    /// The path.
    pub path: PathPattern,
    /// One of these; empty: any. `GET` does not imply `HEAD`.
    pub methods: Vec<Method>,
    /// All of these. A value is compared exactly, bytes and case; of a repeated header one equal
    /// value is enough.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

// === impl Criteria ===

impl Criteria {
    pub(super) fn allows(&self, method: &Method) -> bool {
        self.methods.is_empty() || self.methods.contains(method)
    }

    pub(super) fn agrees_with(&self, headers: &HeaderMap) -> bool {
        self.headers
            .iter()
            .all(|(name, wanted)| headers.get_all(name).iter().any(|value| value == wanted))
    }
}
