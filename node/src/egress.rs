//! The HTTPS client of edge functions: which hosts they may call, which
//! addresses those may have, and how much time and memory one call may take.
//!
//! A call passes three gates, each closed by default: the URL's form
//! ([`Target`]), the allow lists of the node and of the function
//! ([`AllowList`]), and the address policy, which every address the name
//! resolves to must satisfy ([`is_public`]). All three are passed again for
//! every redirect.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use ipnet::IpNet;

mod address;
mod allow;
mod body;
mod caller;
mod client;
mod error;
mod journal;
mod own;
mod pool;
mod redirect;
mod resolve;
mod roots;
mod target;
#[cfg(test)]
mod tests;
mod verdict;

pub use self::address::is_public;
pub use self::allow::{AllowEntry, AllowList, EntryError};
pub use self::caller::Caller;
pub use self::client::Client;
pub use self::error::{BuildError, Crowd, Denial, EgressError, Part};
pub use self::own::OwnAddresses;
pub use self::target::{Host, Target, UrlError};
pub use self::verdict::Verdict;

/// Longest time of one call, from resolving the name to the body's last byte,
/// redirects included.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest response body in bytes, counted after decompression.
pub const MAX_RESPONSE: usize = 1024 * 1024;

/// Largest request body in bytes.
pub const MAX_REQUEST_BODY: usize = 1024 * 1024;

/// Longest URL in bytes, as given and in its normal form.
pub const MAX_URL: usize = 8 * 1024;

/// Redirects followed by one call.
pub const MAX_REDIRECTS: usize = 3;

/// Largest header of a response: names and values together, in bytes.
pub const MAX_RESPONSE_HEADER: usize = 64 * 1024;

/// Calls under way at once, of all functions together: one for each invocation that a node
/// has by default. Past it a call is refused, since a queue could only make it late.
pub const MAX_CALLS: usize = 4096;

/// Those of one function: none can take all the places.
pub const MAX_FUNCTION_CALLS: usize = MAX_CALLS / 2;

/// What the operator decides about egress. The default allows nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Hosts any function of the node may call; a function's grant narrows it.
    pub allow: AllowList,
    /// PEM file of trust anchors besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Networks exempt from the ban on addresses that are not public.
    pub allow_private: Vec<IpNet>,
    /// Resolvers to ask; empty: the system's.
    pub nameservers: Vec<SocketAddr>,
}

/// One HTTPS request a function makes.
#[derive(Clone, Debug)]
pub struct Call {
    /// Id of the client's request it is made for, for the log.
    pub request_id: String,
    /// Any method but CONNECT and TRACE.
    pub method: Method,
    /// The URL as the guest wrote it; nothing of it is trusted.
    pub url: String,
    /// Headers of the guest's choice; those the node owns are left out.
    pub headers: HeaderMap,
    /// At most [`MAX_REQUEST_BODY`] bytes.
    pub body: Bytes,
    /// `CDN-Loop` of the request it is made for; the node's own token goes behind it.
    pub passed: Vec<HeaderValue>,
}

/// Accounts for what a call holds of its answer while that arrives.
pub trait Room: Send + Sync {
    /// Takes `bytes` more; `false` ends the call.
    fn take(&self, bytes: usize) -> bool;
}

/// What a header costs besides its name and value, in bytes.
const HEADER_OVERHEAD: usize = 64;

/// The answer to a [`Call`], whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The last hop's status.
    pub status: StatusCode,
    /// The last hop's headers, at most [`MAX_RESPONSE_HEADER`] bytes.
    pub headers: HeaderMap,
    /// The decompressed body, at most [`MAX_RESPONSE`] bytes.
    pub body: Bytes,
}

impl Reply {
    /// Bytes it holds, which it has taken from its [`Room`].
    #[must_use]
    pub fn size(&self) -> usize {
        held_by(&self.headers) + self.body.len()
    }

    /// Those of its headers.
    #[must_use]
    pub fn header_size(&self) -> usize {
        held_by(&self.headers)
    }
}

/// Whether the node alone decides about this header of a request: it frames the message,
/// belongs to the connection, or says who speaks.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    const OF_REQUESTS: [&str; 2] = ["expect", "http2-settings"];
    aegis_abi::is_reserved_header(name)
        || OF_REQUESTS.iter().any(|own| name.eq_ignore_ascii_case(own))
}

fn held_by(headers: &HeaderMap) -> usize {
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD);
    sizes.sum()
}
