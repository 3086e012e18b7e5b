//! The rates of both stores, computed on the same clock: in the process, and by the script.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::server::{Raw, Server};
use crate::cache::rate::{Pace, Rate, wait};

/// The store's script with a clock that the arguments set, and without the lifetime, since that
/// passes on the store's own clock.
fn script() -> String {
    const TEXT: &str = include_str!("../dragonfly/rate_limit.lua");
    let clocked = TEXT.replace("redis.call('TIME')", "{ARGV[5], ARGV[6]}");
    let kept = clocked.replace("redis.call('PEXPIRE'", "tostring('PEXPIRE'");
    assert_eq!(
        kept.matches("ARGV[5]").count() + kept.matches("tostring").count(),
        2
    );
    kept
}

fn ask_script(raw: &mut Raw, rate: Rate, now: u64) -> u64 {
    let step = rate.step();
    let numbers = [
        step.micros,
        step.parts.into(),
        rate.limit().into(),
        rate.window(),
        now / 1_000_000,
        now % 1_000_000,
    ];
    let numbers = numbers.map(|number| number.to_string());
    let script = script();
    let mut words = vec![&b"EVAL"[..], script.as_bytes(), b"1", b"k"];
    words.extend(numbers.iter().map(String::as_bytes));
    let answer = raw.ask(&words).concat();
    String::from_utf8(answer).unwrap().parse().unwrap()
}

#[derive(Clone, Debug)]
struct Call {
    limit: u32,
    window: u64,
    pause: i64,
}

fn call() -> impl Strategy<Value = Call> {
    const YEAR: u64 = 365 * 24 * 60 * 60 * 1_000_000;
    let limit = prop_oneof![6 => 1..8_u32, 1 => Just(u32::MAX), 1 => any::<u32>()];
    let window = prop_oneof![4 => 1..40_u64, 1 => Just(YEAR), 1 => 1..YEAR];
    let pause = prop_oneof![6 => 0..20_i64, 1 => -5_000_000..5_000_000_i64];
    (limit, window, pause).prop_map(|(limit, window, pause)| Call {
        limit: limit.max(1),
        window,
        pause,
    })
}

#[test]
fn the_script_computes_what_the_process_computes() {
    let server = Server::start();
    let calls = proptest::collection::vec(call(), 1..40);
    let config = Config {
        cases: 96,
        failure_persistence: None,
        ..Config::default()
    };
    let ran = TestRunner::new(config).run(&calls, |calls| {
        let mut raw = server.raw();
        raw.ask(&[b"FLUSHALL"]);
        let (mut pace, mut now): (Option<Pace>, _) = (None, 1_800_000_000_999_990);
        for Call {
            limit,
            window,
            pause,
        } in calls
        {
            now += pause;
            let (rate, now) = (rate(limit, window), now.unsigned_abs());
            let early = ask_script(&mut raw, rate, now);
            match rate.allow(pace, now) {
                Ok(next) => {
                    prop_assert_eq!(early, 0);
                    pace = Some(next);
                }
                Err(refused) => prop_assert_eq!(wait(early), refused),
            }
        }
        let state = raw.ask(&[b"HMGET", b"k", b"m", b"p"]);
        let expected = pace.map(|pace| [pace.micros, pace.parts.into()]);
        let expected = expected
            .unwrap()
            .map(|number| number.to_string().into_bytes());
        prop_assert_eq!(state, expected);
        Ok(())
    });
    ran.unwrap();
}

fn rate(limit: u32, micros: u64) -> Rate {
    Rate::new(limit, std::time::Duration::from_micros(micros)).unwrap()
}
