//! A copy of hot entries in this process, in front of a store outside: a hit never waits, and what
//! it answers was the store's answer at some moment of the last `ttl`.
//!
//! Only values are copied. That a key is absent is asked anew each time, so one that appears is
//! seen at once, and askers for random keys push nothing out. Failures are not kept either.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;

use super::embedded::{Content, Embedded, Entry};
use super::store::{Found, Store};
use super::{Answer, CacheError, Key, NearSettings, Rate};

#[cfg(test)]
mod tests;
mod traffic;

use traffic::{Fetch, Fetching, Name, Traffic, Writing};

/// A store and copies of what it holds.
pub(super) struct Near {
    shared: Arc<Shared>,
}

/// What fetches share with the callers that wait for them, and may outlive.
struct Shared {
    store: Arc<dyn Store>,
    copies: Embedded,
    traffic: Traffic,
    ttl: Duration,
}

// === impl Near ===

impl Near {
    pub(super) fn new(store: Arc<dyn Store>, settings: &NearSettings) -> Self {
        let NearSettings { capacity, ttl } = *settings;
        Self {
            shared: Arc::new(Shared {
                store,
                copies: Embedded::new(capacity, capacity),
                traffic: Traffic::default(),
                ttl,
            }),
        }
    }

    /// A call that may change `key` in the store: afterwards nobody is answered with a copy from
    /// before. `copy` tells what of its result is a copy of what the store now holds.
    fn write<'a, T: Send + 'a>(
        &'a self,
        key: Key<'_>,
        call: impl FnOnce(&'a dyn Store) -> Answer<'a, T>,
        copy: impl FnOnce(&T) -> Option<(Bytes, Duration)> + Send + 'a,
    ) -> Answer<'a, T> {
        let writing = self.shared.begin_write(key);
        let answer = call(&*self.shared.store);
        Answer::later(async move {
            let result = answer.await;
            writing.end(result.as_ref().ok().and_then(copy));
            result
        })
    }
}

impl Store for Near {
    fn get(&self, key: Key<'_>) -> Answer<'_, Option<Bytes>> {
        match self.shared.copy(key) {
            Some(value) => Answer::now(Ok(Some(value))),
            None => Shared::fetch(&self.shared, key),
        }
    }

    fn find(&self, key: Key<'_>) -> Answer<'_, Option<Found>> {
        self.shared.store.find(key)
    }

    fn set(&self, key: Key<'_>, value: Bytes, ttl: Duration) -> Answer<'_, ()> {
        let copy = value.clone();
        self.write(
            key,
            |store| store.set(key, value, ttl),
            move |()| Some((copy, ttl)),
        )
    }

    fn delete(&self, key: Key<'_>) -> Answer<'_, bool> {
        self.write(key, |store| store.delete(key), |_| None)
    }

    /// The sum is not kept: how long it has left is not known.
    fn increment(&self, key: Key<'_>, delta: i64, ttl: Duration) -> Answer<'_, i64> {
        self.write(key, |store| store.increment(key, delta, ttl), |_| None)
    }

    fn rate_limit(&self, key: Key<'_>, rate: Rate) -> Answer<'_, Option<Duration>> {
        self.write(key, |store| store.rate_limit(key, rate), |_| None)
    }
}

// === impl Shared ===

impl Shared {
    fn copy(&self, key: Key<'_>) -> Option<Bytes> {
        self.copies.value(key, Instant::now()).ok().flatten()
    }

    /// Asks the store, or joins somebody who is doing so.
    fn fetch<'a>(shared: &Arc<Self>, key: Key<'_>) -> Answer<'a, Option<Bytes>> {
        let name = Name::of(key);
        let mut lanes = shared.traffic.lock();
        // Perhaps a fetch has just ended.
        if let Some(value) = shared.copy(key) {
            return Answer::now(Ok(Some(value)));
        }
        let lane = lanes.entry(name.clone()).or_default();
        let now = Instant::now();
        // One that is older than a copy may be would answer with something as old.
        if let Some(fetch) = lane.fetch_since(now.checked_sub(shared.ttl)) {
            return Answer::Later(fetch.boxed());
        }
        let fetching = Fetching::new(shared, name, now);
        let number = fetching.number();
        let fetch = Self::ask(Arc::clone(shared), fetching).boxed().shared();
        lane.begin(Fetch::new(number, now, &fetch));
        Answer::Later(fetch.boxed())
    }

    async fn ask(self: Arc<Self>, fetching: Fetching) -> Result<Option<Bytes>, CacheError> {
        let found = self.store.find(fetching.name().key()?).await;
        let value = found.map(|found| {
            found.map(|Found { value, left }| {
                let ttl = left.map_or(self.ttl, |left| left.min(self.ttl));
                (value, ttl)
            })
        });
        let copy = value.as_ref().ok().cloned().flatten();
        fetching.end(copy);
        value.map(|found| found.map(|(value, _)| value))
    }

    fn begin_write(self: &Arc<Self>, key: Key<'_>) -> Writing {
        Writing::new(self, Name::of(key))
    }

    /// Keeps a copy of what the store held at `since` or later, and holds for `ttl` from then on.
    fn keep(&self, key: Key<'_>, (value, ttl): (Bytes, Duration), since: Instant) {
        let now = Instant::now();
        let expires = since + ttl.min(self.ttl);
        if expires > now {
            let content = Content::Value(value);
            // A value larger than all copies together is fetched each time.
            self.copies.keep(key, Entry { content, expires }, now).ok();
        }
    }
}
