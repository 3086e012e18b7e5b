//! The cache as its users see it: the same answers from both stores, and what a store outside
//! the process may do to its callers when it misbehaves. These start a real `redis-server`.

use std::time::{Duration, Instant};

use super::{
    Argument, BuildError, Cache, CacheError, Namespace, NearSettings, Settings, StoreSettings,
};

/// Runs each of these, which take a cache, on every store there is.
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $test() {
                super::$test(&crate::cache::Cache::new(&Default::default()).unwrap()).await;
            })+
        }

        mod dragonfly {
            $(#[tokio::test]
            async fn $test() {
                let server = crate::cache::tests::Server::start();
                let settings = crate::cache::tests::settings_at(&server.url());
                super::$test(&crate::cache::tests::patient_cache(settings).await).await;
            })+
        }

        mod near {
            $(#[tokio::test]
            async fn $test() {
                let server = crate::cache::tests::Server::start();
                let settings = crate::cache::tests::near_settings_at(&server.url());
                super::$test(&crate::cache::tests::patient_cache(settings).await).await;
            })+
        }
    };
}

mod clocks;
mod contract;
mod counting;
mod keys;
mod likeness;
mod links;
mod outages;
mod scripted;
mod server;
mod sharing;
mod topologies;
mod ways;

use server::Server;

/// Longer than anything here takes; only a failing test waits for it.
const LONG: Duration = Duration::from_secs(10);

/// A server that a cache, which waits for its answers, is connected to.
async fn world() -> (Server, Cache) {
    let server = Server::start();
    let cache = patient_cache(settings_at(&server.url())).await;
    (server, cache)
}

/// A cache that copies what a store holds, for longer than any test takes.
fn near_at(url: &str) -> Cache {
    Cache::new(&near_settings_at(url)).unwrap()
}

fn near_settings_at(url: &str) -> Settings {
    let near = NearSettings {
        ttl: Duration::from_secs(60),
        ..NearSettings::default()
    };
    Settings {
        near: Some(near),
        ..settings_at(url)
    }
}

/// For tests of what is answered, not of how soon: a thousand calls at once take their time where
/// nothing is optimised.
fn patient(settings: Settings) -> Settings {
    Settings {
        timeout: LONG,
        ..settings
    }
}

async fn patient_cache(settings: Settings) -> Cache {
    let cache = Cache::new(&patient(settings)).unwrap();
    until_it_works(&cache).await;
    cache
}

fn cache_at(url: &str) -> Cache {
    Cache::new(&settings_at(url)).unwrap()
}

fn settings_at(url: &str) -> Settings {
    let url = url.parse().unwrap();
    Settings {
        store: StoreSettings::Dragonfly {
            url,
            password_file: None,
            ca_file: None,
        },
        ..Settings::default()
    }
}

fn namespace() -> Namespace {
    "rates".parse().unwrap()
}

/// Asks again and again until the answer is the one wanted; how long that took.
async fn until<T>(mut ask: impl AsyncFnMut() -> T, wanted: impl Fn(&T) -> bool) -> Duration {
    let start = Instant::now();
    while !wanted(&ask().await) {
        assert!(start.elapsed() < LONG, "this never came about");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    start.elapsed()
}

async fn until_it_works(cache: &Cache) -> Duration {
    let namespace = namespace();
    until(|| cache.get(&namespace, b"k"), Result::is_ok).await
}

#[test]
fn a_store_outside_needs_a_runtime() {
    let built = Cache::new(&settings_at("redis://127.0.0.1:1"));
    assert!(matches!(built, Err(BuildError::NoRuntime)));
}

#[tokio::test]
async fn settings_out_of_range_are_refused() {
    let timeout = Settings {
        timeout: Duration::ZERO,
        ..settings_at("redis://127.0.0.1:1")
    };
    assert!(matches!(Cache::new(&timeout), Err(BuildError::Timeout)));
    for seconds in [0, 365 * 24 * 60 * 60 + 1] {
        let ttl = Settings {
            default_ttl: Duration::from_secs(seconds),
            ..Settings::default()
        };
        assert!(matches!(Cache::new(&ttl), Err(BuildError::DefaultTtl)));
    }
}

#[test]
fn settings_do_not_show_the_password() {
    let shown = format!("{:?}", settings_at("redis://user:secret@127.0.0.1:1"));
    assert!(shown.contains("127.0.0.1:1"), "{shown}");
    assert!(
        !shown.contains("secret") && !shown.contains("user"),
        "{shown}"
    );
}

/// Half a second on top of the timeout is for a busy machine.
async fn assert_fails_in_time(cache: &Cache) -> CacheError {
    let start = Instant::now();
    let error = cache.get(&namespace(), b"k").await.unwrap_err();
    assert!(start.elapsed() < Settings::default().timeout + Duration::from_millis(500));
    error
}
