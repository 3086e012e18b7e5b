//! A store that is absent, dies, hangs, or is no longer wanted.

use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::server::{Server, free_port};
use super::{Cache, CacheError, assert_fails_in_time, cache_at, namespace, until, until_it_works};

/// How soon a store that is back must be used again.
pub(super) const RECOVERY: Duration = Duration::from_secs(1);

async fn until_unavailable(cache: &Cache) {
    let namespace = namespace();
    let wanted = |found: &Result<_, _>| *found == Err(CacheError::Unavailable);
    until(|| cache.get(&namespace, b"k"), wanted).await;
}

#[tokio::test]
async fn a_store_that_is_absent_at_first_is_used_once_it_is_there() {
    let port = free_port();
    let cache = cache_at(&format!("redis://127.0.0.1:{port}"));
    assert_eq!(assert_fails_in_time(&cache).await, CacheError::Unavailable);
    let _server = Server::start_on(port);
    assert!(until_it_works(&cache).await < RECOVERY);
}

#[tokio::test]
async fn a_store_that_died_is_used_again_after_its_restart() {
    let server = Server::start();
    let port = server.port();
    let cache = cache_at(&server.url());
    until_it_works(&cache).await;
    drop(server);
    assert_fails_in_time(&cache).await;
    until_unavailable(&cache).await;
    let _server = Server::start_on(port);
    assert!(until_it_works(&cache).await < RECOVERY);
}

#[tokio::test]
async fn a_store_that_hangs_for_a_moment_costs_the_timeout() {
    let server = Server::start();
    let cache = cache_at(&server.url());
    until_it_works(&cache).await;
    server.freeze();
    assert_eq!(assert_fails_in_time(&cache).await, CacheError::Timeout);
    server.thaw();
    assert!(until_it_works(&cache).await < RECOVERY);
}

#[tokio::test]
async fn a_store_that_hangs_for_long_is_given_up_until_it_is_back() {
    let server = Server::start();
    let cache = cache_at(&server.url());
    until_it_works(&cache).await;
    server.freeze();
    assert_eq!(assert_fails_in_time(&cache).await, CacheError::Timeout);
    until_unavailable(&cache).await;
    server.thaw();
    assert!(until_it_works(&cache).await < RECOVERY);
}

#[tokio::test]
async fn a_flood_against_a_store_that_hangs_is_bounded() {
    let server = Server::start();
    let cache = cache_at(&server.url());
    until_it_works(&cache).await;
    server.freeze();
    let value = Bytes::from(vec![b'v'; 1024 * 1024]);
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let (cache, value) = (cache.clone(), value.clone());
        calls.spawn(async move { cache.set(&namespace(), b"k", value, 60).await });
    }
    let results = calls.join_all().await;
    let count = |error| {
        results
            .iter()
            .filter(|result| **result == Err(error))
            .count()
    };
    assert_eq!(count(CacheError::Timeout), 64, "only 64 MiB may wait");
    assert_eq!(count(CacheError::Busy), 136);
    until_unavailable(&cache).await;
    server.thaw();
    assert!(until_it_works(&cache).await < RECOVERY);
    let namespace = namespace();
    let set = || cache.set(&namespace, b"k", value.clone(), 60);
    until(set, Result::is_ok).await;
}

#[tokio::test]
async fn a_wrong_password_is_an_outage() {
    let port = free_port();
    let server = Server::start_with(port, &["--requirepass", "right"]);
    let cache = cache_at(&format!("redis://:wrong@127.0.0.1:{port}"));
    let mut raw = server.raw();
    raw.ask(&[b"AUTH", b"right"]);
    let mut refused = move || {
        let errors = raw.ask(&[b"INFO", b"errorstats"]).concat();
        String::from_utf8(errors).unwrap().contains("WRONGPASS")
    };
    until(async || refused(), |refused| *refused).await;
    assert_eq!(assert_fails_in_time(&cache).await, CacheError::Unavailable);
}

#[tokio::test]
async fn nothing_is_left_of_a_cache_that_is_dropped() {
    let server = Server::start();
    let mut raw = server.raw();
    let mut clients = move || {
        let list = raw.ask(&[b"CLIENT", b"LIST"]).concat();
        String::from_utf8(list).unwrap().lines().count()
    };
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let (clients_before, tasks_before) = (clients(), tasks());
    let cache = cache_at(&server.url());
    until(async || clients(), |count| *count == clients_before + 4).await;
    until_it_works(&cache).await;
    drop(cache);
    until(async || clients(), |count| *count == clients_before).await;
    until(async || tasks(), |count| *count == tasks_before).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_cache_that_is_dropped_while_it_connects() {
    let server = Server::start();
    server.freeze();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let cache = cache_at(&server.url());
    until(async || tasks(), |count| *count == before + 8).await;
    drop(cache);
    until(async || tasks(), |count| *count == before).await;
}
