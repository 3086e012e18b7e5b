//! The in-process store: every namespace keeps its own entries, least recently used first to go.
//! When all together hold too much, the namespace that holds most gives way, so a flood in one
//! never costs another its entries while that other stays within its fair share of the capacity.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::counter::{in_range, increased};
use super::rate::Pace;
use super::store::{Found, Store};
use super::{Answer, CacheError, Key, Namespace, Rate};

mod shelf;
#[cfg(test)]
mod tests;

use shelf::Shelf;
pub(super) use shelf::{Content, Entry};

/// A store in this process's memory. It never waits, and its time is the monotonic clock.
///
/// Namespaces come from the configuration, so their number is bounded by it.
pub(super) struct Embedded {
    capacity: u64,
    namespace_capacity: u64,
    shelves: RwLock<HashMap<Namespace, Arc<Shelf>>>,
    /// The weight of all shelves, in bytes; they keep it themselves.
    weight: Arc<AtomicU64>,
    /// When the clock of rates began.
    began: Instant,
}

impl Embedded {
    /// A store of at most `capacity` bytes, of which one namespace may take `namespace_capacity`.
    /// While sets are under way it may hold one more value for each of them.
    pub(super) fn new(capacity: u64, namespace_capacity: u64) -> Self {
        Self {
            capacity,
            namespace_capacity: namespace_capacity.min(capacity),
            shelves: RwLock::default(),
            weight: Arc::default(),
            began: Instant::now(),
        }
    }

    /// The value of `key`, if it holds one.
    pub(super) fn value(&self, key: Key<'_>, now: Instant) -> Result<Option<Bytes>, CacheError> {
        self.read(key, now, |entry| value_of(entry).cloned())
    }

    pub(super) fn keep(&self, key: Key<'_>, entry: Entry, now: Instant) -> Result<(), CacheError> {
        let shelf = self.shelf_or_new(key.namespace());
        shelf.keep(key.bytes(), entry, now)?;
        self.make_room();
        Ok(())
    }

    pub(super) fn remove(&self, key: Key<'_>, now: Instant) -> bool {
        let shelf = self.shelf(key.namespace());
        shelf.is_some_and(|shelf| shelf.remove(key.bytes(), now))
    }

    fn increment(
        &self,
        key: Key<'_>,
        delta: i64,
        ttl: Duration,
        now: Instant,
    ) -> Result<i64, CacheError> {
        let mut sum = 0;
        self.change(key, now, |old| {
            sum = match old {
                Some(entry) => increased(value_of(entry)?, delta)?,
                None => in_range(Some(delta))?,
            };
            Ok(Some(Entry {
                content: Content::Value(sum.to_string().into()),
                expires: old.map_or(now + ttl, |entry| entry.expires),
            }))
        })?;
        Ok(sum)
    }

    fn rate_limit(
        &self,
        key: Key<'_>,
        rate: Rate,
        now: Instant,
    ) -> Result<Option<Duration>, CacheError> {
        let since = now.saturating_duration_since(self.began);
        let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX / 2);
        let mut wait = None;
        self.change(key, now, |old| {
            let pace = old.map(pace_of).transpose()?;
            match rate.allow(pace, micros) {
                Ok(pace) => Ok(Some(Entry {
                    expires: self.began + Duration::from_micros(pace.whole_micros()),
                    content: Content::Pace(pace),
                })),
                Err(early) => {
                    wait = Some(early);
                    Ok(None)
                }
            }
        })?;
        Ok(wait)
    }

    fn change(
        &self,
        key: Key<'_>,
        now: Instant,
        change: impl FnOnce(Option<&Entry>) -> Result<Option<Entry>, CacheError>,
    ) -> Result<(), CacheError> {
        let shelf = self.shelf_or_new(key.namespace());
        shelf.change(key.bytes(), now, change)?;
        self.make_room();
        Ok(())
    }

    fn read<T>(
        &self,
        key: Key<'_>,
        now: Instant,
        read: impl FnOnce(&Entry) -> Result<T, CacheError>,
    ) -> Result<Option<T>, CacheError> {
        let shelf = self.shelf(key.namespace());
        let found = shelf.and_then(|shelf| shelf.find(key.bytes(), now, read));
        found.transpose()
    }

    fn make_room(&self) {
        while self.weight.load(Ordering::Relaxed) > self.capacity {
            let Some(shelf) = self.heaviest() else { return };
            shelf.drop_coldest();
        }
    }

    fn heaviest(&self) -> Option<Arc<Shelf>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let heaviest = shelves.values().max_by_key(|shelf| shelf.weight());
        heaviest.filter(|shelf| shelf.weight() > 0).cloned()
    }

    fn shelf(&self, namespace: &Namespace) -> Option<Arc<Shelf>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.get(namespace).cloned()
    }

    fn shelf_or_new(&self, namespace: &Namespace) -> Arc<Shelf> {
        self.shelf(namespace).unwrap_or_else(|| {
            let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
            let new = || {
                Arc::new(Shelf::new(
                    self.namespace_capacity,
                    Arc::clone(&self.weight),
                ))
            };
            Arc::clone(shelves.entry(namespace.clone()).or_insert_with(new))
        })
    }
}

impl Store for Embedded {
    fn get(&self, key: Key<'_>) -> Answer<'_, Option<Bytes>> {
        Answer::now(self.value(key, Instant::now()))
    }

    fn find(&self, key: Key<'_>) -> Answer<'_, Option<Found>> {
        let now = Instant::now();
        let found = self.read(key, now, |entry| {
            Ok(Found {
                value: value_of(entry)?.clone(),
                left: Some(entry.expires.saturating_duration_since(now)),
            })
        });
        Answer::now(found)
    }

    fn set(&self, key: Key<'_>, value: Bytes, ttl: Duration) -> Answer<'_, ()> {
        let now = Instant::now();
        let entry = Entry {
            content: Content::Value(value),
            expires: now + ttl,
        };
        Answer::now(self.keep(key, entry, now))
    }

    fn delete(&self, key: Key<'_>) -> Answer<'_, bool> {
        Answer::now(Ok(self.remove(key, Instant::now())))
    }

    fn increment(&self, key: Key<'_>, delta: i64, ttl: Duration) -> Answer<'_, i64> {
        Answer::now(self.increment(key, delta, ttl, Instant::now()))
    }

    fn rate_limit(&self, key: Key<'_>, rate: Rate) -> Answer<'_, Option<Duration>> {
        Answer::now(self.rate_limit(key, rate, Instant::now()))
    }
}

fn value_of(entry: &Entry) -> Result<&Bytes, CacheError> {
    match &entry.content {
        Content::Value(value) => Ok(value),
        Content::Pace(_) => Err(CacheError::Kind),
    }
}

fn pace_of(entry: &Entry) -> Result<Pace, CacheError> {
    match entry.content {
        Content::Pace(pace) => Ok(pace),
        Content::Value(_) => Err(CacheError::Kind),
    }
}

#[cfg(test)]
impl Embedded {
    pub(super) fn weight(&self) -> u64 {
        self.weight.load(Ordering::Relaxed)
    }
}
