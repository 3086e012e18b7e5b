//! Cache-aside: answer from the cache, else ask the source and keep what it says.

use std::time::Duration;

use aegis_guest::{Code, Error, cache, config, entry, fetch, log, request, respond, response};

entry!(cache_aside);

const TTL: Duration = Duration::from_secs(60);

/// Needs `config = { source = "https://api.example.com" }`, and `egress` for its host.
fn cache_aside() -> Result<(), Error> {
    let source = config::value("source")?.ok_or(Error::new(Code::NotFound, "no source"))?;
    let url = format!("{source}{}", request::uri()?);
    // A cache that fails, or a URL too long for a key, is a miss: slower, not wrong.
    if let Ok(Some(document)) = cache::get(&url) {
        return answer(&document, "hit");
    }
    match fetch::Request::get(&url)
        .header("accept", "application/json")
        .send()
    {
        Ok(reply) if reply.status() == 200 => {
            cache::set(&url, reply.body(), TTL).unwrap_or_else(|error| log!("not kept: {error}"));
            answer(reply.body(), "miss")
        }
        // What went wrong may be right the next time: it is not kept.
        Ok(reply) if reply.status() == 404 => respond(404, "text/plain", "no such document\n"),
        Ok(reply) => unavailable(&format!("status {}", reply.status())),
        Err(error) => unavailable(&error.to_string()),
    }
}

fn answer(document: &[u8], cache: &str) -> Result<(), Error> {
    response::set_header("x-cache", cache)?;
    respond(200, "application/json", document)
}

fn unavailable(reason: &str) -> Result<(), Error> {
    log!("the source does not answer: {reason}");
    respond(502, "text/plain", "not available\n")
}

#[cfg(test)]
mod tests {
    use aegis_guest::Code;
    use aegis_guest::testing::{Host, Reply};

    use super::{TTL, cache_aside};

    const URL: &str = "https://api.example.com/prices?of=tea";

    fn host() -> Host {
        Host::new()
            .config("source", "https://api.example.com")
            .uri("/prices?of=tea")
    }

    #[test]
    fn the_source_is_asked_once_for_as_long_as_its_answer_is_kept() {
        let mut host = host().answer(URL, "{}");
        let mut run = |expected| {
            let outcome = host.run(cache_aside);
            assert_eq!(
                (outcome.status(), outcome.text().as_ref()),
                (Some(200), "{}")
            );
            assert_eq!(outcome.header("x-cache"), Some(expected));
            host.advance(TTL / 2);
        };
        for expected in ["miss", "hit", "miss"] {
            run(expected);
        }
    }

    #[test]
    fn errors_are_answers_and_are_not_kept() {
        for (reply, status) in [(Reply::new(404), 404), (Reply::new(500), 502)] {
            let mut host = host().reply(URL, reply);
            assert_eq!(host.run(cache_aside).status(), Some(status));
            assert_eq!(host.cache_value(URL), None);
        }
        let mut down = host().answer_fails(URL, Code::TimedOut);
        assert_eq!(down.run(cache_aside).status(), Some(502));
    }

    #[test]
    fn without_a_cache_it_is_only_slower() {
        let mut host = host().answer(URL, "{}").cache_fails(Code::Unavailable);
        assert_eq!(host.run(cache_aside).status(), Some(200));
    }
}
