//! What can go wrong: when the client is built, and in one call. Texts of
//! [`EgressError`] are made for guests, so they name no address and no file;
//! the sources are for the log.

use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use super::address::Refusal;
use super::resolve::ResolveError;
use super::target::UrlError;
use super::verdict::Verdict;
use super::{MAX_REDIRECTS, MAX_REQUEST_BODY, MAX_RESPONSE, MAX_RESPONSE_HEADER};
use crate::trust::TrustError;

/// Why no client can be built from the settings.
#[derive(Debug, Error)]
pub enum BuildError {
    /// Nobody's certificate could be verified.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The HTTP library refuses its settings.
    #[error("cannot set up the https client: {0}")]
    Client(#[source] reqwest::Error),
    /// The name resolver refuses its settings.
    #[error("cannot set up the name resolver: {0}")]
    Resolver(#[source] hickory_resolver::net::NetError),
}

/// Why a call has no reply.
#[derive(Debug, Error)]
pub enum EgressError {
    /// The URL, or that of a redirect, is refused by its form.
    #[error(transparent)]
    BadUrl(#[from] UrlError),
    /// The call is outside what the node or the function may do.
    #[error("{0}")]
    NotAllowed(Denial),
    /// An address of the host is not public, and not exempt.
    #[error("the host's address is not public")]
    AddressRefused(IpAddr),
    /// The call would come back to the node.
    #[error("the host's address is the node's own")]
    OwnAddress(SocketAddr),
    /// The name has no address, or no resolver answered.
    #[error("the host's name cannot be resolved")]
    Resolve(#[source] reqwest::Error),
    /// No connection was made.
    #[error("the host cannot be connected to")]
    Connect(#[source] reqwest::Error),
    /// No trusted TLS session was made.
    #[error("the host's certificate or tls handshake is not acceptable")]
    Tls(#[source] reqwest::Error),
    /// The exchange broke off or was no HTTP.
    #[error("the connection failed or the answer is malformed")]
    Transport(#[source] reqwest::Error),
    /// The total time was used up.
    #[error("the call took too long")]
    Timeout,
    /// A body or header is larger than its limit.
    #[error("{0}")]
    TooLarge(Part),
    /// All calls together hold as much as they may.
    #[error("there is no memory left for the response")]
    NoRoom,
    /// As many calls as there may be are under way.
    #[error("{0}")]
    Busy(Crowd),
    /// A redirect after the last one followed.
    #[error("more than {MAX_REDIRECTS} redirects")]
    TooManyRedirects,
}

/// Who denies a call.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Denial {
    /// The node's allow list does not name the host and port.
    #[error("the node does not allow calls to this host and port")]
    Node,
    /// The function's grant does not name the host and port.
    #[error("the function is not granted calls to this host and port")]
    Function,
    /// CONNECT would open a tunnel, TRACE reflects headers.
    #[error("the method is not allowed")]
    Method,
}

/// Whose calls are too many.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Crowd {
    /// Those of all functions.
    #[error("the node has too many calls under way")]
    Node,
    /// Those of the function.
    #[error("the function has too many calls under way")]
    Function,
}

/// What of a call is too large.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Part {
    /// The request body.
    #[error("the request body is larger than {MAX_REQUEST_BODY} bytes")]
    RequestBody,
    /// The header of the response.
    #[error("the response header is larger than {MAX_RESPONSE_HEADER} bytes")]
    ResponseHeader,
    /// The body of the response.
    #[error("the response body is larger than {MAX_RESPONSE} bytes")]
    ResponseBody,
}

// === impl BuildError ===

impl BuildError {
    /// The settings key that would repair it, if there is one.
    #[must_use]
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::Trust(TrustError::Tls(_)) | Self::Client(_) => None,
            Self::Trust(_) => Some("ca_file"),
            Self::Resolver(_) => Some("nameservers"),
        }
    }
}

// === impl EgressError ===

impl EgressError {
    /// One word for logs and metrics.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::BadUrl(_) => Verdict::BadUrl,
            Self::NotAllowed(_) => Verdict::NotAllowed,
            Self::AddressRefused(_) => Verdict::AddressRefused,
            Self::OwnAddress(_) => Verdict::OwnAddress,
            Self::Resolve(_) => Verdict::Resolve,
            Self::Connect(_) => Verdict::Connect,
            Self::Tls(_) => Verdict::Tls,
            Self::Transport(_) => Verdict::Transport,
            Self::Timeout => Verdict::Timeout,
            Self::TooLarge(_) => Verdict::TooLarge,
            Self::TooManyRedirects => Verdict::TooManyRedirects,
            Self::NoRoom => Verdict::NoRoom,
            Self::Busy(_) => Verdict::Busy,
        }
    }

    /// The whole story, addresses included: for the operator, never for guests.
    pub(super) fn detail(&self) -> String {
        match self {
            Self::AddressRefused(address) => return format!("{self}: {address}"),
            Self::OwnAddress(address) => return format!("{self}: {address}"),
            _ => {}
        }
        let mut text = self.to_string();
        for cause in causes(self).skip(1) {
            text = format!("{text}: {cause}");
        }
        text
    }
}

impl From<reqwest::Error> for EgressError {
    fn from(error: reqwest::Error) -> Self {
        // The URL's path and query are the guest's business, not the log's.
        let error = error.without_url();
        match cause_of(&error) {
            Cause::Refused(address, Refusal::NotPublic) => Self::AddressRefused(address.ip()),
            Cause::Refused(address, Refusal::Own) => Self::OwnAddress(address),
            Cause::Name => Self::Resolve(error),
            Cause::Tls => Self::Tls(error),
            // The connector's own limit is the same five seconds.
            Cause::Other if error.is_timeout() => Self::Timeout,
            Cause::Other if error.is_connect() => Self::Connect(error),
            Cause::Other => Self::Transport(error),
        }
    }
}

enum Cause {
    Refused(SocketAddr, Refusal),
    Name,
    Tls,
    Other,
}

/// The first error of ours or of TLS that the HTTP library wrapped.
fn cause_of(error: &reqwest::Error) -> Cause {
    for cause in causes(error) {
        match cause.downcast_ref() {
            Some(ResolveError::Refused(address, refusal)) => {
                return Cause::Refused(*address, *refusal);
            }
            Some(_) => return Cause::Name,
            None if cause.is::<rustls::Error>() => return Cause::Tls,
            None => {}
        }
    }
    Cause::Other
}

/// The error and everything beneath it. An `io::Error` hides the error it
/// wraps from `source`, and that is where TLS errors are.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| beneath(*error))
}

fn beneath<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    }
}
