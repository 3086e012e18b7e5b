//! What a store is: where entries are kept.

use std::time::Duration;

use bytes::Bytes;

use super::{Answer, Key, Rate};

/// Where entries are kept. An implementation bounds every wait itself: no call lasts longer than
/// the timeout it was built with, or it answers at once.
///
/// A key holds a value or the state of a rate; a call that wants the other kind fails with
/// `CacheError::Kind` and changes nothing. Keys and sizes are checked before.
pub(super) trait Store: Send + Sync {
    /// The value of `key`; `None` when it is absent or has expired.
    fn get(&self, key: Key<'_>) -> Answer<'_, Option<Bytes>>;

    /// The same, and how long it has left.
    fn find(&self, key: Key<'_>) -> Answer<'_, Option<Found>>;

    /// Keeps `value` under `key` for `ttl`, which is whole seconds, at least one. Whatever the key
    /// held is gone.
    fn set(&self, key: Key<'_>, value: Bytes, ttl: Duration) -> Answer<'_, ()>;

    /// Removes what `key` holds, of whatever kind; whether there was anything.
    fn delete(&self, key: Key<'_>) -> Answer<'_, bool>;

    /// Adds `delta` to the number that `key` holds as decimal text, and answers with the sum. A
    /// key that is absent is taken for 0 and lives for `ttl`; one that is there keeps its lifetime.
    /// When it fails, nothing has changed.
    fn increment(&self, key: Key<'_>, delta: i64, ttl: Duration) -> Answer<'_, i64>;

    /// Counts a call against the rate of `key`: `None` when it is allowed, or how long to wait, in
    /// whole milliseconds. A refused call counts for nothing.
    fn rate_limit(&self, key: Key<'_>, rate: Rate) -> Answer<'_, Option<Duration>>;
}

/// A value, and how long it will still be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) value: Bytes,
    /// `None` when it has no lifetime, as only something else can have put it there.
    pub(super) left: Option<Duration>,
}
