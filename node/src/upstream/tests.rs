//! Which backend is chosen, when, and what becomes of the choices as backends come and go.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, StatusCode};

use super::*;

/// Who asks for the path that is its number.
struct Numbered(String);

impl Caller for Numbered {
    fn client(&self) -> Option<&str> {
        None
    }

    fn header(&self, _: &HeaderName) -> Vec<&[u8]> {
        Vec::new()
    }

    fn path(&self) -> &str {
        &self.0
    }
}

fn settings(weights: &[usize]) -> Settings {
    let backends = (9000u16..)
        .zip(weights)
        .map(|(port, weight)| BackendSettings {
            host: "127.0.0.1".into(),
            port,
            weight: *weight,
        })
        .collect();
    Settings {
        backends,
        balance: Balance::RoundRobin,
        connections: 10,
        connect_timeout: Duration::from_secs(1),
        read_timeout: Duration::from_secs(1),
        retries: 1,
        health_check: None,
        ejection: Ejection::default(),
        slow_start: Duration::from_secs(10),
        nameservers: Vec::new(),
        tls: None,
        http2: false,
        retry_on: RetryOn::default(),
    }
}

fn made(settings: &Settings) -> Arc<Upstream> {
    Upstream::renewed("origin", settings, None).expect("no files")
}

fn upstream(weights: &[usize], connections: usize) -> Arc<Upstream> {
    let settings = Settings {
        connections,
        ..settings(weights)
    };
    made(&settings)
}

fn balanced(weights: &[usize], balance: Balance) -> Arc<Upstream> {
    let settings = Settings {
        balance,
        connections: 100_000,
        ..settings(weights)
    };
    made(&settings)
}

fn at(index: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9000 + index))
}

fn pick_at(
    upstream: &Upstream,
    now: Instant,
    (key, tried): (usize, &[SocketAddr]),
) -> Result<Lease, Unavailable> {
    upstream.pick(&Choice {
        now,
        tried,
        caller: &Numbered(format!("/{key}")),
    })
}

fn pick(upstream: &Upstream, tried: &[SocketAddr]) -> Result<Lease, Unavailable> {
    pick_at(upstream, Instant::now(), (0, tried))
}

fn index(lease: &Lease) -> usize {
    usize::from(lease.backend().address().port() - 9000)
}

/// The backend of each of so many keys.
fn places(upstream: &Upstream, now: Instant, keys: usize) -> Vec<usize> {
    let place = |key| index(&pick_at(upstream, now, (key, &[])).expect("a backend"));
    (0..keys).map(place).collect()
}

fn shares<const N: usize>(places: &[usize]) -> [usize; N] {
    let mut shares = [0; N];
    places.iter().for_each(|place| shares[*place] += 1);
    shares
}

fn member(upstream: &Upstream, index: usize) -> Arc<Backend> {
    Arc::clone(&upstream.members.load().list()[index].backend)
}

/// Requests fail on a backend until it is ejected, if it may be.
fn fail(upstream: &Upstream, index: u16) {
    let others: Vec<_> = (0..20).filter(|other| *other != index).map(at).collect();
    let lease = pick(upstream, &others).expect("it is there");
    (0..5).for_each(|_| lease.failed());
}

// === turns ===

#[test]
fn backends_take_turns_by_weight() {
    let upstream = upstream(&[1, 2], 10);
    assert_eq!(shares(&places(&upstream, Instant::now(), 300)), [100, 200]);
}

#[test]
fn a_full_backend_is_passed_over_and_a_finished_request_makes_room() {
    let upstream = upstream(&[1, 1], 1);
    let first = pick(&upstream, &[]).expect("a backend");
    let second = pick(&upstream, &[]).expect("the other");
    assert_ne!(index(&first), index(&second));
    assert_eq!(pick(&upstream, &[]).err(), Some(Unavailable::Full));
    drop(first);
    assert!(pick(&upstream, &[]).is_ok());
}

