//! Several nodes on one store, and a store that loses what it knew.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::scripted::{Scripted, answer_with};
use super::server::Server;
use super::{
    Cache, CacheError, NearSettings, Settings, cache_at, namespace, near_at, near_settings_at,
    patient, patient_cache, settings_at, until, until_it_works, world,
};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Caches as those of so many nodes.
async fn nodes(server: &Server) -> Vec<Cache> {
    let settings = patient(settings_at(&server.url()));
    let caches: Vec<_> = (0..4).map(|_| Cache::new(&settings).unwrap()).collect();
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
    assert_eq!(counted(&server, &["evalsha", "eval", "multi"]), [18, 2, 0]);
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

#[tokio::test]
async fn a_hot_key_is_asked_for_once() {
    let (server, far) = world().await;
    far.set(&namespace(), b"hot", "v".into(), 60).await.unwrap();
    let near = patient_cache(near_settings_at(&server.url())).await;
    server.raw().ask(&[b"CONFIG", b"RESETSTAT"]);
    let mut calls = JoinSet::new();
    for _ in 0..1_000 {
        let near = near.clone();
        calls.spawn(async move { near.get(&namespace(), b"hot").await });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| *answer == Ok(Some("v".into()))));
    assert_eq!(counted(&server, &["get", "pttl"]), [1, 1]);
    for number in 0..100_u32 {
        let value = Bytes::from(number.to_string());
        let set = near.set(&namespace(), b"hot", value.clone(), 60).await;
        assert_eq!(set, Ok(()));
        assert_eq!(near.get(&namespace(), b"hot").await, Ok(Some(value)));
    }
    assert_eq!(counted(&server, &["get", "set"]), [1, 100]);
}

#[tokio::test]
async fn a_copy_outlives_neither_its_entry_nor_its_ttl() {
    let (server, far) = world().await;
    let near = patient_cache(near_settings_at(&server.url())).await;
    let mut raw = server.raw();
    raw.ask(&[b"SET", b"aegis:rates:short", b"v", b"PX", b"500"]);
    let namespace = namespace();
    assert_eq!(near.get(&namespace, b"short").await, Ok(Some("v".into())));
    let ended = |found: &Result<Option<Bytes>, _>| *found == Ok(None);
    let lasted = until(|| near.get(&namespace, b"short"), ended).await;
    assert!(lasted < Duration::from_secs(5), "{lasted:?}");

    let settings = Settings {
        near: Some(NearSettings {
            ttl: Duration::from_millis(100),
            ..NearSettings::default()
        }),
        ..settings_at(&server.url())
    };
    let near = patient_cache(settings).await;
    far.set(&namespace, b"k", "old".into(), 60).await.unwrap();
    assert_eq!(near.get(&namespace, b"k").await, Ok(Some("old".into())));
    far.set(&namespace, b"k", "new".into(), 60).await.unwrap();
    let renewed = |found: &Result<Option<Bytes>, _>| *found == Ok(Some("new".into()));
    let lasted = until(|| near.get(&namespace, b"k"), renewed).await;
    assert!(lasted < Duration::from_secs(5), "{lasted:?}");
}

#[tokio::test]
async fn hits_go_on_while_the_store_hangs() {
    let server = Server::start();
    let near = near_at(&server.url());
    until_it_works(&near).await;
    near.set(&namespace(), b"hot", "v".into(), 60)
        .await
        .unwrap();
    server.freeze();
    for _ in 0..100 {
        let hit = near.get(&namespace(), b"hot").now_or_never();
        assert_eq!(hit, Some(Ok(Some("v".into()))));
    }
    let miss = near.get(&namespace(), b"cold").await;
    assert_eq!(miss, Err(CacheError::Timeout));
    server.thaw();
}

/// The commands are those that the documentation names.
#[tokio::test]
async fn a_user_of_the_store_needs_few_rights() {
    let server = Server::start();
    let rights = "on >secret ~aegis:* +get +set +del +pttl +ping +incrby +hmget +hset +pexpire \
        +time +evalsha +eval";
    let mut words = vec![&b"ACL"[..], b"SETUSER", b"cache"];
    words.extend(rights.split_whitespace().map(str::as_bytes));
    assert_eq!(server.raw().ask(&words), [b"OK"]);
    let url = format!("redis://cache:secret@127.0.0.1:{}", server.port());
    for settings in [settings_at(&url), near_settings_at(&url)] {
        let cache = patient_cache(settings).await;
        let namespace = namespace();
        cache.set(&namespace, b"k", "1".into(), 60).await.unwrap();
        cache.get(&namespace, b"k").await.unwrap();
        cache.get(&namespace, b"absent").await.unwrap();
        cache.increment(&namespace, b"c", 1, 60).await.unwrap();
        let rate = cache.rate_limit(&namespace, b"r", 9, HOUR).await;
        assert_eq!(rate, Ok(None));
        let overflow = cache.increment(&namespace, b"new", i64::MIN, 60).await;
        assert_eq!(overflow, Err(CacheError::Overflow));
        assert_eq!(cache.delete(&namespace, b"k").await, Ok(true));
    }
}

/// A cache on a store that holds nothing, and answers scripts so.
async fn answering_scripts(answer: &'static [u8]) -> (Cache, Scripted) {
    let store = Scripted::start(move |command| match command[0].as_slice() {
        b"EVALSHA" | b"EVAL" => answer_with(answer),
        _ => answer_with("$-1\r\n"),
    });
    let store = store.await;
    let cache = cache_at(&format!("redis://127.0.0.1:{}", store.port()));
    until_it_works(&cache).await;
    (cache, store)
}

#[tokio::test]
async fn answers_of_scripts_that_make_no_sense_are_failures() {
    for (answer, is_sum) in [
        (&b"$-1\r\n"[..], false),
        (b"*0\r\n", false),
        (b"$0\r\n\r\n", false),
        (b"$3\r\nabc\r\n", false),
        (b"$2\r\n-5\r\n", true),
        (b"$19\r\n9223372036854775807\r\n", true),
        (b"$20\r\n99999999999999999999\r\n", false),
    ] {
        let (cache, _store) = answering_scripts(answer).await;
        let shown = answer.escape_ascii();
        let wait = cache.rate_limit(&namespace(), b"k", 1, HOUR).await;
        assert_eq!(wait, Err(CacheError::Unavailable), "{shown}");
        let sum = cache.increment(&namespace(), b"k", 1, 60).await;
        let expected = sum.err() == Some(CacheError::Unavailable);
        assert_eq!(expected, !is_sum, "{shown}: {sum:?}");
    }
}

/// Scripts told of again and again, as by a store that keeps none, end with their text.
#[tokio::test]
async fn a_store_that_never_knows_a_script_is_refused_and_not_asked_without_end() {
    let store = Scripted::start(|_| answer_with("-NOSCRIPT No matching script.\r\n")).await;
    let cache = cache_at(&format!("redis://127.0.0.1:{}", store.port()));
    let namespace = namespace();
    let increment = || cache.increment(&namespace, b"k", 1, 60);
    until(increment, |sum| *sum == Err(CacheError::Refused)).await;
}
