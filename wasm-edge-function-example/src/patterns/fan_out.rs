//! Fan-out and join: several sources are asked at once, and one document is made of the answers.

use aegis_guest::{Code, Error, config, entry, fetch, log, respond};

entry!(fan_out);

/// Needs `config = { sources = "weather=https://w.example.com/now news=https://…" }`, and `egress`
/// for their hosts. Takes as long as the slowest source, not as long as all of them; one that
/// fails is `null`.
fn fan_out() -> Result<(), Error> {
    let sources = config::value("sources")?.ok_or(Error::new(Code::NotFound, "no sources"))?;
    let mut calls = fetch::Join::new();
    for (name, url) in sources
        .split_whitespace()
        .filter_map(|it| it.split_once('='))
    {
        calls.start(
            name,
            &fetch::Request::get(url).header("accept", "application/json"),
        )?;
    }
    let members: Vec<String> = calls
        .all()
        .into_iter()
        .map(|(name, reply)| format!("\"{name}\":{}", document(name, reply)))
        .collect();
    respond(
        200,
        "application/json",
        format!("{{{}}}\n", members.join(",")),
    )
}

fn document(name: &str, reply: Result<fetch::Reply, Error>) -> String {
    match reply {
        Ok(reply) if reply.is_success() && looks_like_json(reply.body()) => {
            String::from_utf8_lossy(reply.body().trim_ascii()).into_owned()
        }
        Ok(reply) => absent(name, &format!("status {}, or no JSON", reply.status())),
        Err(error) => absent(name, &error.to_string()),
    }
}

fn absent(name: &str, reason: &str) -> String {
    log!("{name} is left out: {reason}");
    "null".into()
}

/// Enough for sources one trusts; a broken document would break the whole.
fn looks_like_json(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.starts_with(b"{") && body.ends_with(b"}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aegis_guest::testing::{Host, Reply};
    use aegis_guest::{Code, Error, time};

    use super::fan_out;

    const SOURCES: &str =
        "a=https://a.example.com/ b=https://b.example.com/ c=https://c.example.com/";

    #[test]
    fn the_answers_are_joined_and_asked_for_at_once() {
        let reply = |body, seconds| {
            Reply::new(200)
                .body(body)
                .after(Duration::from_secs(seconds))
        };
        let mut host = Host::new()
            .config("sources", SOURCES)
            .reply("https://a.example.com/", reply("{\"n\":1}\n", 3))
            .reply("https://b.example.com/", reply("{\"n\":2}", 2))
            .reply("https://c.example.com/", reply("<p>", 1));
        let outcome = host.run(fan_out);
        assert_eq!(
            outcome.text(),
            "{\"a\":{\"n\":1},\"b\":{\"n\":2},\"c\":null}\n"
        );
        assert_eq!(outcome.calls().len(), 3);
        host.run(|| {
            assert_eq!(time::now(), Duration::from_secs(3));
            Ok::<(), Error>(())
        })
        .assert_ok();
    }

    #[test]
    fn a_source_that_fails_is_left_out() {
        let outcome = Host::new()
            .config("sources", SOURCES)
            .answer("https://a.example.com/", "{}")
            .answer_fails("https://b.example.com/", Code::TimedOut)
            .reply("https://c.example.com/", Reply::new(500).body("{}"))
            .run(fan_out);
        assert_eq!(outcome.text(), "{\"a\":{},\"b\":null,\"c\":null}\n");
        assert_eq!(outcome.logs().len(), 2);
    }
}
