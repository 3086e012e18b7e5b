//! Fetches a document over HTTPS and keeps it in the node's cache for a minute.

use std::time::Duration;

use aegis_guest::{Error, cache, config, entry, fetch, log, respond, response};

entry!(fetch_exchange_rates);

/// Where the document comes from, unless `config = { url = "…" }` says otherwise. The function's
/// `egress` has to grant the host.
const URL: &str = "https://httpbin.org/json";

const TTL: Duration = Duration::from_secs(60);

/// Answers with the document, from the cache or from its source; `x-cache` tells which.
fn fetch_exchange_rates() -> Result<(), Error> {
    let url = config::value("url")?.unwrap_or(URL.into());
    // Without its cache a function can still do its work, only slower.
    if let Ok(Some(rates)) = cache::get(&url) {
        return answer(&rates, "hit");
    }
    match fetch::get(&url) {
        Ok(rates) if looks_like_json(&rates) => {
            cache::set(&url, &rates, TTL).unwrap_or_else(|error| log!("not cached: {error}"));
            answer(&rates, "miss")
        }
        Ok(_) => unavailable("the answer is not JSON"),
        Err(error) => unavailable(&error.to_string()),
    }
}

fn answer(rates: &[u8], cache: &str) -> Result<(), Error> {
    response::set_header("x-cache", cache)?;
    respond(200, "application/json", rates)
}

/// The reason goes to the log; it is not for the client.
fn unavailable(reason: &str) -> Result<(), Error> {
    log!("no exchange rates: {reason}");
    respond(
        502,
        "text/plain; charset=utf-8",
        "exchange rates are not available\n",
    )
}

/// An HTTPS call succeeds whatever the status, and an error page must not get into the cache.
fn looks_like_json(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.starts_with(b"{") && body.ends_with(b"}")
}

#[cfg(test)]
mod tests {
    use aegis_guest::Code;
    use aegis_guest::testing::Host;

    use super::{TTL, URL, fetch_exchange_rates};

    const RATES: &str = "{\"EUR\": 1.0}\n";

    #[test]
    fn asks_once_a_minute() {
        let mut host = Host::new().answer(URL, RATES);

        let first = host.run(fetch_exchange_rates);
        assert_eq!(first.status(), Some(200));
        assert_eq!(first.header("content-type"), Some("application/json"));
        assert_eq!(first.header("x-cache"), Some("miss"));
        assert_eq!(first.text(), RATES);

        let second = host.run(fetch_exchange_rates);
        assert_eq!(second.header("x-cache"), Some("hit"));
        assert_eq!(second.text(), RATES);
        assert!(second.calls().is_empty());

        host.advance(TTL);
        let third = host.run(fetch_exchange_rates);
        assert_eq!(third.header("x-cache"), Some("miss"));
    }

    #[test]
    fn works_without_a_cache() {
        let outcome = Host::new()
            .cache_fails(Code::TimedOut)
            .answer(URL, RATES)
            .run(fetch_exchange_rates);
        assert_eq!(outcome.status(), Some(200));
        assert_eq!(outcome.text(), RATES);
    }

    #[test]
    fn a_source_that_fails_is_a_502_and_is_not_cached() {
        for host in [
            Host::new().answer_fails(URL, Code::TimedOut),
            Host::new().answer(URL, "<h1>bad gateway</h1>"),
            Host::new(),
        ] {
            let mut host = host;
            let outcome = host.run(fetch_exchange_rates);
            assert_eq!(outcome.status(), Some(502));
            assert_eq!(outcome.text(), "exchange rates are not available\n");
            assert_eq!(outcome.logs().len(), 1);
            assert_eq!(host.cache_value(URL), None);
        }
    }

    #[test]
    fn the_source_is_configured() {
        let url = "https://rates.example.com/latest";
        let outcome = Host::new()
            .config("url", url)
            .answer(url, RATES)
            .run(fetch_exchange_rates);
        assert_eq!(outcome.text(), RATES);
    }
}
