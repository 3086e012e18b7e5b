//! What can go wrong when the cache is built and when it is used.

use std::path::PathBuf;

use thiserror::Error;

use crate::trust::TrustError;

/// Why a cache could not be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The default lifetime is out of range.
    #[error("default ttl must be from 1s to 365 days")]
    DefaultTtl,
    /// A timeout of zero would let no operation finish.
    #[error("timeout must be more than zero")]
    Timeout,
    /// Connections need tasks, and tasks a runtime.
    #[error("the cache store needs a running tokio runtime")]
    NoRuntime,
    /// The file of the password cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    PasswordUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file of the password holds something else.
    #[error("{} holds no password: {reason}", path.display())]
    NoPassword {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody's certificate could be verified.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl BuildError {
    /// The key of `[cache]` that would repair it, if there is one.
    #[must_use]
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::DefaultTtl => Some("default_ttl"),
            Self::Timeout => Some("timeout"),
            Self::PasswordUnreadable { .. } | Self::NoPassword { .. } => Some("password_file"),
            Self::Trust(_) => Some("ca_file"),
            Self::NoRuntime => None,
        }
    }
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CacheError {
    /// An argument is out of range.
    #[error(transparent)]
    OutOfRange(#[from] Argument),
    /// The value is over 1 MiB, or over what the in-process store may hold at all; also for a
    /// value of that size that something else put into the store. One of over 16 MiB is more than
    /// may be read at once: it breaks its connection, which is [`Self::Unavailable`].
    #[error("value is too large")]
    ValueSize,
    /// The key holds another kind of entry: a rate's state where a value is wanted, or the other
    /// way round.
    #[error("the key holds another kind of entry")]
    Kind,
    /// The value to be incremented is not the decimal text of a number of 64 bits.
    #[error("the value is not a number")]
    NotANumber,
    /// The incremented value would be out of range.
    #[error("the number would overflow")]
    Overflow,
    /// The store did not answer in time.
    #[error("the cache store did not answer in time")]
    Timeout,
    /// There is no connection to the store, or it broke during the operation.
    #[error("the cache store is unavailable")]
    Unavailable,
    /// More operations are waiting for the store than may wait.
    #[error("too many cache operations are waiting")]
    Busy,
    /// The store answered with an error, as when it is full, loading or read-only.
    #[error("the cache store refused the operation")]
    Refused,
}

/// What of a call is out of range, whatever the store holds.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Argument {
    /// The key's length.
    #[error("key must be 1 to 256 bytes")]
    KeySize,
    /// The lifetime.
    #[error("ttl must be at most one year")]
    Ttl,
    /// The limit or the window.
    #[error("limit and window must be at least 1, and the window at most one year")]
    Rate,
}
