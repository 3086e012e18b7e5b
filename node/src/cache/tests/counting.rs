//! Counters and rates: what holds whichever store is configured.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{Argument, Cache, CacheError, namespace, until};

const HOUR: Duration = Duration::from_secs(60 * 60);
const YEAR: u32 = 365 * 24 * 60 * 60;

on_every_store!(
    a_counter_begins_at_zero_and_reads_as_text,
    a_counter_can_be_set,
    only_a_number_written_as_counters_write_it_counts,
    a_counter_does_not_overflow,
    the_lifetime_is_that_of_the_first_increment,
    a_counter_has_a_key_size_and_a_ttl_limit,
    a_burst_is_the_limit,
    a_refused_call_may_come_back_when_it_was_told_to,
    rates_have_a_range,
    values_and_rates_do_not_mix,
    concurrent_increments_all_count,
    concurrent_calls_are_held_to_the_rate,
);

async fn value(cache: &Cache) -> String {
    let value = cache.get(&namespace(), b"k").await.unwrap().unwrap();
    String::from_utf8(value.to_vec()).unwrap()
}

async fn a_counter_begins_at_zero_and_reads_as_text(cache: &Cache) {
    let namespace = namespace();
    for (delta, sum) in [(5, 5), (-7, -2), (0, -2), (3, 1), (i64::MAX - 1, i64::MAX)] {
        assert_eq!(cache.increment(&namespace, b"k", delta, 60).await, Ok(sum));
        assert_eq!(value(cache).await, sum.to_string());
    }
    assert_eq!(cache.delete(&namespace, b"k").await, Ok(true));
    assert_eq!(cache.increment(&namespace, b"k", 0, 0).await, Ok(0));
    assert_eq!(value(cache).await, "0");
}

async fn a_counter_can_be_set(cache: &Cache) {
    let namespace = namespace();
    for (text, sum) in [("41", 42), ("-1", 0), ("9223372036854775806", i64::MAX)] {
        cache.set(&namespace, b"k", text.into(), 60).await.unwrap();
        assert_eq!(cache.increment(&namespace, b"k", 1, 60).await, Ok(sum));
    }
}

async fn only_a_number_written_as_counters_write_it_counts(cache: &Cache) {
    let namespace = namespace();
    for text in [
        "",
        " ",
        "x",
        "-",
        "+1",
        "-0",
        "00",
        "01",
        "1 ",
        " 1",
        "1\0",
        "1.0",
        "1e3",
        "0x1",
        "--1",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999",
    ] {
        cache.set(&namespace, b"k", text.into(), 60).await.unwrap();
        let refused = cache.increment(&namespace, b"k", 1, 60).await;
        assert_eq!(refused, Err(CacheError::NotANumber), "{text:?}");
        assert_eq!(value(cache).await, text);
    }
}

async fn a_counter_does_not_overflow(cache: &Cache) {
    let namespace = namespace();
    for (text, delta) in [
        ("9223372036854775807", 1),
        ("1", i64::MAX),
        ("-1", -i64::MAX),
        ("-2", i64::MIN),
        ("0", i64::MIN),
        ("-9223372036854775807", -1),
        ("-9223372036854775808", 0),
        ("-9223372036854775808", -1),
    ] {
        cache.set(&namespace, b"k", text.into(), 60).await.unwrap();
        let refused = cache.increment(&namespace, b"k", delta, 60).await;
        assert_eq!(refused, Err(CacheError::Overflow), "{text} + {delta}");
        assert_eq!(value(cache).await, text);
    }
    let absent = cache.increment(&namespace, b"absent", i64::MIN, 60).await;
    assert_eq!(absent, Err(CacheError::Overflow));
    assert_eq!(cache.get(&namespace, b"absent").await, Ok(None));
    let least = "-9223372036854775808";
    cache.set(&namespace, b"k", least.into(), 60).await.unwrap();
    assert_eq!(
        cache.increment(&namespace, b"k", 1, 60).await,
        Ok(-i64::MAX)
    );
}

/// Also after increments that failed.
async fn the_lifetime_is_that_of_the_first_increment(cache: &Cache) {
    let namespace = namespace();
    let start = Instant::now();
    cache.increment(&namespace, b"k", -1, 1).await.unwrap();
    for (delta, sum) in [
        (-i64::MAX, Err(CacheError::Overflow)),
        (i64::MIN, Err(CacheError::Overflow)),
        (1, Ok(0)),
    ] {
        assert_eq!(cache.increment(&namespace, b"k", delta, 60).await, sum);
    }
    until(|| cache.get(&namespace, b"k"), |found| *found == Ok(None)).await;
    let lived = start.elapsed();
    assert!(lived >= Duration::from_millis(900), "only {lived:?}");
    assert!(lived < Duration::from_secs(3), "{lived:?}");
    assert_eq!(cache.increment(&namespace, b"k", 1, 60).await, Ok(1));
}

