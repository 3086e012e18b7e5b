//! What calls take of the connections to the store, and what their answers keep of them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::scripted::{Answer, Scripted, answer_with};
use super::server::Server;
use super::{CacheError, namespace, near_settings_at, patient_cache, settings_at, until};

/// Connections to the store, and how many calls each may have.
const LINKS: u32 = 4;
const CALLS: u32 = 1024;

#[tokio::test]
async fn a_small_value_keeps_nothing_of_what_was_read_with_it() {
    let server = Server::start();
    for settings in [settings_at(&server.url()), near_settings_at(&server.url())] {
        let cache = patient_cache(settings).await;
        server.say(&["SET", "aegis:rates:small", "v"]);
        let value = cache.get(&namespace(), b"small").await.unwrap().unwrap();
        // Copies that are kept hold the value, too.
        drop(cache);
        let value = value.try_into_mut().expect("it is a slice of something");
        assert_eq!(value.capacity(), 1);
    }
}

/// The connections take turns: one is given a write, which needs one place, and then a miss, which
/// needs two, each time; the others are given writes.
#[tokio::test]
async fn a_connection_with_a_single_place_left_is_passed_over_by_a_miss() {
    let server = Server::start();
    let cache = patient_cache(near_settings_at(&server.url())).await;
    let namespace = namespace();
    server.freeze();
    let mut waiting: Vec<BoxFuture<'static, bool>> = Vec::new();
    let mut answered = |mut call: BoxFuture<'static, bool>| {
        let answered = (&mut call).now_or_never();
        waiting.push(call);
        answered
    };
    let write = |turn: u32| {
        let (cache, namespace) = (cache.clone(), namespace.clone());
        async move {
            let key = turn.to_be_bytes();
            cache.set(&namespace, &key, Bytes::new(), 60).await.is_ok()
        }
    };
    let miss = |turn: u32| {
        let (cache, namespace) = (cache.clone(), namespace.clone());
        async move { cache.get(&namespace, &turn.to_be_bytes()).await.is_ok() }
    };
    for turn in 0..LINKS * CALLS / 2 {
        let call = match turn {
            1.. if turn % LINKS == 0 => miss(turn).boxed(),
            _ => write(turn).boxed(),
        };
        assert_eq!(answered(call), None, "{turn}");
    }
    let last = miss(LINKS * CALLS);
    assert_eq!(answered(last.boxed()), None, "other connections have room");
}

/// What a server that takes no writes says.
fn of_a_replica(command: &[Vec<u8>]) -> Answer {
    answer_with(match command[0].as_slice() {
        b"SET" => &b"-READONLY You can't write against a read only replica.\r\n"[..],
        _ => b"$-1\r\n",
    })
}

#[tokio::test]
async fn the_server_behind_a_name_is_left_for_its_successor_and_reads_go_on() {
    let store = Scripted::start_each(|connection, command| match command[0].as_slice() {
        b"SET" if connection >= 4 => answer_with("+OK\r\n"),
        _ => of_a_replica(command),
    });
    let store = store.await;
    let url = format!("redis://localhost:{}", store.port());
    let cache = patient_cache(settings_at(&url)).await;
    until(async || store.accepted(), |count| *count == 4).await;
    let namespace = namespace();
    // Three calls, so that no connection has reads alone.
    let set = async || {
        for _ in 0..2 {
            assert_eq!(cache.get(&namespace, b"k").await, Ok(None));
        }
        cache.set(&namespace, b"k", "v".into(), 60).await
    };
    until(set, |set| set.is_ok()).await;
    until(set, |_| store.accepted() == 8).await;
}

/// It may be one that is meant to be read only.
#[tokio::test]
async fn a_server_that_never_takes_writes_is_not_stormed_and_goes_on_answering_reads() {
    for (host, most) in [("localhost", 7), ("127.0.0.1", 4)] {
        let store = Scripted::start(of_a_replica).await;
        let url = format!("redis://{host}:{}", store.port());
        let cache = patient_cache(settings_at(&url)).await;
        until(async || store.accepted(), |count| *count == 4).await;
        let (namespace, start) = (namespace(), Instant::now());
        while start.elapsed() < Duration::from_secs(2) {
            let set = cache.set(&namespace, b"k", "v".into(), 60).await;
            assert_eq!(set, Err(CacheError::Refused));
            assert_eq!(cache.get(&namespace, b"k").await, Ok(None));
        }
        let accepted = store.accepted();
        assert!(accepted <= most, "{accepted} connections to {host} in 2 s");
    }
}
