//! What can go wrong when the cache is built and when it is used.

use thiserror::Error;

/// Why a cache could not be built.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
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
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CacheError {
    /// The key's length is out of range.
    #[error("key must be 1 to 256 bytes")]
    KeySize,
    /// The value is over 1 MiB, or over what the in-process store may hold at all; also for a
    /// value of that size that something else put into the store.
    #[error("value is too large")]
    ValueSize,
    /// The lifetime is out of range.
    #[error("ttl must be at most one year")]
    Ttl,
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
