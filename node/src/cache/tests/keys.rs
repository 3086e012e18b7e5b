//! What the store outside the process holds, as others see it.

use super::server::Server;
use super::{CacheError, cache_at, namespace, until_it_works, world};

#[tokio::test]
async fn a_key_is_named_after_its_namespace_and_always_has_a_ttl() {
    let (server, cache) = world().await;
    cache
        .set(&namespace(), b"usd", "1".into(), 60)
        .await
        .unwrap();
    cache
        .set(&namespace(), b"eur", "2".into(), 0)
        .await
        .unwrap();
    let mut raw = server.raw();
    assert_eq!(raw.number(&[b"DBSIZE"]), 2);
    assert_eq!(raw.ask(&[b"GET", b"aegis:rates:usd"]), [b"1"]);
    assert!((1..=60).contains(&raw.number(&[b"TTL", b"aegis:rates:usd"])));
    assert!((3590..=3600).contains(&raw.number(&[b"TTL", b"aegis:rates:eur"])));
}

#[tokio::test]
async fn a_key_cannot_smuggle_a_command() {
    let (server, cache) = world().await;
    let mut raw = server.raw();
    raw.ask(&[b"SET", b"precious", b"1"]);
    let key = b"k\r\nFLUSHALL\r\n";
    cache.set(&namespace(), key, "v".into(), 60).await.unwrap();
    assert_eq!(raw.number(&[b"DBSIZE"]), 2);
    let stored = [b"aegis:rates:", &key[..]].concat();
    assert_eq!(raw.ask(&[b"GET", &stored]), [b"v"]);
}

#[tokio::test]
async fn what_is_out_of_range_never_leaves_the_process() {
    let (server, cache) = world().await;
    let mut raw = server.raw();
    raw.ask(&[b"CONFIG", b"RESETSTAT"]);
    let large = vec![0; 1024 * 1024 + 1];
    let namespace = namespace();
    cache
        .set(&namespace, b"k", large.into(), 1)
        .await
        .unwrap_err();
    cache.set(&namespace, b"", "v".into(), 1).await.unwrap_err();
    cache
        .set(&namespace, b"k", "v".into(), u32::MAX)
        .await
        .unwrap_err();
    cache.get(&namespace, &[b'k'; 257]).await.unwrap_err();
    let statistics = raw.ask(&[b"INFO", b"commandstats"]).concat();
    let statistics = String::from_utf8(statistics).unwrap();
    assert!(statistics.contains("cmdstat_config"), "{statistics}");
    assert!(!statistics.contains("cmdstat_set"), "{statistics}");
    assert!(!statistics.contains("cmdstat_get"), "{statistics}");
}

#[tokio::test]
async fn what_others_put_there_is_an_error_and_not_an_answer() {
    let (server, cache) = world().await;
    let mut raw = server.raw();
    raw.ask(&[b"RPUSH", b"aegis:rates:list", b"a"]);
    raw.ask(&[b"SETRANGE", b"aegis:rates:large", b"1048576", b"x"]);
    let list = cache.get(&namespace(), b"list").await;
    assert_eq!(list, Err(CacheError::Kind));
    let large = cache.get(&namespace(), b"large").await;
    assert_eq!(large, Err(CacheError::ValueSize));
}

#[tokio::test]
async fn credentials_and_database_are_used() {
    let port = super::server::free_port();
    let server = Server::start_with(port, &["--requirepass", "s#cret"]);
    let cache = cache_at(&format!("redis://:s%23cret@127.0.0.1:{port}/3"));
    until_it_works(&cache).await;
    cache.set(&namespace(), b"k", "v".into(), 60).await.unwrap();
    let mut raw = server.raw();
    raw.ask(&[b"AUTH", b"s#cret"]);
    assert_eq!(raw.number(&[b"DBSIZE"]), 0);
    raw.ask(&[b"SELECT", b"3"]);
    assert_eq!(raw.number(&[b"DBSIZE"]), 1);
}
