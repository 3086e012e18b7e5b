//! The in-process store: every namespace keeps its own entries, least recently used first to go.
//! When all together hold too much, the namespace that holds most gives way, so a flood in one
//! never costs another its entries while that other stays within its fair share of the capacity.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;

use super::{CacheError, Key, Namespace, Store};

mod shelf;

use shelf::{Entry, Shelf};

/// A store in this process's memory. It never waits, and its time is the monotonic clock.
///
/// Namespaces come from the configuration, so their number is bounded by it.
pub(super) struct Embedded {
    capacity: u64,
    namespace_capacity: u64,
    shelves: RwLock<HashMap<Namespace, Arc<Shelf>>>,
    /// The weight of all shelves, in bytes; they keep it themselves.
    weight: Arc<AtomicU64>,
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
        }
    }

    fn find(&self, key: Key<'_>, now: Instant) -> Option<Bytes> {
        self.shelf(key.namespace())?.find(key.bytes(), now)
    }

    fn keep(&self, key: Key<'_>, entry: Entry, now: Instant) -> Result<(), CacheError> {
        if entry.weight(key.bytes()) > self.namespace_capacity {
            return Err(CacheError::ValueSize);
        }
        self.shelf_or_new(key.namespace())
            .keep(key.bytes(), entry, now);
        self.make_room();
        Ok(())
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

#[async_trait]
impl Store for Embedded {
    async fn get(&self, key: Key<'_>) -> Result<Option<Bytes>, CacheError> {
        Ok(self.find(key, Instant::now()))
    }

    async fn set(&self, key: Key<'_>, value: Bytes, ttl: Duration) -> Result<(), CacheError> {
        let now = Instant::now();
        let expires = now + ttl;
        self.keep(key, Entry { value, expires }, now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A store, and a clock that stands still until a test moves it.
    struct World {
        store: Embedded,
        now: Instant,
    }

    impl World {
        fn new(capacity: u64, namespace_capacity: u64) -> Self {
            Self {
                store: Embedded::new(capacity, namespace_capacity),
                now: Instant::now(),
            }
        }

        fn set(&self, namespace: &str, key: &str, size: usize) -> Result<(), CacheError> {
            self.set_for(namespace, key, size, HOUR)
        }

        fn set_for(
            &self,
            namespace: &str,
            key: &str,
            size: usize,
            ttl: Duration,
        ) -> Result<(), CacheError> {
            let namespace = namespace.parse().unwrap();
            let entry = Entry {
                value: vec![b'v'; size].into(),
                expires: self.now + ttl,
            };
            let key = Key::new(&namespace, key.as_bytes()).unwrap();
            self.store.keep(key, entry, self.now)
        }

        fn has(&self, namespace: &str, key: &str) -> bool {
            let namespace = namespace.parse().unwrap();
            let key = Key::new(&namespace, key.as_bytes()).unwrap();
            self.store.find(key, self.now).is_some()
        }

        fn weight(&self) -> u64 {
            self.store.weight.load(Ordering::Relaxed)
        }

        /// What the shelves really hold, counted entry by entry.
        fn counted(&self) -> Vec<u64> {
            let shelves = self.store.shelves.read().unwrap();
            shelves.values().map(|shelf| shelf.counted()).collect()
        }
    }

    #[test]
    fn an_entry_lives_as_long_as_its_ttl() {
        let mut world = World::new(10_000, 10_000);
        world.set_for("n", "k", 1, Duration::from_secs(10)).unwrap();
        world.now += Duration::from_secs(10) - Duration::from_nanos(1);
        assert!(world.has("n", "k"));
        world.now += Duration::from_nanos(1);
        assert!(!world.has("n", "k"));
        assert_eq!(world.weight(), 0);
    }

    #[test]
    fn setting_again_replaces_value_and_ttl() {
        let mut world = World::new(10_000, 10_000);
        world.set_for("n", "k", 99, Duration::from_secs(1)).unwrap();
        world.set_for("n", "k", 1, HOUR).unwrap();
        world.now += Duration::from_secs(1);
        assert!(world.has("n", "k"));
        assert_eq!(vec![world.weight()], world.counted());
    }

    #[test]
    fn a_full_namespace_drops_what_was_used_least_recently() {
        let world = World::new(10_000, 3_000);
        for key in ["a", "b"] {
            world.set("n", key, 1_000).unwrap();
        }
        assert!(world.has("n", "a"));
        world.set("n", "c", 1_000).unwrap();
        assert!(!world.has("n", "b"));
        assert!(world.has("n", "a") && world.has("n", "c"));
    }

    #[test]
    fn a_set_sweeps_out_what_has_expired() {
        let mut world = World::new(10_000, 10_000);
        for key in ["a", "b", "c"] {
            world.set_for("n", key, 9, Duration::from_secs(1)).unwrap();
        }
        world.now += Duration::from_secs(1);
        world.set("n", "d", 9).unwrap();
        assert_eq!(world.store.shelf(&"n".parse().unwrap()).unwrap().len(), 1);
    }

    #[test]
    fn what_could_never_fit_is_refused_and_costs_nothing() {
        let world = World::new(10_000, 3_000);
        world.set("n", "k", 1).unwrap();
        assert_eq!(world.set("n", "k", 3_000), Err(CacheError::ValueSize));
        assert!(world.has("n", "k"));
    }

    #[test]
    fn a_flood_in_one_namespace_leaves_the_others_alone() {
        let world = World::new(64 << 20, 16 << 20);
        for index in 0..1_000 {
            world.set("b", &format!("k{index}"), 100).unwrap();
        }
        for index in 0..100_000 {
            world.set("a", &format!("k{index}"), 1_000).unwrap();
        }
        assert!((0..1_000).all(|index| world.has("b", &format!("k{index}"))));
        assert!(!world.has("a", "k0"), "the flood did not overflow");
        assert!(world.store.shelf(&"a".parse().unwrap()).unwrap().weight() <= 16 << 20);
    }

    #[test]
    fn concurrent_use_keeps_the_books() {
        let world = World::new(20_000, 10_000);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let world = &world;
                scope.spawn(move || {
                    for index in 0..5_000 {
                        let namespace = format!("n{}", (index + thread) % 3);
                        let key = format!("k{}", index % 40);
                        world.set(&namespace, &key, index % 700).unwrap();
                        world.has(&namespace, &key);
                    }
                });
            }
        });
        assert_eq!(world.weight(), world.counted().iter().sum::<u64>());
        assert!(world.weight() <= 20_000);
    }

    proptest! {
        #[test]
        fn both_bounds_hold_and_a_fair_share_is_safe(
            sets in proptest::collection::vec((0..3_u8, 0..30_u8, 0..900_usize), 1..200),
        ) {
            // Four namespaces, so a fair share is 2,500 bytes: the quiet one holds less.
            let world = World::new(10_000, 6_000);
            for key in ["a", "b"] {
                world.set("quiet", key, 800).unwrap();
            }
            for (namespace, key, size) in sets {
                world.set(&format!("n{namespace}"), &format!("k{key}"), size).unwrap();
                let counted = world.counted();
                prop_assert_eq!(world.weight(), counted.iter().sum::<u64>());
                prop_assert!(world.weight() <= 10_000);
                prop_assert!(counted.iter().all(|weight| *weight <= 6_000));
            }
            prop_assert!(world.has("quiet", "a") && world.has("quiet", "b"));
        }
    }
}
