//! Lifetimes, bounds and fair shares, on a clock that stands still until a test moves it.

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
            content: Content::Value(vec![b'v'; size].into()),
            expires: self.now + ttl,
        };
        let key = Key::new(&namespace, key.as_bytes()).unwrap();
        self.store.keep(key, entry, self.now)
    }

    fn has(&self, namespace: &str, key: &str) -> bool {
        let namespace = namespace.parse().unwrap();
        let key = Key::new(&namespace, key.as_bytes()).unwrap();
        self.store.value(key, self.now).unwrap().is_some()
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
fn counters_and_rates_count_like_values() {
    let world = World::new(100_000, 3_000);
    let namespace = "n".parse().unwrap();
    let rate = Rate::new(1, HOUR).unwrap();
    world.set("other", "k", 100).unwrap();
    for index in 0..100 {
        let (counter, held) = (format!("c{index}"), format!("r{index}"));
        let key = Key::new(&namespace, counter.as_bytes()).unwrap();
        world.store.increment(key, 1, HOUR, world.now).unwrap();
        let key = Key::new(&namespace, held.as_bytes()).unwrap();
        world.store.rate_limit(key, rate, world.now).unwrap();
        assert!(world.counted().iter().all(|weight| *weight <= 3_000));
    }
    assert_eq!(world.weight(), world.counted().iter().sum::<u64>());
    assert!(world.has("n", "c99") && !world.has("n", "c0"));
    assert!(world.has("other", "k"), "another namespace paid for it");
}

#[test]
fn a_counter_and_a_rate_that_could_never_fit_are_refused() {
    let world = World::new(10_000, 200);
    let namespace = "n".parse().unwrap();
    let key = Key::new(&namespace, b"k").unwrap();
    let sum = world.store.increment(key, 1, HOUR, world.now);
    assert_eq!(sum, Err(CacheError::ValueSize));
    let rate = Rate::new(1, HOUR).unwrap();
    let held = world.store.rate_limit(key, rate, world.now);
    assert_eq!(held, Err(CacheError::ValueSize));
    assert_eq!(world.weight(), 0);
}

#[test]
fn a_rate_is_kept_for_as_long_as_it_matters() {
    let mut world = World::new(10_000, 10_000);
    let namespace = "n".parse().unwrap();
    let key = Key::new(&namespace, b"k").unwrap();
    let rate = Rate::new(2, Duration::from_secs(2)).unwrap();
    let mut ask = |seconds: u64| {
        world.now = world.store.began + Duration::from_secs(seconds);
        world.store.rate_limit(key, rate, world.now).unwrap()
    };
    assert_eq!([ask(0), ask(0), ask(1)], [None; 3]);
    assert_eq!(ask(1), Some(Duration::from_secs(1)));
    world.now += Duration::from_secs(2) + Duration::from_micros(1);
    world.set("n", "other", 1).unwrap();
    let shelf = world.store.shelf(&namespace).unwrap();
    assert_eq!(shelf.len(), 1, "what has ended is swept out");
}

#[test]
fn deleting_gives_room_back_and_what_has_ended_is_not_there() {
    let mut world = World::new(10_000, 10_000);
    let namespace = "n".parse().unwrap();
    let key = Key::new(&namespace, b"k").unwrap();
    world.set("n", "k", 100).unwrap();
    assert!(world.store.remove(key, world.now));
    assert_eq!(world.weight(), 0);
    world.set("n", "k", 100).unwrap();
    world.now += HOUR;
    assert!(!world.store.remove(key, world.now));
    assert_eq!(world.weight(), 0);
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
