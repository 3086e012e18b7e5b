//! Rate limit: so many requests a minute for each client, counted by all nodes together.

use std::net::IpAddr;
use std::time::Duration;

use aegis_guest::cache::{self, Decision};
use aegis_guest::{Code, Error, config, entry, log, request, respond, response};

entry!(rate_limit);

const WINDOW: Duration = Duration::from_secs(60);

/// `config = { limit = "100" }` sets the number of requests a minute; it is 60 otherwise.
fn rate_limit() -> Result<(), Error> {
    match cache::rate_limit(client()?, limit()?, WINDOW) {
        Ok(Decision::Allowed) => Ok(()),
        Ok(refused) => {
            let seconds = refused.retry_after_seconds().unwrap_or(1);
            response::set_header("retry-after", &seconds.to_string())?;
            respond(429, "text/plain", "too many requests\n")
        }
        // With the store down, better no limit than no service. To have it the other way round,
        // return every error.
        Err(error) if is_outage(&error) => {
            log!("not limited: {error}");
            Ok(())
        }
        Err(mistake) => Err(mistake),
    }
}

fn limit() -> Result<u32, Error> {
    match config::value("limit")? {
        Some(limit) => limit
            .parse()
            .map_err(|_| Error::new(Code::BadArgument, "config.limit is no number")),
        None => Ok(60),
    }
}

fn is_outage(error: &Error) -> bool {
    const OUTAGES: [Code; 3] = [Code::TimedOut, Code::Unavailable, Code::LimitReached];
    OUTAGES.contains(&error.code())
}

/// Who counts as one client. With IPv6 that is a network of 64 bits: one household, one server.
fn client() -> Result<String, Error> {
    Ok(match request::client_address()? {
        IpAddr::V4(address) => format!("client:{address}"),
        IpAddr::V6(address) => format!("client:{:x}/64", address.to_bits() >> 64),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aegis_guest::Code;
    use aegis_guest::testing::Host;

    use super::rate_limit;

    fn host(address: &str) -> Host {
        Host::new().config("limit", "2").client_address(address)
    }

    #[test]
    fn a_client_past_its_limit_is_told_when_to_come_back() {
        let mut host = host("192.0.2.1");
        assert!(!host.run(rate_limit).is_terminated());
        assert!(!host.run(rate_limit).is_terminated());
        let refused = host.run(rate_limit);
        assert_eq!(refused.status(), Some(429));
        assert_eq!(refused.header("retry-after"), Some("30"));

        let mut host = host.client_address("192.0.2.2");
        assert!(!host.run(rate_limit).is_terminated());

        host.advance(Duration::from_secs(30));
        let mut host = host.client_address("192.0.2.1");
        assert!(!host.run(rate_limit).is_terminated());
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_limit() {
        let mut host = host("2001:db8::1");
        host.run(rate_limit).assert_ok();
        host.run(rate_limit).assert_ok();
        let mut host = host.client_address("2001:db8::ffff:2");
        assert_eq!(host.run(rate_limit).status(), Some(429));
    }

    #[test]
    fn without_a_store_requests_pass() {
        let outcome = host("192.0.2.1")
            .cache_fails(Code::Unavailable)
            .run(rate_limit);
        outcome.assert_ok();
        assert!(!outcome.is_terminated());
        assert_eq!(outcome.logs().len(), 1);
    }

    #[test]
    fn a_limit_that_is_none_lets_nobody_pass() {
        for limit in ["0", "many"] {
            let outcome = Host::new().config("limit", limit).run(rate_limit);
            assert!(outcome.error().is_some(), "{limit}");
        }
    }
}