async fn a_counter_has_a_key_size_and_a_ttl_limit(cache: &Cache) {
    let namespace = namespace();
    for key in [&[][..], &[b'k'; 257]] {
        let sum = cache.increment(&namespace, key, 1, 60).await;
        assert_eq!(sum, Err(CacheError::OutOfRange(Argument::KeySize)));
        let rate = cache.rate_limit(&namespace, key, 1, HOUR).await;
        assert_eq!(rate, Err(CacheError::OutOfRange(Argument::KeySize)));
        assert_eq!(
            cache.delete(&namespace, key).await,
            Err(CacheError::OutOfRange(Argument::KeySize))
        );
    }
    for ttl in [YEAR + 1, u32::MAX] {
        let sum = cache.increment(&namespace, b"k", 1, ttl).await;
        assert_eq!(sum, Err(CacheError::OutOfRange(Argument::Ttl)));
    }
    assert_eq!(cache.increment(&namespace, b"k", 1, YEAR).await, Ok(1));
}

async fn a_burst_is_the_limit(cache: &Cache) {
    let namespace = namespace();
    for limit in [1, 3, 50] {
        let key = [b'k', limit];
        let limit = u32::from(limit);
        for _ in 0..limit {
            let allowed = cache.rate_limit(&namespace, &key, limit, HOUR).await;
            assert_eq!(allowed, Ok(None));
        }
        let refused = cache.rate_limit(&namespace, &key, limit, HOUR).await;
        let wait = refused.unwrap().expect("it is refused");
        assert!(wait <= HOUR / limit + Duration::from_millis(1), "{wait:?}");
        assert!(wait > HOUR / limit - Duration::from_secs(2), "{wait:?}");
    }
    assert_eq!(cache.delete(&namespace, b"k\x01").await, Ok(true));
    let again = cache.rate_limit(&namespace, b"k\x01", 1, HOUR).await;
    assert_eq!(again, Ok(None), "deleting begins anew");
}

async fn a_refused_call_may_come_back_when_it_was_told_to(cache: &Cache) {
    let namespace = namespace();
    let window = Duration::from_millis(300);
    let ask = || cache.rate_limit(&namespace, b"k", 1, window);
    assert_eq!(ask().await, Ok(None));
    let (asked, refused) = (Instant::now(), ask().await);
    let wait = refused.unwrap().expect("it is refused");
    assert!(!wait.is_zero() && wait <= window, "{wait:?}");
    tokio::time::sleep_until((asked + window).into()).await;
    assert_eq!(ask().await, Ok(None));
}

async fn rates_have_a_range(cache: &Cache) {
    let namespace = namespace();
    for (limit, window) in [
        (0, HOUR),
        (1, Duration::ZERO),
        (1, Duration::from_secs(u64::from(YEAR) + 1)),
        (1, Duration::MAX),
    ] {
        let rate = cache.rate_limit(&namespace, b"k", limit, window).await;
        assert_eq!(
            rate,
            Err(CacheError::OutOfRange(Argument::Rate)),
            "{limit} {window:?}"
        );
    }
    let year = Duration::from_secs(YEAR.into());
    let instant = Duration::from_micros(1);
    for (key, limit, window) in [
        (b"1", 1, year),
        (b"2", u32::MAX, year),
        (b"3", u32::MAX, instant),
    ] {
        let rate = cache.rate_limit(&namespace, key, limit, window).await;
        assert_eq!(rate, Ok(None));
    }
    let refused = cache.rate_limit(&namespace, b"1", 1, year).await;
    let wait = refused.unwrap().expect("it is refused");
    assert!(
        wait <= year && wait > year - Duration::from_secs(2),
        "{wait:?}"
    );
}

async fn values_and_rates_do_not_mix(cache: &Cache) {
    let namespace = namespace();
    cache.set(&namespace, b"v", "1".into(), 60).await.unwrap();
    let rate = cache.rate_limit(&namespace, b"v", 1, HOUR).await;
    assert_eq!(rate, Err(CacheError::Kind));
    assert_eq!(cache.get(&namespace, b"v").await, Ok(Some("1".into())));

    cache.rate_limit(&namespace, b"r", 1, HOUR).await.unwrap();
    assert_eq!(cache.get(&namespace, b"r").await, Err(CacheError::Kind));
    let sum = cache.increment(&namespace, b"r", 1, 60).await;
    assert_eq!(sum, Err(CacheError::Kind));
    let rate = cache.rate_limit(&namespace, b"r", 1, HOUR).await;
    assert!(rate.unwrap().is_some(), "it goes on");
    assert_eq!(cache.set(&namespace, b"r", "1".into(), 60).await, Ok(()));
    assert_eq!(cache.get(&namespace, b"r").await, Ok(Some("1".into())));
}

async fn concurrent_increments_all_count(cache: &Cache) {
    let mut calls = JoinSet::new();
    for _ in 0..1_000 {
        let cache = cache.clone();
        calls.spawn(async move { cache.increment(&namespace(), b"k", 1, 60).await });
    }
    let mut sums: Vec<_> = calls
        .join_all()
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    sums.sort_unstable();
    assert_eq!(
        sums,
        (1..=1_000).collect::<Vec<_>>(),
        "each sum is seen once"
    );
}

async fn concurrent_calls_are_held_to_the_rate(cache: &Cache) {
    let mut calls = JoinSet::new();
    for _ in 0..1_000 {
        let cache = cache.clone();
        calls.spawn(async move { cache.rate_limit(&namespace(), b"k", 100, HOUR).await });
    }
    let answers = calls.join_all().await;
    let allowed = answers.iter().filter(|answer| **answer == Ok(None));
    assert_eq!(allowed.count(), 100);
    assert!(answers.iter().all(Result::is_ok));
}
