//! The entries of one namespace of the in-process store.

use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use lru::LruCache;

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

/// A value, and when it ends.
pub(super) struct Entry {
    pub(super) value: Bytes,
    pub(super) expires: Instant,
}

// === impl Entry ===

impl Entry {
    /// What the entry takes under `key`, in bytes.
    pub(super) fn weight(&self, key: &[u8]) -> u64 {
        (key.len() + self.value.len()) as u64 + ENTRY_OVERHEAD
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

    pub(super) fn find(&self, key: &[u8], now: Instant) -> Option<Bytes> {
        let mut entries = self.lock();
        let entry = entries.get(key)?;
        if entry.expires > now {
            return Some(entry.value.clone());
        }
        if let Some(entry) = entries.pop(key) {
            self.subtract(entry.weight(key));
        }
        None
    }

    /// Keeps an entry that fits, at the price of expired ones and then of the coldest.
    pub(super) fn keep(&self, key: &[u8], entry: Entry, now: Instant) {
        let mut entries = self.lock();
        self.add(entry.weight(key));
        if let Some(replaced) = entries.put(key.into(), entry) {
            self.subtract(replaced.weight(key));
        }
        while self.weight() > self.capacity || coldest_expired(&entries, now) {
            self.pop_coldest(&mut entries);
        }
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
