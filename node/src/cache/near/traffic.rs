//! Who is reading and who is writing a key just now, so that no copy is kept, and no fetch joined,
//! that may be older than a write that is over.
//!
//! Copies are made and removed only while the traffic is locked. A write that ends removes the copy
//! and detaches the fetch under way: its answer goes to those that wait already, and to nobody else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{BoxFuture, Shared as Joined, WeakShared};

use super::Shared;
use crate::cache::{CacheError, Key, Namespace};

/// The answer of the store that everybody who asked meanwhile gets. Whoever waits for it drives it,
/// and it ends with the last of them.
type Answered = BoxFuture<'static, Result<Option<Bytes>, CacheError>>;

/// Keys that are being fetched or written, and no others.
#[derive(Default)]
pub(super) struct Traffic {
    lanes: Mutex<Lanes>,
    fetches: AtomicU64,
}

pub(super) type Lanes = HashMap<Name, Lane>;

/// A key that lives on its own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    namespace: Namespace,
    bytes: Bytes,
}

/// What goes on with one key.
#[derive(Default)]
pub(super) struct Lane {
    /// The fetch to be joined, and whose answer is to be kept.
    fetch: Option<Fetch>,
    writes: usize,
    /// Writes overlapped: which of them the store saw last is not known.
    mixed: bool,
}

/// A fetch that callers can join.
pub(super) struct Fetch {
    number: u64,
    began: Instant,
    answer: Option<WeakShared<Answered>>,
}

/// The fetch as the future that does it sees it; dropped before its end, nobody waits any longer.
pub(super) struct Fetching {
    shared: Arc<Shared>,
    name: Name,
    number: u64,
    began: Instant,
    ended: bool,
}

/// A write under way; dropped before its end, its outcome is unknown.
pub(super) struct Writing {
    shared: Arc<Shared>,
    name: Name,
    began: Instant,
    ended: bool,
}

// === impl Traffic ===

impl Traffic {
    pub(super) fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many keys there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}

// === impl Name ===

impl Name {
    pub(super) fn of(key: Key<'_>) -> Self {
        Self {
            namespace: key.namespace().clone(),
            bytes: Bytes::copy_from_slice(key.bytes()),
        }
    }

    pub(super) fn key(&self) -> Result<Key<'_>, CacheError> {
        Key::new(&self.namespace, &self.bytes)
    }
}

// === impl Lane ===

impl Lane {
    /// The fetch under way, if it began after `earliest`.
    pub(super) fn fetch_since(&self, earliest: Option<Instant>) -> Option<Joined<Answered>> {
        let fetch = self.fetch.as_ref()?;
        let recent = earliest.is_none_or(|earliest| fetch.began > earliest);
        fetch.answer.as_ref().filter(|_| recent)?.upgrade()
    }

    pub(super) fn begin(&mut self, fetch: Fetch) {
        self.fetch = Some(fetch);
    }

    fn is_idle(&self) -> bool {
        self.fetch.is_none() && self.writes == 0
    }
}

// === impl Fetch ===

impl Fetch {
    pub(super) fn new(number: u64, began: Instant, answer: &Joined<Answered>) -> Self {
        Self {
            number,
            began,
            answer: answer.downgrade(),
        }
    }
}

// === impl Fetching ===

impl Fetching {
    pub(super) fn new(shared: &Arc<Shared>, name: Name, began: Instant) -> Self {
        Self {
            shared: Arc::clone(shared),
            name,
            number: shared.traffic.fetches.fetch_add(1, Ordering::Relaxed),
            began,
            ended: false,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// Keeps the answer, unless somebody wrote meanwhile.
    pub(super) fn end(mut self, answer: Option<(Bytes, Duration)>) {
        self.leave(answer);
    }

    fn leave(&mut self, answer: Option<(Bytes, Duration)>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let mut lanes = self.shared.traffic.lock();
        let Some(lane) = lanes.get_mut(&self.name) else {
            return;
        };
        let mine = |fetch: &mut Fetch| fetch.number == self.number;
        if lane.fetch.take_if(mine).is_none() {
            return;
        }
        if lane.is_idle() {
            lanes.remove(&self.name);
        }
        if let (Some(answer), Ok(key)) = (answer, self.name.key()) {
            self.shared.keep(key, answer, self.began);
        }
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.leave(None);
    }
}

// === impl Writing ===

impl Writing {
    pub(super) fn new(shared: &Arc<Shared>, name: Name) -> Self {
        let mut lanes = shared.traffic.lock();
        let lane = lanes.entry(name.clone()).or_default();
        lane.mixed |= lane.writes > 0;
        lane.writes += 1;
        Self {
            shared: Arc::clone(shared),
            name,
            began: Instant::now(),
            ended: false,
        }
    }

    /// The store has answered. `written` is what it holds since, if that is known.
    pub(super) fn end(mut self, written: Option<(Bytes, Duration)>) {
        self.leave(written);
    }

    fn leave(&mut self, written: Option<(Bytes, Duration)>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let mut lanes = self.shared.traffic.lock();
        let (Some(lane), Ok(key)) = (lanes.get_mut(&self.name), self.name.key()) else {
            return;
        };
        self.shared.copies.remove(key, self.began);
        lane.fetch = None;
        lane.writes -= 1;
        if lane.writes > 0 {
            return;
        }
        let known = !lane.mixed;
        lanes.remove(&self.name);
        if let (Some(written), true) = (written, known) {
            self.shared.keep(key, written, self.began);
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.leave(None);
    }
}
