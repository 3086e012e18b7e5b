//! The cache that functions share: one front that checks keys, sizes and lifetimes before anything
//! leaves the process, over one of two stores that give the same answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

mod access;
mod answer;
mod counter;
mod dragonfly;
mod embedded;
mod error;
mod key;
mod near;
mod rate;
mod secret;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod url;

use access::Access;
pub use answer::Answer;
use dragonfly::Dragonfly;
use embedded::Embedded;
pub use error::{Argument, BuildError, CacheError};
pub use key::{Key, MAX_KEY_SIZE, Namespace, NamespaceError};
use near::Near;
pub use rate::Rate;
pub use settings::{NearSettings, Settings, StoreSettings};
use store::Store;
pub use url::{StoreUrl, UrlError};

/// The longest value, in bytes.
pub const MAX_VALUE_SIZE: usize = 1024 * 1024;

/// The longest lifetime of an entry, and the longest window of a rate: one year.
pub const MAX_TTL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The front of the cache. Clones share one store; the store's connections and tasks end with the
/// last clone.
#[derive(Clone)]
pub struct Cache {
    store: Arc<dyn Store>,
    default_ttl: Duration,
    origin: Arc<(Settings, Access)>,
}

impl Cache {
    /// Builds the cache without waiting for its store: one that is down is connected to later.
    ///
    /// # Errors
    ///
    /// When a setting is out of range, a file it names cannot be used, or the store needs a tokio
    /// runtime and there is none.
    pub fn new(settings: &Settings) -> Result<Self, BuildError> {
        if settings.default_ttl < Duration::from_secs(1) || settings.default_ttl > MAX_TTL {
            return Err(BuildError::DefaultTtl);
        }
        let access = Access::read(&settings.store)?;
        Ok(Self {
            store: open(settings, &access)?,
            default_ttl: Duration::from_secs(settings.default_ttl.as_secs()),
            origin: Arc::new((settings.clone(), access)),
        })
    }

    /// Whether [`Self::new`] would build the same again: from the same settings, and from files
    /// that have not changed since.
    #[must_use]
    pub fn suits(&self, settings: &Settings) -> bool {
        let (built_from, access) = &*self.origin;
        built_from == settings
            && Access::read(&settings.store).is_ok_and(|read_now| read_now == *access)
    }

    /// The value of `key` in `namespace`; `None` when it is absent or has expired.
    ///
    /// # Errors
    ///
    /// Of this and all other calls: when an argument is out of range, or the store fails, always
    /// within the timeout; `Kind` when the key holds another kind of entry than the call is for.
    pub fn get(&self, namespace: &Namespace, key: &[u8]) -> Answer<'_, Option<Bytes>> {
        Answer::checked(|| Ok(self.store.get(Key::new(namespace, key)?)))
    }

    /// Keeps `value` under `key` in `namespace` for `ttl_seconds`; 0 means the default lifetime.
    /// The in-process store keeps `value` as it is, so it must not be a slice of something larger.
    pub fn set(
        &self,
        namespace: &Namespace,
        key: &[u8],
        value: Bytes,
        ttl_seconds: u32,
    ) -> Answer<'_, ()> {
        Answer::checked(|| {
            let key = Key::new(namespace, key)?;
            if value.len() > MAX_VALUE_SIZE {
                return Err(CacheError::ValueSize);
            }
            let ttl = self.ttl(ttl_seconds)?;
            Ok(self.store.set(key, value, ttl))
        })
    }

    /// Removes what `key` in `namespace` holds, be it a value or the state of a rate; whether
    /// there was anything.
    pub fn delete(&self, namespace: &Namespace, key: &[u8]) -> Answer<'_, bool> {
        Answer::checked(|| Ok(self.store.delete(Key::new(namespace, key)?)))
    }

    /// Adds `delta` to the number under `key` in `namespace` and answers with the sum; nobody
    /// else's increment comes between. The value is the number's decimal text, also for [`get`],
    /// and may have been [`set`]. A key that is absent is taken for 0, and lives for `ttl_seconds`,
    /// of which 0 means the default lifetime; one that is there keeps its lifetime.
    ///
    /// # Errors
    ///
    /// `NotANumber`, and `Overflow` when the sum is not above `i64::MIN` and at most `i64::MAX`:
    /// both leave everything as it was.
    ///
    /// [`get`]: Self::get
    /// [`set`]: Self::set
    pub fn increment(
        &self,
        namespace: &Namespace,
        key: &[u8],
        delta: i64,
        ttl_seconds: u32,
    ) -> Answer<'_, i64> {
        Answer::checked(|| {
            let key = Key::new(namespace, key)?;
            let ttl = self.ttl(ttl_seconds)?;
            Ok(self.store.increment(key, delta, ttl))
        })
    }

    /// Counts a call against a rate of `limit` calls per `window` that `key` in `namespace` is held
    /// to, exactly, whichever nodes share the store: `None` when it is allowed, or how long to
    /// wait, in whole milliseconds. A call that is refused counts for nothing.
    pub fn rate_limit(
        &self,
        namespace: &Namespace,
        key: &[u8],
        limit: u32,
        window: Duration,
    ) -> Answer<'_, Option<Duration>> {
        Answer::checked(|| {
            let key = Key::new(namespace, key)?;
            let rate = Rate::new(limit, window)?;
            Ok(self.store.rate_limit(key, rate))
        })
    }

    fn ttl(&self, seconds: u32) -> Result<Duration, CacheError> {
        match Duration::from_secs(seconds.into()) {
            Duration::ZERO => Ok(self.default_ttl),
            ttl if ttl > MAX_TTL => Err(Argument::Ttl.into()),
            ttl => Ok(ttl),
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cache").finish_non_exhaustive()
    }
}

fn open(settings: &Settings, access: &Access) -> Result<Arc<dyn Store>, BuildError> {
    Ok(match &settings.store {
        StoreSettings::Embedded {
            capacity,
            namespace_capacity,
        } => Arc::new(Embedded::new(*capacity, *namespace_capacity)),
        StoreSettings::Dragonfly { url, .. } => {
            let store = Arc::new(Dragonfly::open(url, access, settings.timeout)?);
            match &settings.near {
                Some(near) => Arc::new(Near::new(store, near)),
                None => store,
            }
        }
    })
}
