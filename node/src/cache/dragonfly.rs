//! The store outside the process: DragonflyDB or Redis, over a few connections that are shared by
//! all calls. Only commands that both have are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fred::error::{Error, ErrorKind};
use fred::interfaces::KeysInterface;
use fred::types::Expiration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::access::Access;
use super::{BuildError, CacheError, Key, MAX_VALUE_SIZE, Store, StoreUrl};

mod backoff;
mod link;
mod status;
mod target;

use link::{Link, Slot, charged};
use status::Status;
use target::Target;

/// Connections to the store. Calls are pipelined, so a few are enough.
const LINKS: usize = 4;

/// What values on their way to the store may take together, in bytes: a store that stops reading
/// must not make this process's memory grow.
const PENDING_VALUES: usize = 64 * 1024 * 1024;

/// A store that others may use too. Its connections open and reopen by themselves; while there is
/// none, calls fail at once. Dropping it ends the connections and the tasks behind them.
pub(super) struct Dragonfly {
    links: Vec<Arc<Link>>,
    turn: AtomicUsize,
    pending_values: Arc<Semaphore>,
    status: Arc<Status>,
    _connecting: JoinSet<()>,
}

impl Dragonfly {
    /// Begins to connect, and does not wait for it.
    pub(super) fn open(
        url: &StoreUrl,
        access: &Access,
        timeout: Duration,
    ) -> Result<Self, BuildError> {
        if timeout.is_zero() {
            return Err(BuildError::Timeout);
        }
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let target = Arc::new(Target::new(url, access)?);
        let status = Arc::new(Status::new(&target));
        let links: Vec<_> = (0..LINKS).map(|_| Arc::new(Link::new())).collect();
        let mut connecting = JoinSet::new();
        for link in &links {
            let task =
                Arc::clone(link).keep_open(Arc::clone(&target), timeout, Arc::clone(&status));
            connecting.spawn_on(task, &runtime);
        }
        Ok(Self {
            links,
            turn: AtomicUsize::new(0),
            pending_values: Arc::new(Semaphore::new(PENDING_VALUES)),
            status,
            _connecting: connecting,
        })
    }

    /// A place on the next open connection that has one.
    fn slot(&self) -> Result<Slot<'_>, CacheError> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % LINKS;
        let mut failure = CacheError::Unavailable;
        for link in self.links.iter().cycle().skip(first).take(LINKS) {
            match link.slot() {
                Ok(slot) => return Ok(slot),
                Err(CacheError::Busy) => failure = CacheError::Busy,
                Err(_) => {}
            }
        }
        Err(failure)
    }

    fn pending(&self, value: Bytes) -> Result<Bytes, CacheError> {
        let size = u32::try_from(value.len()).map_err(|_| CacheError::ValueSize)?;
        let permit = Arc::clone(&self.pending_values)
            .try_acquire_many_owned(size)
            .map_err(|_| CacheError::Busy)?;
        Ok(charged(value, permit))
    }

    fn failed(&self, link: &Link, error: &Error) -> CacheError {
        let failure = classify(error);
        match failure {
            CacheError::Timeout => link.suspect(),
            CacheError::Refused => {
                self.status.refused(error.details());
                if error.details().starts_with("READONLY") {
                    link.demote();
                }
            }
            _ => {}
        }
        failure
    }
}

#[async_trait]
impl Store for Dragonfly {
    async fn get(&self, key: Key<'_>) -> Result<Option<Bytes>, CacheError> {
        let slot = self.slot()?;
        let name = charged(key.stored(), slot.permit);
        match slot.client.get::<Option<Bytes>, _>(name).await {
            Ok(Some(value)) if value.len() > MAX_VALUE_SIZE => Err(CacheError::ValueSize),
            Ok(value) => Ok(value),
            Err(error) => Err(self.failed(slot.link, &error)),
        }
    }

    async fn set(&self, key: Key<'_>, value: Bytes, ttl: Duration) -> Result<(), CacheError> {
        let slot = self.slot()?;
        let name = charged(key.stored(), slot.permit);
        let value = self.pending(value)?;
        let seconds = i64::try_from(ttl.as_secs()).map_err(|_| CacheError::Ttl)?;
        slot.client
            .set::<(), _, _>(name, value, Some(Expiration::EX(seconds)), None, false)
            .await
            .map_err(|error| self.failed(slot.link, &error))
    }
}

/// Errors the store answered with are told from those of the connection by their first word.
fn classify(error: &Error) -> CacheError {
    match error.kind() {
        ErrorKind::Timeout => CacheError::Timeout,
        ErrorKind::Backpressure => CacheError::Busy,
        _ if is_answer(error.details()) => CacheError::Refused,
        _ => CacheError::Unavailable,
    }
}

fn is_answer(details: &str) -> bool {
    let word = details.split(' ').next().unwrap_or_default();
    word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_broken_connections() {
        for (kind, details, expected) in [
            (
                ErrorKind::Timeout,
                "Request timed out.",
                CacheError::Timeout,
            ),
            (
                ErrorKind::Unknown,
                "OOM command not allowed",
                CacheError::Refused,
            ),
            (
                ErrorKind::Auth,
                "NOAUTH Authentication required.",
                CacheError::Refused,
            ),
            (
                ErrorKind::Unknown,
                "channel closed",
                CacheError::Unavailable,
            ),
            (ErrorKind::IO, "Connection closed.", CacheError::Unavailable),
            (ErrorKind::Canceled, "Canceled.", CacheError::Unavailable),
            (
                ErrorKind::Backpressure,
                "Max command queue length exceeded.",
                CacheError::Busy,
            ),
        ] {
            assert_eq!(classify(&Error::new(kind, details)), expected, "{details}");
        }
    }
}
