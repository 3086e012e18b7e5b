//! What calls take of the connections to the store, and what their answers keep of them.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::server::Server;
use super::{namespace, near_settings_at, patient_cache, settings_at};

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
