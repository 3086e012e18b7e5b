//! Several nodes on one store, and a store that loses what it knew.

use std::time::Duration;

use tokio::task::JoinSet;

use super::server::Server;
use super::{Cache, CacheError, cache_at, namespace, until, until_it_works, world};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Caches as those of so many nodes.
async fn nodes(server: &Server) -> Vec<Cache> {
    let caches: Vec<_> = (0..4).map(|_| cache_at(&server.url())).collect();
    for cache in &caches {
        until_it_works(cache).await;
    }
    caches
}

/// How often the store was given each of these commands.
fn counted(server: &Server, commands: &[&str]) -> Vec<u64> {
    let statistics = server.raw().ask(&[b"INFO", b"commandstats"]).concat();
    let statistics = String::from_utf8(statistics).unwrap();
    let count = |command: &&str| {
        let start = format!("cmdstat_{command}:calls=");
        let line = statistics
            .lines()
            .find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    };
    commands.iter().map(count).collect()
}

#[tokio::test]
async fn ten_thousand_increments_of_four_hundred_at_once_are_ten_thousand() {
    let server = Server::start();
    let mut calls = JoinSet::new();
    for cache in nodes(&server).await {
        for _ in 0..100 {
            let cache = cache.clone();
            calls.spawn(async move {
                let mut sums = Vec::new();
                for _ in 0..25 {
                    sums.push(cache.increment(&namespace(), b"k", 1, 60).await);
                }
                sums
            });
        }
    }
    let mut sums = calls.join_all().await.concat();
    sums.sort_unstable_by_key(|sum| sum.unwrap());
    assert!(sums.into_iter().eq((1..=10_000).map(Ok)));
    assert_eq!(server.raw().ask(&[b"GET", b"aegis:rates:k"]), [b"10000"]);
}

#[tokio::test]
async fn four_nodes_hold_a_rate_together() {
    let server = Server::start();
    let mut calls = JoinSet::new();
    for cache in nodes(&server).await {
        for _ in 0..500 {
            let cache = cache.clone();
            calls.spawn(async move { cache.rate_limit(&namespace(), b"k", 300, HOUR).await });
        }
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(
        answers.iter().filter(|answer| **answer == Ok(None)).count(),
        300
    );
}

#[tokio::test]
async fn one_script_is_one_command_and_its_text_is_sent_once() {
    let (server, cache) = world().await;
    for _ in 0..10 {
        cache.increment(&namespace(), b"c", 1, 60).await.unwrap();
        cache
            .rate_limit(&namespace(), b"r", 100, HOUR)
            .await
            .unwrap();
    }
    assert_eq!(counted(&server, &["evalsha", "eval", "multi"]), [20, 2, 0]);
}

#[tokio::test]
async fn a_store_that_forgets_the_scripts_is_told_again() {
    let (server, cache) = world().await;
    for round in 1..=3 {
        server.raw().ask(&[b"SCRIPT", b"FLUSH"]);
        let sum = cache.increment(&namespace(), b"c", 1, 60).await;
        assert_eq!(sum, Ok(round));
        let rate = cache.rate_limit(&namespace(), b"r", 100, HOUR).await;
        assert_eq!(rate, Ok(None));
    }
    assert_eq!(counted(&server, &["eval"]), [6]);
}

#[tokio::test]
async fn scripts_work_again_after_a_restart() {
    let (server, cache) = world().await;
    assert_eq!(cache.increment(&namespace(), b"c", 1, 60).await, Ok(1));
    let port = server.port();
    drop(server);
    let _server = Server::start_on(port);
    let namespace = namespace();
    let increment = || cache.increment(&namespace, b"c", 1, 60);
    until(increment, Result::is_ok).await;
    let rate = || cache.rate_limit(&namespace, b"r", 1, HOUR);
    assert_eq!(rate().await, Ok(None));
}

#[tokio::test]
async fn counters_and_rates_always_end() {
    let (server, cache) = world().await;
    cache.increment(&namespace(), b"c", 1, 60).await.unwrap();
    cache.increment(&namespace(), b"d", 1, 0).await.unwrap();
    cache
        .rate_limit(&namespace(), b"r", 10, HOUR)
        .await
        .unwrap();
    let mut raw = server.raw();
    assert!((55..=60).contains(&raw.number(&[b"TTL", b"aegis:rates:c"])));
    assert!((3_590..=3_600).contains(&raw.number(&[b"TTL", b"aegis:rates:d"])));
    let step = 355_000..=360_001;
    assert!(step.contains(&raw.number(&[b"PTTL", b"aegis:rates:r"])));
}

#[tokio::test]
async fn a_store_that_is_full_refuses_and_is_not_taken_for_a_mistake() {
    let (server, cache) = world().await;
    let namespace = namespace();
    cache.increment(&namespace, b"c", 1, 60).await.unwrap();
    let mut raw = server.raw();
    raw.ask(&[b"CONFIG", b"SET", b"maxmemory", b"1"]);
    for key in [&b"c"[..], b"new"] {
        let sum = cache.increment(&namespace, key, 1, 60).await;
        assert_eq!(sum, Err(CacheError::Refused));
    }
    let rate = cache.rate_limit(&namespace, b"r", 1, HOUR).await;
    assert_eq!(rate, Err(CacheError::Refused));
    raw.ask(&[b"CONFIG", b"SET", b"maxmemory", b"0"]);
    assert_eq!(cache.increment(&namespace, b"c", 1, 60).await, Ok(2));
    assert_eq!(cache.increment(&namespace, b"new", 1, 60).await, Ok(1));
    assert_eq!(cache.rate_limit(&namespace, b"r", 1, HOUR).await, Ok(None));
}

#[tokio::test]
async fn a_rate_that_something_else_broke_begins_anew() {
    let (server, cache) = world().await;
    let mut raw = server.raw();
    raw.ask(&[b"HSET", b"aegis:rates:r", b"m", b"x", b"other", b"1"]);
    let rate = cache.rate_limit(&namespace(), b"r", 1, HOUR).await;
    assert_eq!(rate, Ok(None));
}
