//! Copies, and who may get which.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::yield_now;

use super::*;

mod hesitant;
mod played;

use played::{Asked, World, found, value};

const HOUR: Duration = Duration::from_secs(60 * 60);
const ABSENT: Result<Option<Found>, CacheError> = Ok(None);

#[tokio::test]
async fn what_was_fetched_is_answered_at_once() {
    let mut world = World::new(HOUR);
    assert_eq!(world.fetch_as(found("v")).await, value("v"));
    assert_eq!(world.copy(), Some("v".into()));
    world.assert_quiet();
}

#[tokio::test]
async fn concurrent_misses_share_one_fetch() {
    let mut world = World::new(HOUR);
    let mut gets = Vec::new();
    for _ in 0..100 {
        gets.push(world.get().await);
    }
    world.fetch().send(found("v")).unwrap();
    for get in gets {
        assert_eq!(get.await.unwrap(), value("v"));
    }
    world.assert_quiet();
}

#[tokio::test]
async fn a_fetch_goes_on_when_the_first_caller_leaves() {
    let mut world = World::new(HOUR);
    let first = world.get().await;
    let second = world.get().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let third = world.get().await;
    world.fetch().send(found("v")).unwrap();
    assert_eq!(second.await.unwrap(), value("v"));
    assert_eq!(third.await.unwrap(), value("v"));
    world.assert_quiet();
}

#[tokio::test]
async fn a_fetch_ends_with_its_last_caller() {
    let mut world = World::new(HOUR);
    let gets = [world.get().await, world.get().await];
    let fetch = world.fetch();
    for get in gets {
        get.abort();
        assert!(get.await.unwrap_err().is_cancelled());
    }
    assert!(fetch.is_closed());
    world.assert_quiet();
    assert_eq!(world.copy(), None, "also one that is never waited for");
    world.assert_quiet();
    assert_eq!(world.fetch_as(found("v")).await, value("v"));
}

#[tokio::test]
async fn neither_failures_nor_absence_are_kept() {
    let mut world = World::new(HOUR);
    for answer in [Err(CacheError::Timeout), ABSENT, Err(CacheError::Busy)] {
        let gets = [world.get().await, world.get().await];
        world.fetch().send(answer.clone()).unwrap();
        let expected = answer.map(|_| None);
        for get in gets {
            assert_eq!(get.await.unwrap(), expected);
        }
        world.assert_quiet();
    }
    assert_eq!(world.fetch_as(found("v")).await, value("v"));
}

#[tokio::test]
async fn what_was_set_is_answered_at_once() {
    let mut world = World::new(HOUR);
    world.fetch_as(found("old")).await.unwrap();
    let set = world.set("new").await;
    world.written().send(Ok(())).unwrap();
    assert_eq!(set.await.unwrap(), Ok(()));
    assert_eq!(world.copy(), Some("new".into()));
    world.assert_quiet();
}

#[tokio::test]
async fn a_fetch_from_before_a_set_is_neither_kept_nor_joined() {
    let mut world = World::new(HOUR);
    let early = world.get().await;
    let fetch = world.fetch();
    let set = world.set("new").await;
    world.written().send(Ok(())).unwrap();
    assert_eq!(set.await.unwrap(), Ok(()));
    assert_eq!(world.copy(), Some("new".into()));
    fetch.send(found("old")).unwrap();
    assert_eq!(early.await.unwrap(), value("old"), "it asked before");
    assert_eq!(world.copy(), Some("new".into()));
    world.assert_quiet();
}

#[tokio::test]
async fn a_fetch_during_a_set_is_not_kept_past_it() {
    for fetched_first in [true, false] {
        let mut world = World::new(HOUR);
        let set = world.set("new").await;
        let written = world.written();
        let early = world.get().await;
        let fetch = world.fetch();
        if fetched_first {
            fetch.send(found("old")).unwrap();
            assert_eq!(early.await.unwrap(), value("old"));
            written.send(Err(CacheError::Timeout)).unwrap();
            assert_eq!(set.await.unwrap(), Err(CacheError::Timeout));
        } else {
            written.send(Err(CacheError::Timeout)).unwrap();
            assert_eq!(set.await.unwrap(), Err(CacheError::Timeout));
            fetch.send(found("old")).unwrap();
            assert_eq!(early.await.unwrap(), value("old"));
        }
        world.assert_quiet();
        assert_eq!(world.fetch_as(found("new")).await, value("new"));
    }
}

#[tokio::test]
async fn a_get_after_a_failed_set_does_not_join_a_fetch_from_before() {
    let mut world = World::new(HOUR);
    let early = world.get().await;
    let fetch = world.fetch();
    let set = world.set("new").await;
    world.written().send(Err(CacheError::Timeout)).unwrap();
    assert_eq!(set.await.unwrap(), Err(CacheError::Timeout));
    let late = world.get().await;
    world.fetch().send(found("new")).unwrap();
    assert_eq!(late.await.unwrap(), value("new"));
    fetch.send(found("old")).unwrap();
    assert_eq!(early.await.unwrap(), value("old"));
    assert_eq!(world.copy(), Some("new".into()));
    world.assert_quiet();
}