#[test]
fn the_turns_of_a_backend_that_is_down_are_shared_by_the_others() {
    for (weights, expected) in [([1, 1, 1], 150..151), ([1000, 1, 1], 100..200)] {
        let upstream = upstream(&weights, 10);
        let share = (0..300)
            .filter_map(|_| pick(&upstream, &[at(0)]).ok())
            .filter(|lease| index(lease) == 1)
            .count();
        assert!(expected.contains(&share), "{weights:?}: {share} of 300");
    }
}

#[test]
fn whether_others_are_left_is_told_without_taking_a_place() {
    let upstream = upstream(&[1, 1], 1);
    let tried = [at(0)];
    assert!(upstream.has_other(&tried) && upstream.has_other(&tried));
    let lease = pick(&upstream, &tried).expect("the other");
    assert!(!upstream.has_other(&tried), "it is full");
    drop(lease);
    assert!(upstream.has_other(&tried));
}

#[test]
fn a_retry_goes_to_another_backend() {
    let upstream = upstream(&[1000, 1], 10);
    let lease = pick(&upstream, &[at(0)]).expect("the other");
    assert_eq!(index(&lease), 1);
    assert_eq!(
        pick(&upstream, &[at(1), at(0)]).err(),
        Some(Unavailable::Exhausted)
    );
}

// === least connections ===

#[test]
fn the_least_busy_backend_is_chosen_by_weight() {
    let upstream = balanced(&[1, 3], Balance::LeastConnections);
    let leases: Vec<_> = (0..400)
        .map(|_| pick(&upstream, &[]).expect("one"))
        .collect();
    let places: Vec<_> = leases.iter().map(index).collect();
    assert_eq!(shares(&places), [100, 300]);
}

#[test]
fn one_that_is_slow_gets_less_to_do() {
    let upstream = balanced(&[1, 1], Balance::LeastConnections);
    let slow: Vec<_> = (0..10)
        .filter_map(|_| pick(&upstream, &[at(0)]).ok())
        .collect();
    assert_eq!(shares(&places(&upstream, Instant::now(), 100)), [100, 0]);
    drop(slow);
    assert_eq!(shares(&places(&upstream, Instant::now(), 100)), [50, 50]);
}

// === hashing ===

fn hashed(weights: &[usize]) -> Arc<Upstream> {
    balanced(weights, Balance::Hash(HashBy::Path))
}

#[test]
fn keys_are_spread_by_weight_and_stay_where_they_are() {
    let upstream = hashed(&[1, 2, 5]);
    let first = places(&upstream, Instant::now(), 8000);
    let [one, two, five] = shares(&first);
    assert!((900..1100).contains(&one), "{one}");
    assert!((1850..2150).contains(&two), "{two}");
    assert!((4800..5200).contains(&five), "{five}");
    assert_eq!(places(&upstream, Instant::now(), 8000), first);
    assert_eq!(places(&hashed(&[1, 2, 5]), Instant::now(), 8000), first);
}

#[test]
fn a_backend_that_leaves_gives_its_keys_to_all_others_and_moves_no_other_key() {
    let before = places(&hashed(&[1; 5]), Instant::now(), 5000);
    let after = places(&hashed(&[1; 4]), Instant::now(), 5000);
    let moved = |(before, after): (&usize, &usize)| (before != after).then_some((*before, *after));
    let mut heirs = BTreeMap::new();
    for (from, to) in before.iter().zip(&after).filter_map(moved) {
        assert_eq!(from, 4, "a key of one that stays has moved");
        *heirs.entry(to).or_insert(0) += 1;
    }
    assert_eq!(heirs.len(), 4);
    assert!(
        heirs.values().all(|count| (190..310).contains(count)),
        "{heirs:?}"
    );
}

