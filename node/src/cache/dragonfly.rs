//! The store outside the process: DragonflyDB or Redis, over a few connections that are shared by
//! all calls. Only commands that both have are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fred::error::{Error, ErrorKind};
use fred::interfaces::KeysInterface;
use fred::types::Expiration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::try_join;

use super::access::Access;
use super::store::{Found, Store};
use super::{Answer, Argument, BuildError, CacheError, Key, MAX_VALUE_SIZE, Rate, StoreUrl};

mod backoff;
mod counting;
mod link;
mod script;
mod status;
mod target;

use backoff::Pace;
use counting::Counting;
use link::{LOOKS, Link, Slot, charged};
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
    counting: Counting,
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
        let looks = Arc::new(Pace::new(LOOKS / LINKS as u32));
        let link = |_| Arc::new(Link::new(Arc::clone(&looks)));
        let links: Vec<_> = (0..LINKS).map(link).collect();
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
            counting: Counting::new(timeout),
            _connecting: connecting,
        })
    }

    /// Places for so many calls on the next open connection that has them.
    fn slot(&self, calls: u32) -> Result<Slot<'_>, CacheError> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % LINKS;
        let mut failure = CacheError::Unavailable;
        for link in self.links.iter().cycle().skip(first).take(LINKS) {
            match link.slot(calls) {
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
            // What holds up one connection mostly holds up all.
            CacheError::Timeout => self.links.iter().for_each(|link| link.suspect()),
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

impl Store for Dragonfly {
    fn get(&self, key: Key<'_>) -> Answer<'_, Option<Bytes>> {
        let name = key.stored();
        Answer::later(async move {
            let slot = self.slot(1)?;
            let name = charged(name, slot.permit);
            match slot.client.get(name).await {
                Ok(value) => own(value),
                Err(error) => Err(self.failed(slot.link, &error)),
            }
        })
    }

    /// Two commands, but one round trip: both are sent before either is answered.
    fn find(&self, key: Key<'_>) -> Answer<'_, Option<Found>> {
        let name = key.stored();
        Answer::later(async move {
            let slot = self.slot(2)?;
            let name = charged(name, slot.permit);
            let value = slot.client.get(name.clone());
            let left = slot.client.pttl(name);
            let (value, left) =
                try_join!(value, left).map_err(|error| self.failed(slot.link, &error))?;
            let value = own(value)?;
            Ok(value.map(|value| Found {
                value,
                left: remaining(left),
            }))
        })
    }

    fn set(&self, key: Key<'_>, value: Bytes, ttl: Duration) -> Answer<'_, ()> {
        let name = key.stored();
        Answer::later(async move {
            let slot = self.slot(1)?;
            let name = charged(name, slot.permit);
            let value = self.pending(value)?;
            let seconds = i64::try_from(ttl.as_secs()).map_err(|_| Argument::Ttl)?;
            slot.client
                .set::<(), _, _>(name, value, Some(Expiration::EX(seconds)), None, false)
                .await
                .map_err(|error| self.failed(slot.link, &error))
        })
    }

    fn delete(&self, key: Key<'_>) -> Answer<'_, bool> {
        let name = key.stored();
        Answer::later(async move {
            let slot = self.slot(1)?;
            let name = charged(name, slot.permit);
            let removed: Result<u64, _> = slot.client.del(name).await;
            match removed {
                Ok(count) => Ok(count > 0),
                Err(error) => Err(self.failed(slot.link, &error)),
            }
        })
    }

    fn increment(&self, key: Key<'_>, delta: i64, ttl: Duration) -> Answer<'_, i64> {
        let name = key.stored();
        Answer::later(async move {
            let slot = self.slot(1)?;
            let name = charged(name, slot.permit);
            let ran = self.counting.increment(&slot.client, name, delta, ttl);
            match ran.await {
                Ok(sum) => counting::sum(&sum),
                Err(error) => Err(self.failed(slot.link, &error)),
            }
        })
    }

    fn rate_limit(&self, key: Key<'_>, rate: Rate) -> Answer<'_, Option<Duration>> {
        let name = key.stored();
        Answer::later(async move {
            let slot = self.slot(1)?;
            let name = charged(name, slot.permit);
            match self.counting.rate_limit(&slot.client, name, rate).await {
                Ok(early) => counting::wait(&early),
                Err(error) => Err(self.failed(slot.link, &error)),
            }
        })
    }
}

/// The value in memory of its own: the client hands out slices of what it read at once, and
/// whoever keeps a byte of that keeps all of it.
fn own(value: Option<Bytes>) -> Result<Option<Bytes>, CacheError> {
    match value {
        Some(value) if value.len() > MAX_VALUE_SIZE => Err(CacheError::ValueSize),
        value => Ok(value.as_deref().map(Bytes::copy_from_slice)),
    }
}

/// The store's milliseconds: -1 is no lifetime, -2 is an entry that has ended meanwhile.
fn remaining(millis: i64) -> Option<Duration> {
    match millis {
        -1 => None,
        millis => Some(Duration::from_millis(millis.try_into().unwrap_or_default())),
    }
}

/// Errors the store answered with are told from those of the connection by their first word.
fn classify(error: &Error) -> CacheError {
    match error.kind() {
        ErrorKind::Timeout => CacheError::Timeout,
        ErrorKind::Backpressure => CacheError::Busy,
        _ if let Some(mistake) = counting::mistake(error.details()) => mistake,
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