#[tokio::test]
async fn a_set_whose_caller_leaves_removes_the_copy() {
    let mut world = World::new(HOUR);
    world.fetch_as(found("old")).await.unwrap();
    let set = world.set("new").await;
    world.written();
    set.abort();
    assert!(set.await.unwrap_err().is_cancelled());
    assert_eq!(world.fetch_as(found("new")).await, value("new"));
    world.assert_quiet();
}

#[tokio::test]
async fn of_sets_that_overlap_none_is_kept() {
    let mut world = World::new(HOUR);
    let (first, second) = (world.set("1").await, world.set("2").await);
    let (one, two) = (world.written(), world.written());
    two.send(Ok(())).unwrap();
    assert_eq!(second.await.unwrap(), Ok(()));
    assert_eq!(world.copy(), None);
    one.send(Ok(())).unwrap();
    assert_eq!(first.await.unwrap(), Ok(()));
    assert_eq!(world.copy(), None, "the store may have seen either last");
    let third = world.set("3").await;
    world.written().send(Ok(())).unwrap();
    assert_eq!(third.await.unwrap(), Ok(()));
    assert_eq!(world.copy(), Some("3".into()));
    world.assert_quiet();
}

#[tokio::test]
async fn the_first_of_two_writes_to_end_detaches_the_fetch_already() {
    let mut world = World::new(HOUR);
    let early = world.get().await;
    let fetch = world.fetch();
    let (first, _second) = (world.set("1").await, world.set("2").await);
    let (one, _two) = (world.written(), world.written());
    one.send(Ok(())).unwrap();
    assert_eq!(first.await.unwrap(), Ok(()));
    let late = world.get().await;
    world.fetch().send(found("1")).unwrap();
    assert_eq!(late.await.unwrap(), value("1"));
    fetch.send(found("old")).unwrap();
    assert_eq!(early.await.unwrap(), value("old"));
    assert_eq!(world.copy(), Some("1".into()));
}

#[tokio::test]
async fn every_other_write_removes_the_copy() {
    let mut world = World::new(HOUR);
    let rate = Rate::new(1, HOUR).unwrap();
    for turn in 0..3 {
        assert_eq!(world.fetch_as(found("1")).await, value("1"));
        match turn {
            0 => drop(world.begin(|near, key| near.delete(key)).await),
            1 => drop(world.begin(|near, key| near.increment(key, 1, HOUR)).await),
            _ => drop(
                world
                    .begin(move |near, key| near.rate_limit(key, rate))
                    .await,
            ),
        }
        match world.next() {
            Asked::Delete(reply) => reply.send(Ok(true)).unwrap(),
            Asked::Increment(reply) => reply.send(Ok(2)).unwrap(),
            Asked::RateLimit(reply) => reply.send(Ok(None)).unwrap(),
            other => panic!("{other:?}"),
        }
        yield_now().await;
        world.assert_quiet();
    }
    assert_eq!(world.fetch_as(found("2")).await, value("2"));
}

#[tokio::test]
async fn a_copy_ends_with_its_entry_and_with_its_ttl() {
    for (ttl, left) in [
        (HOUR, Some(Duration::from_millis(30))),
        (Duration::from_millis(30), Some(HOUR)),
        (Duration::from_millis(30), None),
    ] {
        let mut world = World::new(ttl);
        let before = Instant::now();
        let entry = Found {
            value: "v".into(),
            left,
        };
        assert_eq!(world.fetch_as(Ok(Some(entry))).await, value("v"));
        while world.copy().is_some() {
            assert!(before.elapsed() < Duration::from_secs(5), "it never ends");
            yield_now().await;
        }
        assert!(before.elapsed() >= Duration::from_millis(30));
    }
}

#[tokio::test]
async fn an_answer_older_than_the_ttl_is_neither_kept_nor_joined() {
    let mut world = World::new(Duration::from_millis(5));
    let early = world.get().await;
    let fetch = world.fetch();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(5) {
        yield_now().await;
    }
    let late = world.get().await;
    world.fetch().send(ABSENT).unwrap();
    assert_eq!(late.await.unwrap(), Ok(None));
    fetch.send(found("old")).unwrap();
    assert_eq!(early.await.unwrap(), value("old"));
    assert_eq!(world.copy(), None);
}

#[tokio::test]
async fn copies_are_bounded() {
    let mut world = World::new(HOUR);
    for index in 0..100_u32 {
        let namespace = "n".parse().unwrap();
        let name = index.to_be_bytes();
        let near = Arc::clone(&world.near);
        let get = tokio::spawn(async move {
            let key = Key::new(&namespace, &name).unwrap();
            near.get(key).await
        });
        yield_now().await;
        let large = Bytes::from(vec![b'v'; 1_000 * (1 + index as usize % 20)]);
        let entry = Found {
            value: large.clone(),
            left: None,
        };
        world.fetch().send(Ok(Some(entry))).unwrap();
        assert_eq!(get.await.unwrap(), Ok(Some(large)));
        assert!(world.near.shared.copies.weight() <= 10_000);
    }
    world.assert_quiet();
}
