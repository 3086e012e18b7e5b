//! The entries of one namespace of the in-process store.

use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use lru::LruCache;

use crate::cache::CacheError;
use crate::cache::rate::Pace;

/// What an entry takes beside its key and value: list node, table slot, allocations. In bytes,
/// rounded up, so that a capacity bounds memory also when it is full of tiny entries.
const ENTRY_OVERHEAD: u64 = 224;

/// Guests choose the keys, so the hash is one whose collisions they cannot foresee.
type Entries = LruCache<Box<[u8]>, Entry, RandomState>;

/// Entries in order of use. Their weight never exceeds the capacity.
pub(super) struct Shelf {
    entries: Mutex<Entries>,
    capacity: u64,
    weight: AtomicU64,
    /// The weight of all shelves of the store.
    total: Arc<AtomicU64>,
}

/// What a key holds, and when it ends.
pub(in crate::cache) struct Entry {
    pub(in crate::cache) content: Content,
    pub(in crate::cache) expires: Instant,
}

/// What a key can hold.
#[derive(Clone)]
pub(in crate::cache) enum Content {
    /// A value, which may be a counter.
    Value(Bytes),
    /// The state of a rate.
    Pace(Pace),
}

// === impl Entry ===

impl Entry {
    /// What the entry takes under `key`, in bytes.
    fn weight(&self, key: &[u8]) -> u64 {
        let content = match &self.content {
            Content::Value(value) => value.len(),
            Content::Pace(_) => 0, // no allocation of its own
        };
        (key.len() + content) as u64 + ENTRY_OVERHEAD
    }
}

// === impl Shelf ===

impl Shelf {
    pub(super) fn new(capacity: u64, total: Arc<AtomicU64>) -> Self {
        Self {
            entries: Mutex::new(LruCache::unbounded_with_hasher(RandomState::new())),
            capacity,
            weight: AtomicU64::new(0),
            total,
        }
    }

    pub(super) fn weight(&self) -> u64 {
        self.weight.load(Ordering::Relaxed)
    }

    /// What `read` makes of the entry of `key`.
    pub(super) fn find<T>(
        &self,
        key: &[u8],
        now: Instant,
        read: impl FnOnce(&Entry) -> T,
    ) -> Option<T> {
        let mut entries = self.lock();
        let entry = entries.get(key)?;
        if entry.expires > now {
            return Some(read(entry));
        }
        self.pop(&mut entries, key);
        None
    }

    /// Keeps an entry, at the price of expired ones and then of the coldest.
    ///
    /// # Errors
    ///
    /// When it could never fit.
    pub(super) fn keep(&self, key: &[u8], entry: Entry, now: Instant) -> Result<(), CacheError> {
        self.put(&mut self.lock(), key, entry, now)
    }

    /// Removes an entry; whether there was one.
    pub(super) fn remove(&self, key: &[u8], now: Instant) -> bool {
        let removed = self.pop(&mut self.lock(), key);
        removed.is_some_and(|entry| entry.expires > now)
    }

    /// Puts what `change` makes of an entry, or of its absence, in its place, with nobody between.
    /// When it makes nothing of it or fails, everything stays as it was.
    pub(super) fn change(
        &self,
        key: &[u8],
        now: Instant,
        change: impl FnOnce(Option<&Entry>) -> Result<Option<Entry>, CacheError>,
    ) -> Result<(), CacheError> {
        let mut entries = self.lock();
        let old = entries.get(key).filter(|entry| entry.expires > now);
        match change(old)? {
            Some(new) => self.put(&mut entries, key, new, now),
            None => Ok(()),
        }
    }

    fn put(
        &self,
        entries: &mut Entries,
        key: &[u8],
        entry: Entry,
        now: Instant,
    ) -> Result<(), CacheError> {
        if entry.weight(key) > self.capacity {
            return Err(CacheError::ValueSize);
        }
        self.add(entry.weight(key));
        if let Some(replaced) = entries.put(key.into(), entry) {
            self.subtract(replaced.weight(key));
        }
        while self.weight() > self.capacity || coldest_expired(entries, now) {
            self.pop_coldest(entries);
        }
        Ok(())
    }

    fn pop(&self, entries: &mut Entries, key: &[u8]) -> Option<Entry> {
        let entry = entries.pop(key)?;
        self.subtract(entry.weight(key));
        Some(entry)
    }

    /// Makes room for another shelf.
    pub(super) fn drop_coldest(&self) {
        self.pop_coldest(&mut self.lock());
    }

    fn pop_coldest(&self, entries: &mut Entries) {
        if let Some((key, entry)) = entries.pop_lru() {
            self.subtract(entry.weight(&key));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Both are called with the entries locked, so that nothing is subtracted before it was added.

    fn add(&self, weight: u64) {
        self.weight.fetch_add(weight, Ordering::Relaxed);
        self.total.fetch_add(weight, Ordering::Relaxed);
    }

    fn subtract(&self, weight: u64) {
        self.weight.fetch_sub(weight, Ordering::Relaxed);
        self.total.fetch_sub(weight, Ordering::Relaxed);
    }
}

fn coldest_expired(entries: &Entries, now: Instant) -> bool {
    entries
        .peek_lru()
        .is_some_and(|(_, entry)| entry.expires <= now)
}

#[cfg(test)]
impl Shelf {
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn counted(&self) -> u64 {
        let entries = self.lock();
        entries.iter().map(|(key, entry)| entry.weight(key)).sum()
    }
}
