//! The same calls, whatever they are, get the same answers from every store.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use super::{
    Cache, CacheError, Namespace, Server, Settings, near_settings_at, patient_cache, settings_at,
};

/// How far apart waits may be that were computed one after the other.
const TOLERANCE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
enum Call {
    Get,
    Set(Bytes, u32),
    Delete,
    Increment(i64, u32),
    RateLimit(u32, u64),
}

#[derive(Debug, PartialEq)]
enum Reply {
    Value(Option<Bytes>),
    Done,
    Removed(bool),
    Sum(i64),
    Wait(Option<Duration>),
    Failed(CacheError),
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let most = [&b"a"[..], b"k\r\nDEL a\r\n", b"\0\xff{", b"a:b"];
    prop_oneof![
        20 => proptest::sample::select(most.map(<[u8]>::to_vec).to_vec()),
        1 => Just(vec![b'k'; 256]),
        1 => Just(vec![b'k'; 257]),
        1 => Just(Vec::new()),
    ]
}

fn value() -> impl Strategy<Value = Bytes> {
    let texts = [
        "",
        "0",
        "-0",
        "1",
        "-1",
        "42",
        "01",
        "+1",
        " 1",
        "1.5",
        "x",
        "9223372036854775807",
        "9223372036854775806",
        "9223372036854775808",
        "-9223372036854775807",
        "-9223372036854775808",
        "-9223372036854775809",
        "QUEUED",
        "$-1\r\n",
    ];
    prop_oneof![
        12 => proptest::sample::select(texts.to_vec()).prop_map(Bytes::from),
        2 => proptest::collection::vec(any::<u8>(), 0..24).prop_map(Bytes::from),
        1 => any::<i64>().prop_map(|number| number.to_string().into()),
        1 => Just(Bytes::from(vec![b'7'; 1024 * 1024])),
        1 => Just(Bytes::from(vec![b'7'; 1024 * 1024 + 1])),
    ]
}

/// None ends while a case runs, so that time makes no difference.
fn ttl() -> impl Strategy<Value = u32> {
    const YEAR: u32 = 365 * 24 * 60 * 60;
    prop_oneof![
        Just(0),
        Just(600),
        Just(YEAR),
        Just(YEAR + 1),
        Just(u32::MAX)
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let deltas = [
        0,
        1,
        -1,
        41,
        i64::MAX,
        i64::MIN,
        i64::MIN + 1,
        -i64::MAX / 2,
        i64::MAX / 2,
    ];
    let delta = prop_oneof![proptest::sample::select(deltas.to_vec()), any::<i64>()];
    let limit = prop_oneof![8 => 1..5_u32, 1 => Just(0), 1 => Just(200)];
    let window =
        prop_oneof![8 => Just(86_400), 4 => Just(3_600), 1 => Just(0), 1 => Just(31_536_001)];
    prop_oneof![
        4 => Just(Call::Get),
        3 => (value(), ttl()).prop_map(|(value, ttl)| Call::Set(value, ttl)),
        1 => Just(Call::Delete),
        4 => (delta, ttl()).prop_map(|(delta, ttl)| Call::Increment(delta, ttl)),
        3 => (limit, window).prop_map(|(limit, window)| Call::RateLimit(limit, window)),
    ]
}

async fn ask(cache: &Cache, namespace: &Namespace, key: &[u8], call: Call) -> Reply {
    let reply = match call {
        Call::Get => cache.get(namespace, key).await.map(Reply::Value),
        Call::Set(value, ttl) => {
            let set = cache.set(namespace, key, value, ttl).await;
            set.map(|()| Reply::Done)
        }
        Call::Delete => cache.delete(namespace, key).await.map(Reply::Removed),
        Call::Increment(delta, ttl) => {
            let sum = cache.increment(namespace, key, delta, ttl).await;
            sum.map(Reply::Sum)
        }
        Call::RateLimit(limit, window) => {
            let window = Duration::from_secs(window);
            let wait = cache.rate_limit(namespace, key, limit, window).await;
            wait.map(Reply::Wait)
        }
    };
    reply.unwrap_or_else(Reply::Failed)
}

fn alike(one: &Reply, other: &Reply) -> bool {
    match (one, other) {
        (Reply::Wait(Some(one)), Reply::Wait(Some(other))) => one.abs_diff(*other) < TOLERANCE,
        _ => one == other,
    }
}

#[test]
fn every_store_gives_the_same_answers() {
    let runtime = Runtime::new().unwrap();
    let embedded = Cache::new(&Settings::default()).unwrap();
    let server = Server::start();
    let dragonfly = runtime.block_on(patient_cache(settings_at(&server.url())));
    let near = runtime.block_on(patient_cache(near_settings_at(&server.url())));
    let case = AtomicU32::new(0);
    let calls = proptest::collection::vec((key(), call()), 1..60);
    let config = Config {
        cases: 96,
        failure_persistence: None,
        ..Config::default()
    };
    let ran = TestRunner::new(config).run(&calls, |calls| {
        let case = case.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("n{case}").parse().unwrap();
        let beside = format!("near{case}").parse().unwrap();
        runtime.block_on(async {
            for (key, call) in calls {
                let one = ask(&embedded, &namespace, &key, call.clone()).await;
                let other = ask(&dragonfly, &namespace, &key, call.clone()).await;
                prop_assert!(alike(&one, &other), "{one:?} in-process, {other:?} outside");
                let third = ask(&near, &beside, &key, call).await;
                prop_assert!(alike(&one, &third), "{one:?} in-process, {third:?} near");
            }
            Ok(())
        })
    });
    ran.unwrap();
}
