//! Stale if error: an old answer is better than none while the source is down.

use std::time::Duration;

use aegis_guest::{Code, Error, cache, config, entry, fetch, log, respond, response, time};

entry!(stale_if_error);

/// How many seconds an answer counts as new, unless `config = { fresh = "60" }` says otherwise.
const FRESH: u64 = 10;

/// How long it is kept for the day on which the source is down.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Needs `config = { url = "https://api.example.com/status" }`, and `egress` for its host.
fn stale_if_error() -> Result<(), Error> {
    let url = config::value("url")?.ok_or(Error::new(Code::NotFound, "no url"))?;
    let kept = cache::get(&url).unwrap_or(None);
    let kept = kept.as_deref().and_then(split);
    if let Some((until, document)) = kept
        && time::now() < until
    {
        return answer(document, "hit");
    }
    match (ask(&url), kept) {
        (Ok(document), _) => {
            keep(&url, &document).unwrap_or_else(|error| log!("not kept: {error}"));
            answer(&document, "miss")
        }
        (Err(error), Some((_, document))) => {
            log!("served stale: {error}");
            answer(document, "stale")
        }
        (Err(error), None) => {
            log!("nothing to serve: {error}");
            respond(502, "text/plain", "not available\n")
        }
    }
}

fn ask(url: &str) -> Result<Vec<u8>, Error> {
    let reply = fetch::Request::get(url).send()?;
    match reply.status() {
        200 => Ok(reply.into_body()),
        status => Err(Error::new(Code::Unavailable, format!("status {status}"))),
    }
}

/// An entry is the time in milliseconds until which it is fresh, and the document.
fn keep(url: &str, document: &[u8]) -> Result<(), Error> {
    let fresh = config::value("fresh")?.and_then(|fresh| fresh.parse().ok());
    let until = time::now() + Duration::from_secs(fresh.unwrap_or(FRESH));
    let until = u64::try_from(until.as_millis()).unwrap_or(0);
    cache::set(url, [&until.to_le_bytes(), document].concat(), KEPT)
}

fn split(entry: &[u8]) -> Option<(Duration, &[u8])> {
    let (until, document) = entry.split_first_chunk()?;
    Some((Duration::from_millis(u64::from_le_bytes(*until)), document))
}

fn answer(document: &[u8], cache: &str) -> Result<(), Error> {
    response::set_header("x-cache", cache)?;
    respond(200, "application/json", document)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aegis_guest::Code;
    use aegis_guest::testing::{Host, Outcome, Reply};

    use super::{FRESH, KEPT, stale_if_error};

    const URL: &str = "https://api.example.com/status";

    fn served(outcome: &Outcome) -> (Option<u16>, Option<&str>) {
        (outcome.status(), outcome.header("x-cache"))
    }

    #[test]
    fn an_old_answer_is_served_until_the_source_is_back() {
        let mut host = Host::new().config("url", URL).answer(URL, "{}");
        assert_eq!(served(&host.run(stale_if_error)), (Some(200), Some("miss")));
        assert_eq!(served(&host.run(stale_if_error)), (Some(200), Some("hit")));

        host.advance(Duration::from_secs(FRESH));
        for down in [Ok(Reply::new(503)), Err(Code::TimedOut)] {
            host = match down {
                Ok(reply) => host.reply(URL, reply),
                Err(code) => host.answer_fails(URL, code),
            };
            let outcome = host.run(stale_if_error);
            assert_eq!(served(&outcome), (Some(200), Some("stale")));
            assert_eq!(outcome.text(), "{}");
        }

        let mut host = host.answer(URL, "{\"new\":1}");
        assert_eq!(served(&host.run(stale_if_error)), (Some(200), Some("miss")));
    }

    #[test]
    fn with_nothing_kept_there_is_nothing_to_serve() {
        let mut host = Host::new().config("url", URL).answer(URL, "{}");
        host.run(stale_if_error).assert_ok();
        host.advance(KEPT);
        let mut host = host.answer_fails(URL, Code::Unavailable);
        assert_eq!(served(&host.run(stale_if_error)), (Some(502), None));
    }
}
