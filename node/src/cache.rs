//! The cache that functions share: one front that checks keys, sizes and lifetimes before anything
//! leaves the process, over one of two stores that give the same answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

mod access;
mod dragonfly;
mod embedded;
mod error;
mod key;
mod secret;
mod settings;
#[cfg(test)]
mod tests;
mod url;

use access::Access;
use dragonfly::Dragonfly;
use embedded::Embedded;
pub use error::{BuildError, CacheError};
pub use key::{Key, MAX_KEY_SIZE, Namespace, NamespaceError};
pub use settings::{Settings, StoreSettings};
pub use url::{StoreUrl, UrlError};

/// The longest value, in bytes.
pub const MAX_VALUE_SIZE: usize = 1024 * 1024;

/// The longest lifetime of an entry: one year.
pub const MAX_TTL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Where entries are kept. An implementation bounds every wait itself: no call lasts longer than
/// the timeout it was built with, or it answers at once.
#[async_trait]
pub trait Store: Send + Sync {
    /// The value of `key`; `None` when it is absent or has expired.
    async fn get(&self, key: Key<'_>) -> Result<Option<Bytes>, CacheError>;

    /// Keeps `value` under `key` for `ttl`, which is whole seconds, at least one.
    async fn set(&self, key: Key<'_>, value: Bytes, ttl: Duration) -> Result<(), CacheError>;
}

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
    /// When the key is too short or too long, or the store fails: always within the timeout.
    pub async fn get(
        &self,
        namespace: &Namespace,
        key: &[u8],
    ) -> Result<Option<Bytes>, CacheError> {
        self.store.get(Key::new(namespace, key)?).await
    }

    /// Keeps `value` under `key` in `namespace` for `ttl_seconds`; 0 means the default lifetime.
    /// The in-process store keeps `value` as it is, so it must not be a slice of something larger.
    ///
    /// # Errors
    ///
    /// When key, value or lifetime is out of range, or the store fails: always within the timeout.
    pub async fn set(
        &self,
        namespace: &Namespace,
        key: &[u8],
        value: Bytes,
        ttl_seconds: u32,
    ) -> Result<(), CacheError> {
        let key = Key::new(namespace, key)?;
        if value.len() > MAX_VALUE_SIZE {
            return Err(CacheError::ValueSize);
        }
        let ttl = self.ttl(ttl_seconds)?;
        self.store.set(key, value, ttl).await
    }

    fn ttl(&self, seconds: u32) -> Result<Duration, CacheError> {
        match Duration::from_secs(seconds.into()) {
            Duration::ZERO => Ok(self.default_ttl),
            ttl if ttl > MAX_TTL => Err(CacheError::Ttl),
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
            Arc::new(Dragonfly::open(url, access, settings.timeout)?)
        }
    })
}
