//! What holds whichever store is configured. Every test runs on both.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Argument, Cache, CacheError, namespace, until};

on_every_store!(
    what_was_set_is_found,
    any_bytes_are_a_key_and_a_value,
    namespaces_are_apart,
    a_key_has_a_size,
    a_value_has_a_size,
    a_ttl_has_a_limit,
    an_entry_ends_with_its_ttl,
    many_calls_at_once_all_succeed,
    what_is_deleted_is_absent,
);

async fn what_was_set_is_found(cache: &Cache) {
    let namespace = namespace();
    assert_eq!(cache.get(&namespace, b"k").await, Ok(None));
    for value in ["one", "", "two", "QUEUED", "12"] {
        cache.set(&namespace, b"k", value.into(), 60).await.unwrap();
        assert_eq!(cache.get(&namespace, b"k").await, Ok(Some(value.into())));
    }
}

async fn any_bytes_are_a_key_and_a_value(cache: &Cache) {
    let namespace = namespace();
    let keys: [&[u8]; 9] = [
        b"k\r\nFLUSHALL\r\n",
        b"a\0b",
        b"{x}",
        b"..",
        b"other:k",
        b"a b\t",
        b"\xff\xfe",
        b"*1\r\n$8\r\nFLUSHALL\r\n",
        &[0; 256],
    ];
    for key in keys {
        let value = Bytes::copy_from_slice(key);
        cache.set(&namespace, key, value, 60).await.unwrap();
    }
    for key in keys {
        let found = cache.get(&namespace, key).await.unwrap();
        assert_eq!(found.as_deref(), Some(key));
    }
}

async fn namespaces_are_apart(cache: &Cache) {
    let (one, other) = ("one".parse().unwrap(), "other".parse().unwrap());
    cache.set(&one, b"k", "v".into(), 60).await.unwrap();
    assert_eq!(cache.get(&other, b"k").await, Ok(None));
    assert_eq!(cache.get(&other, b"one:k").await, Ok(None));
}

async fn a_key_has_a_size(cache: &Cache) {
    let namespace = namespace();
    for key in [&[][..], &[b'k'; 257]] {
        assert_eq!(
            cache.get(&namespace, key).await,
            Err(CacheError::OutOfRange(Argument::KeySize))
        );
        let set = cache.set(&namespace, key, "v".into(), 60).await;
        assert_eq!(set, Err(CacheError::OutOfRange(Argument::KeySize)));
    }
}

async fn a_value_has_a_size(cache: &Cache) {
    let namespace = namespace();
    let largest = Bytes::from(vec![b'v'; 1024 * 1024]);
    let set = cache.set(&namespace, b"k", largest.clone(), 60).await;
    assert_eq!(set, Ok(()));
    assert_eq!(cache.get(&namespace, b"k").await, Ok(Some(largest)));
    let larger = Bytes::from(vec![b'v'; 1024 * 1024 + 1]);
    let set = cache.set(&namespace, b"k", larger, 60).await;
    assert_eq!(set, Err(CacheError::ValueSize));
}

async fn a_ttl_has_a_limit(cache: &Cache) {
    const YEAR: u32 = 365 * 24 * 60 * 60;
    let namespace = namespace();
    for (ttl, expected) in [
        (0, Ok(())),
        (YEAR, Ok(())),
        (YEAR + 1, Err(CacheError::OutOfRange(Argument::Ttl))),
        (u32::MAX, Err(CacheError::OutOfRange(Argument::Ttl))),
    ] {
        let set = cache.set(&namespace, b"k", "v".into(), ttl).await;
        assert_eq!(set, expected, "{ttl}");
    }
}

async fn an_entry_ends_with_its_ttl(cache: &Cache) {
    let namespace = namespace();
    let start = Instant::now();
    cache.set(&namespace, b"k", "v".into(), 1).await.unwrap();
    until(|| cache.get(&namespace, b"k"), |found| *found == Ok(None)).await;
    let lived = start.elapsed();
    assert!(lived >= Duration::from_millis(900), "only {lived:?}");
    assert!(
        lived < Duration::from_secs(3),
        "still there after {lived:?}"
    );
}

async fn many_calls_at_once_all_succeed(cache: &Cache) {
    let namespace = namespace();
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..1_000_u32 {
        let (cache, namespace) = (cache.clone(), namespace.clone());
        calls.spawn(async move {
            let key = index.to_be_bytes();
            let value = Bytes::copy_from_slice(&key);
            cache.set(&namespace, &key, value.clone(), 60).await?;
            assert_eq!(cache.get(&namespace, &key).await?, Some(value));
            Ok::<_, CacheError>(())
        });
    }
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap(), Ok(()));
    }
}

async fn what_is_deleted_is_absent(cache: &Cache) {
    let namespace = namespace();
    assert_eq!(cache.delete(&namespace, b"k").await, Ok(false));
    for key in [&b"k"[..], b"k\r\n\0\xff"] {
        cache.set(&namespace, key, "v".into(), 60).await.unwrap();
        cache
            .set(&namespace, b"other", "v".into(), 60)
            .await
            .unwrap();
        assert_eq!(cache.delete(&namespace, key).await, Ok(true));
        assert_eq!(cache.get(&namespace, key).await, Ok(None));
        assert_eq!(cache.delete(&namespace, key).await, Ok(false));
        let other = cache.get(&namespace, b"other").await;
        assert_eq!(other, Ok(Some("v".into())));
    }
    let elsewhere = "elsewhere".parse().unwrap();
    assert_eq!(cache.delete(&elsewhere, b"other").await, Ok(false));
}