#[test]
fn keys_of_a_full_an_ejected_or_a_tried_backend_go_to_their_next_one() {
    let upstream = hashed(&[1; 3]);
    let now = Instant::now();
    let home = index(&pick_at(&upstream, now, (7, &[])).expect("one"));
    let port = u16::try_from(home).expect("small");
    let next = index(&pick_at(&upstream, now, (7, &[at(port)])).expect("the next"));
    assert_ne!(next, home);
    fail(&upstream, port);
    let whiles = pick_at(&upstream, Instant::now(), (7, &[])).expect("the next");
    assert_eq!(index(&whiles), next, "ejected");

    let full = Settings {
        connections: 1,
        balance: Balance::Hash(HashBy::Path),
        ..settings(&[1; 3])
    };
    let upstream = made(&full);
    let leases = [(); 3].map(|()| pick_at(&upstream, now, (7, &[])).expect("one"));
    assert_eq!([index(&leases[0]), index(&leases[1])], [home, next]);
    let refused = pick_at(&upstream, now, (7, &[])).err();
    assert_eq!(refused, Some(Unavailable::Full));
}

#[test]
fn a_slow_start_moves_each_key_once() {
    let upstream = hashed(&[1, 1]);
    let start = Instant::now();
    let whole = places(&upstream, start, 2000);
    member(&upstream, 1).standing().rise(start);
    let mut last = 0;
    for second in [0, 3, 6, 9, 10] {
        let now = places(&upstream, start + Duration::from_secs(second), 2000);
        let theirs = now.iter().zip(&whole).filter(|(now, _)| **now == 1);
        assert!(theirs.clone().all(|(_, whole)| *whole == 1));
        let count = theirs.count();
        assert!(count > last, "{count} after {second} s, {last} before");
        last = count;
    }
    assert_eq!(shares::<2>(&whole)[1], last);
}

// === health, ejection, return ===

#[test]
fn what_is_down_gets_nothing_and_all_down_is_told_from_all_full() {
    for balance in [
        Balance::RoundRobin,
        Balance::LeastConnections,
        Balance::Hash(HashBy::Path),
    ] {
        let upstream = balanced(&[1, 1], balance);
        member(&upstream, 0).standing().set_down();
        assert_eq!(shares(&places(&upstream, Instant::now(), 50)), [0, 50]);
        let tried = pick(&upstream, &[at(1)]).err();
        assert_eq!(tried, Some(Unavailable::Exhausted));
        member(&upstream, 1).standing().set_down();
        assert_eq!(pick(&upstream, &[]).err(), Some(Unavailable::Unhealthy));
        assert!(!upstream.has_other(&[]));
        member(&upstream, 1).standing().set_up(Instant::now());
        assert!(pick(&upstream, &[]).is_ok());
    }
}

#[test]
fn failures_in_a_row_eject_a_backend_and_others_take_its_share() {
    let upstream = upstream(&[1, 1, 1], 100);
    fail(&upstream, 0);
    assert_eq!(shares(&places(&upstream, Instant::now(), 60)), [0, 30, 30]);
}

#[test]
fn a_success_in_between_ends_the_row_and_gateway_errors_do_not() {
    let upstream = upstream(&[1, 1], 100);
    let lease = pick(&upstream, &[at(1)]).expect("the first");
    for status in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR] {
        (0..4).for_each(|_| lease.failed());
        lease.answered(status);
    }
    assert_eq!(shares(&places(&upstream, Instant::now(), 10)), [5, 5]);
    for status in [502, 503, 504, 502, 503] {
        lease.answered(StatusCode::from_u16(status).expect("a status"));
    }
    assert_eq!(shares(&places(&upstream, Instant::now(), 10)), [0, 10]);
}

#[test]
fn at_most_half_are_ejected_and_never_the_only_one() {
    let single = upstream(&[1], 10);
    fail(&single, 0);
    assert_eq!(shares(&places(&single, Instant::now(), 10)), [10]);
    let four = upstream(&[1; 4], 10);
    (0..4).for_each(|index| fail(&four, index));
    assert_eq!(shares(&places(&four, Instant::now(), 10)), [0, 0, 5, 5]);
}

