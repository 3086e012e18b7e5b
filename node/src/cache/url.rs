//! The address of a store outside the process. Neither its text nor its errors ever show the
//! credentials.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use super::secret::Secret;

mod parse;
#[cfg(test)]
mod tests;

/// Where a store is, and as whom to log in.
///
/// ```text
/// redis://  [user:password@]host[:port][/db]
/// redis-sentinel://  [user:password@]host[:port][,host[:port]…][/db]?sentinelServiceName=NAME
/// redis-cluster://   [user:password@]host[:port][,host[:port]…]
/// unix://   [user:password@]/path/to/socket[?db=N]
/// ```
///
/// `rediss` instead of `redis` is the same over TLS, `redis+unix` the same as `unix`.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    pub(super) place: Place,
    pub(super) transport: Transport,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: Option<u8>,
}

/// Which servers make up the store.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    Host(Host),
    Socket(PathBuf),
    Sentinels(Sentinels),
    Cluster(Vec<Host>),
}

/// Servers that know which one is the primary now.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Sentinels {
    pub(super) hosts: Vec<Host>,
    pub(super) service: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
}

/// A server; the name of an IPv6 address has its brackets.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Plain,
    Tls,
}

/// Why a text is not the address of a store. None of the messages repeats the text, since it may
/// hold a password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error(
        "the scheme is none of redis, redis-sentinel, redis-cluster, their TLS forms rediss, \
         rediss-sentinel, rediss-cluster, and unix"
    )]
    Scheme,
    /// Which of them would be asked?
    #[error("several hosts need redis-sentinel:// or redis-cluster://")]
    Hosts,
    /// An `@` before another one: a login of each host, or a password that looks like that.
    #[error("user and password stand once, before the first host; in them write `@` as %40")]
    Logins,
    /// `?` or `#`, which begin parts of a URL that mean nothing here.
    #[error("no `?` or `#` may follow; in a password write them as %3F and %23")]
    Query,
    /// A parameter that is not known, or has no sensible value.
    #[error(
        "a parameter is none of db (unix), node (cluster and sentinel), sentinelServiceName, \
         sentinelUsername and sentinelPassword, or its value cannot be"
    )]
    Parameter,
    /// Sentinels look after several services.
    #[error("which service is it? name it with ?sentinelServiceName=NAME")]
    Service,
    /// A cluster has only the one.
    #[error("a cluster has no numbered databases")]
    Database,
    /// A relative path, or none.
    #[error("a socket is named by its full path: unix:///path/to/socket")]
    Socket,
    /// Anything else.
    #[error("not of the form redis://[user:password@]host[:port][/db]")]
    Malformed,
}

// === impl StoreUrl ===

impl StoreUrl {
    /// The unix socket it names, if it names one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        match &self.place {
            Place::Socket(path) => Some(path),
            Place::Host(_) | Place::Sentinels(_) | Place::Cluster(_) => None,
        }
    }

    /// Whether the connection is over TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.transport == Transport::Tls
    }

    /// Whether a password stands in it.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Whether it names a user.
    #[must_use]
    pub fn has_user(&self) -> bool {
        self.user.is_some()
    }

    fn scheme(&self) -> &'static str {
        match (&self.place, self.transport) {
            (Place::Socket(_), _) => "unix",
            (Place::Host(_), Transport::Plain) => "redis",
            (Place::Host(_), Transport::Tls) => "rediss",
            (Place::Sentinels(_), Transport::Plain) => "redis-sentinel",
            (Place::Sentinels(_), Transport::Tls) => "rediss-sentinel",
            (Place::Cluster(_), Transport::Plain) => "redis-cluster",
            (Place::Cluster(_), Transport::Tls) => "rediss-cluster",
        }
    }
}

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        parse::url(text)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://", self.scheme())?;
        match &self.place {
            Place::Host(host) => write!(formatter, "{host}")?,
            Place::Socket(path) => write!(formatter, "{}", path.display())?,
            Place::Sentinels(Sentinels { hosts, .. }) | Place::Cluster(hosts) => {
                let hosts: Vec<_> = hosts.iter().map(Host::to_string).collect();
                write!(formatter, "{}", hosts.join(","))?;
            }
        }
        match (self.database, &self.place) {
            (Some(database), Place::Socket(_)) => write!(formatter, "?db={database}")?,
            (Some(database), _) => write!(formatter, "/{database}")?,
            (None, _) => {}
        }
        match &self.place {
            Place::Sentinels(Sentinels { service, .. }) => {
                write!(formatter, "?sentinelServiceName={service}")
            }
            Place::Host(_) | Place::Socket(_) | Place::Cluster(_) => Ok(()),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StoreUrl({self})")
    }
}

// === impl Host ===

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.name, self.port)
    }
}
