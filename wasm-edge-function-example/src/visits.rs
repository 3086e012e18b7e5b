//! Counts visits in the node's cache.

use std::time::Duration;

use aegis_guest::{Error, cache, entry, respond};

entry!(visits);

const KEY: &str = "visits";

/// A day after the last visit, counting starts anew.
const TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Answers how often it was called. Two calls at the very same time may count as one: reading and
/// writing are separate steps.
fn visits() -> Result<(), Error> {
    let before = cache::get(KEY)?.and_then(count).unwrap_or(0);
    let visits = before.saturating_add(1);
    cache::set(KEY, visits.to_string(), TTL)?;
    respond(
        200,
        "text/plain; charset=utf-8",
        format!("visits: {visits}\n"),
    )
}

/// What the cache holds may be from another version, or from another function of the same
/// namespace: `None` for what is no number.
fn count(value: Vec<u8>) -> Option<u64> {
    String::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use aegis_guest::Code;
    use aegis_guest::testing::Host;

    use super::{TTL, visits};

    #[test]
    fn counts_up() {
        let mut host = Host::new();
        assert_eq!(host.run(visits).text(), "visits: 1\n");
        assert_eq!(host.run(visits).text(), "visits: 2\n");
        assert_eq!(host.cache_value("visits"), Some(b"2".as_slice()));
    }

    #[test]
    fn starts_anew_after_a_day_without_visits() {
        let mut host = Host::new();
        host.run(visits).assert_ok();
        host.advance(TTL);
        assert_eq!(host.run(visits).text(), "visits: 1\n");
    }

    #[test]
    fn starts_anew_where_the_cache_holds_something_else() {
        let outcome = Host::new().cached("visits", "many").run(visits);
        assert_eq!(outcome.text(), "visits: 1\n");
    }

    #[test]
    fn fails_when_the_cache_does() {
        let outcome = Host::new().cache_fails(Code::Unavailable).run(visits);
        assert!(outcome.error().is_some());
    }
}
