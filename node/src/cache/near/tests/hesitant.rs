//! Copies against a store that takes its time, from many callers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinSet, yield_now};

use super::HOUR;
use super::played::key;
use crate::cache::embedded::Embedded;
use crate::cache::near::{Name, Near};
use crate::cache::store::{Found, Store};
use crate::cache::{Answer, Key, NearSettings, Rate};

/// A store that takes its time before and after it does what it is asked.
struct Hesitant(Embedded);

impl Hesitant {
    fn slowly<'a, T: Send + 'a>(
        &'a self,
        key: Key<'_>,
        call: impl for<'k> FnOnce(&'a Embedded, Key<'k>) -> Answer<'a, T> + Send + 'a,
    ) -> Answer<'a, T> {
        let name = Name::of(key);
        Answer::later(async move {
            for _ in 0..fastrand::u8(..4) {
                yield_now().await;
            }
            let result = call(&self.0, name.key()?).await;
            for _ in 0..fastrand::u8(..4) {
                yield_now().await;
            }
            result
        })
    }
}

impl Store for Hesitant {
    fn get(&self, key: Key<'_>) -> Answer<'_, Option<Bytes>> {
        self.slowly(key, |store, key| store.get(key))
    }

    fn find(&self, key: Key<'_>) -> Answer<'_, Option<Found>> {
        self.slowly(key, |store, key| store.find(key))
    }

    fn set(&self, key: Key<'_>, value: Bytes, ttl: Duration) -> Answer<'_, ()> {
        self.slowly(key, move |store, key| store.set(key, value, ttl))
    }

    fn delete(&self, key: Key<'_>) -> Answer<'_, bool> {
        self.slowly(key, |store, key| store.delete(key))
    }

    fn increment(&self, key: Key<'_>, delta: i64, ttl: Duration) -> Answer<'_, i64> {
        self.slowly(key, move |store, key| {
            Store::increment(store, key, delta, ttl)
        })
    }

    fn rate_limit(&self, key: Key<'_>, rate: Rate) -> Answer<'_, Option<Duration>> {
        self.slowly(key, move |store, key| Store::rate_limit(store, key, rate))
    }
}

/// Copies come and go at their quickest, while one caller counts up by all kinds of writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_gets_what_is_older_than_a_write_that_is_over() {
    let settings = NearSettings {
        capacity: 10_000,
        ttl: Duration::from_micros(200),
    };
    let store = Arc::new(Hesitant(Embedded::new(10_000, 10_000)));
    let near = Arc::new(Near::new(store, &settings));
    let over = Arc::new(AtomicU64::new(0));
    let mut readers = JoinSet::new();
    for _ in 0..6 {
        let (near, over) = (Arc::clone(&near), Arc::clone(&over));
        readers.spawn(async move {
            let namespace = "n".parse().unwrap();
            loop {
                let least = over.load(Ordering::SeqCst);
                let got = near.get(key(&namespace)).await.unwrap();
                let got: u64 = got.map_or(0, |text| {
                    std::str::from_utf8(&text).unwrap().parse().unwrap()
                });
                assert!(got >= least, "{got} after {least} was over");
                if least == 2_000 {
                    return;
                }
                yield_now().await;
            }
        });
    }
    let namespace = "n".parse().unwrap();
    for number in 1..=2_000_u64 {
        let key = key(&namespace);
        if number % 3 == 0 {
            near.increment(key, 1, HOUR).await.unwrap();
        } else {
            let text = number.to_string();
            near.set(key, text.into(), HOUR).await.unwrap();
        }
        over.store(number, Ordering::SeqCst);
    }
    readers.join_all().await;
    assert_eq!(near.shared.traffic.len(), 0);
}
