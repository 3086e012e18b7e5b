//! Answers from the request alone: who is greeted, and with what.

use aegis_guest::{Error, config, entry, request, respond};

entry!(hello);

/// Greets the query's `name`, or the header's, or the world.
fn hello() -> Result<(), Error> {
    let greeting = config::value("greeting")?.unwrap_or("hello".into());
    let name = match request::query_value("name")? {
        Some(name) => name,
        None => request::header("name")?.unwrap_or("world".into()),
    };
    let (method, path) = (request::method()?, request::path()?);
    respond(
        200,
        "text/plain; charset=utf-8",
        format!("{greeting}, {name}! ({method} {path})\n"),
    )
}

#[cfg(test)]
mod tests {
    use aegis_guest::testing::Host;

    use super::hello;

    #[test]
    fn greets_the_world_by_default() {
        let outcome = Host::new().uri("/hello").run(hello);
        assert_eq!(outcome.status(), Some(200));
        assert_eq!(
            outcome.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(outcome.text(), "hello, world! (GET /hello)\n");
    }

    #[test]
    fn the_query_goes_before_the_header() {
        let mut host = Host::new().uri("/hello").header("name", "Grace");
        assert_eq!(host.run(hello).text(), "hello, Grace! (GET /hello)\n");

        let mut host = host.uri("/hello?name=Ada+L.").method("POST");
        assert_eq!(host.run(hello).text(), "hello, Ada L.! (POST /hello)\n");
    }

    #[test]
    fn the_greeting_is_configured() {
        let outcome = Host::new().config("greeting", "good day").run(hello);
        assert_eq!(outcome.text(), "good day, world! (GET /)\n");
    }
}
