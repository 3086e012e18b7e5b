//! What a route does with a request, compiled from the configuration at load.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::compress::Compression;
use super::fail::Complaints;
use super::policy::{Networks, Policy};
use super::upgrade::Protocol;
use crate::edge::Chain;
use crate::files::Files;
use crate::listener::Limits;
use crate::route::Table;
use crate::upstream::Upstream;

/// Everything that a reload replaces, in one piece: a request uses one snapshot from
/// its first byte to its last.
pub struct Snapshot {
    /// Which action a request takes.
    pub routes: Table<Arc<Action>>,
    /// What clients may send.
    pub limits: Limits,
    /// Who may say for whom a request is made.
    pub trusted_proxies: Networks,
}

/// One route's action.
pub struct Action {
    /// The route's name, for logs.
    pub name: Arc<str>,
    /// Where the request goes.
    pub target: Target,
    /// Largest request body, in bytes.
    pub body_size: u64,
    /// Whether `%2F` in the path is an opaque character or a reason to refuse.
    pub encoded_slashes: EncodedSlashes,
    /// In which codings answers go out, if not as they are.
    pub compression: Option<Compression>,
    /// What clients and upstream may go on in instead of HTTP.
    pub upgrade: Vec<Protocol>,
    /// How often the log tells of its failures.
    pub complaints: Complaints,
    /// Whether answers say what the functions used.
    pub server_timing: bool,
    /// What else is asked of its requests and made of its answers.
    pub policy: Option<Box<Policy>>,
    /// The value of `Strict-Transport-Security` in answers over TLS.
    pub hsts: Option<HeaderValue>,
}

/// What becomes of a matched request.
pub enum Target {
    /// A fixed answer.
    Answer(StaticAnswer),
    /// A redirect to the same URL over TLS.
    ToHttps(HttpsRedirect),
    /// Functions answer.
    Functions(Chain),
    /// Functions first, then an upstream.
    FunctionsThenUpstream(Chain, Arc<Upstream>),
    /// Straight to an upstream.
    Upstream(Arc<Upstream>),
    /// Functions first, then a file.
    FunctionsThenFiles(Chain, Arc<Files>),
    /// A file.
    Files(Arc<Files>),
}

impl Target {
    /// The functions, if there are any.
    pub fn chain(&self) -> Option<&Chain> {
        match self {
            Self::Functions(chain)
            | Self::FunctionsThenUpstream(chain, _)
            | Self::FunctionsThenFiles(chain, _) => Some(chain),
            Self::Answer(_) | Self::ToHttps(_) | Self::Upstream(_) | Self::Files(_) => None,
        }
    }

    /// The files, if that is where it ends.
    pub fn files(&self) -> Option<&Arc<Files>> {
        match self {
            Self::Files(files) | Self::FunctionsThenFiles(_, files) => Some(files),
            Self::Answer(_)
            | Self::ToHttps(_)
            | Self::Functions(_)
            | Self::FunctionsThenUpstream(..)
            | Self::Upstream(_) => None,
        }
    }
}

/// Where a client that came without TLS finds the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpsRedirect {
    /// Where it differs from that of `https`.
    pub port: Option<u16>,
    /// Its status.
    pub status: StatusCode,
}

/// What to do with `%2F`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncodedSlashes {
    /// 400.
    #[default]
    Reject,
    /// An opaque character.
    Keep,
}

/// A `respond` or `redirect` route.
#[derive(Clone, Debug)]
pub struct StaticAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those that frame it.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}
