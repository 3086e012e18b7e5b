//! Counter: how often each page was asked for in its hour, whoever asks at the same time.

use std::time::Duration;

use aegis_guest::{Error, cache, entry, log, request, response};

entry!(hit_counter);

/// A counter ends an hour after its first hit.
const TTL: Duration = Duration::from_secs(60 * 60);

/// A key has at most 256 bytes.
const LONGEST: usize = 200;

/// Tells the client in `x-hits`, and lets the request go on.
fn hit_counter() -> Result<(), Error> {
    let path = request::path()?;
    let path = &path.as_bytes()[..path.len().min(LONGEST)];
    match cache::increment([b"hits:", path].concat(), 1, TTL) {
        Ok(hits) => response::set_header("x-hits", &hits.to_string()),
        // A page is not to fail because nobody counts.
        Err(error) => {
            log!("not counted: {error}");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use aegis_guest::Code;
    use aegis_guest::testing::Host;

    use super::{TTL, hit_counter};

    #[test]
    fn every_page_has_a_counter_of_its_own_that_ends() {
        let mut host = Host::new().uri("/a?x=1");
        assert_eq!(host.run(hit_counter).header("x-hits"), Some("1"));
        host.advance(TTL / 2);
        let mut host = host.uri("/a?x=2");
        assert_eq!(host.run(hit_counter).header("x-hits"), Some("2"));
        let mut host = host.uri("/b");
        assert_eq!(host.run(hit_counter).header("x-hits"), Some("1"));
        host.advance(TTL / 2);
        let mut host = host.uri("/a");
        assert_eq!(host.run(hit_counter).header("x-hits"), Some("1"));
    }

    #[test]
    fn pages_do_not_fail_with_the_cache_or_with_long_paths() {
        let long = format!("/{}", "x".repeat(1000));
        assert_eq!(
            Host::new().uri(&long).run(hit_counter).header("x-hits"),
            Some("1")
        );
        let outcome = Host::new().cache_fails(Code::TimedOut).run(hit_counter);
        outcome.assert_ok();
        assert_eq!(outcome.header("x-hits"), None);
    }
}