#[test]
fn nothing_is_ejected_where_that_is_turned_off() {
    let never = Ejection {
        failures: 0,
        ..Ejection::default()
    };
    let upstream = made(&Settings {
        ejection: never,
        ..settings(&[1, 1])
    });
    fail(&upstream, 0);
    assert_eq!(shares(&places(&upstream, Instant::now(), 10)), [5, 5]);
}

#[test]
fn an_ejected_backend_serves_when_no_other_is_up() {
    let upstream = upstream(&[1, 1], 10);
    fail(&upstream, 0);
    member(&upstream, 1).standing().set_down();
    assert_eq!(shares(&places(&upstream, Instant::now(), 10)), [10, 0]);
    assert!(upstream.has_other(&[at(1)]));
}

#[test]
fn an_ejected_backend_is_not_there_to_relieve_full_ones() {
    let upstream = upstream(&[1, 1], 1);
    fail(&upstream, 0);
    let _held = pick(&upstream, &[]).expect("the other");
    assert_eq!(pick(&upstream, &[]).err(), Some(Unavailable::Full));
}

#[test]
fn one_that_returns_gets_a_rising_share() {
    for balance in [Balance::RoundRobin, Balance::LeastConnections] {
        let upstream = balanced(&[1, 1], balance);
        let start = Instant::now();
        fail(&upstream, 0);
        let share = |after: u64| {
            let now = start + Duration::from_secs(after);
            shares::<2>(&places(&upstream, now, 2000))[0]
        };
        assert_eq!(share(5), 0);
        let [first, half, whole] = [12, 17, 40].map(share);
        assert!((50..300).contains(&first), "{first} at first");
        assert!((400..900).contains(&half), "{half} after half the time");
        assert_eq!(whole, 1000);
    }
}

// === names ===

fn named() -> (Arc<Upstream>, Weak<Upstream>) {
    let mut settings = settings(&[1, 1]);
    settings.backends[0].host = "origin.test".to_owned();
    settings.backends[0].port = 8000;
    let upstream = Arc::new_cyclic(|this| {
        let upstream = Upstream {
            name: "origin".into(),
            settings: Arc::new(settings),
            security: Security::load("origin", None).expect("no files"),
            budget: Budget::default(),
            members: ArcSwap::default(),
            addresses: Mutex::new(vec![Vec::new(), Vec::new()]),
            prober: None,
            names: OnceLock::new(),
            unanswered: watch::Sender::new(0),
        };
        upstream.renew(this, &[Vec::new(), Vec::new()], None);
        upstream
    });
    let this = Arc::downgrade(&upstream);
    (upstream, this)
}

fn ips(addresses: &[&str]) -> Vec<IpAddr> {
    let parsed = addresses.iter().map(|address| address.parse());
    parsed.map(|address| address.expect("an address")).collect()
}

#[test]
fn backends_that_stay_keep_their_state_and_new_ones_start_slowly() {
    let (upstream, this) = named();
    assert_eq!(pick(&upstream, &[]).err(), Some(Unavailable::Unhealthy));
    upstream.set_addresses(&this, 0, ips(&["127.0.0.2", "127.0.0.3"]));
    let now = Instant::now() + Duration::from_secs(1);
    let [gone, stays] = [member(&upstream, 0), member(&upstream, 1)];
    assert_eq!(stays.share(now), 1.0, "the first addresses are no change");
    let lease = pick(&upstream, &[gone.address()]).expect("the other");
    upstream.set_addresses(&this, 0, ips(&["127.0.0.3", "127.0.0.4"]));
    let [first, second] = [member(&upstream, 0), member(&upstream, 1)];
    assert!(Arc::ptr_eq(&first, &stays));
    assert_eq!(first.in_flight(), 1);
    assert_eq!(second.address().to_string(), "127.0.0.4:8000");
    assert!(second.share(now) < 0.2);
    drop(lease);
    assert_eq!(first.in_flight(), 0);
}
