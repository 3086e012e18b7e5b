//! What a function changes about the request, for the upstream and the functions after it.

use crate::{Error, buffer, sys};

/// Sets a header of the request, in place of all values it has.
///
/// The function itself sees the change at once, the functions after it and the upstream when the
/// entry has returned `Ok`. Headers that frame the message or are the node's own are
/// refused, as in [`response`](crate::response).
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # let outcome = Host::new().run(|| {
/// request::set_header("x-user", "ada")?;
/// # Ok::<(), Error>(())
/// # });
/// # assert_eq!(outcome.request_header("x-user"), Some("ada"));
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for a name or value HTTP does not allow,
/// [`NotAllowed`](crate::Code::NotAllowed) for a header of the node's own,
/// [`LimitReached`](crate::Code::LimitReached) past the operator's number or size of header edits,
/// [`WrongPhase`](crate::Code::WrongPhase) in the response phase.
pub fn set_header(name: &str, value: &str) -> Result<(), Error> {
    buffer::done(sys::request_set_header(name.as_bytes(), value.as_bytes()))
}

/// Adds a header to the request, next to the values it has.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # Host::new().run(|| {
/// request::add_header("accept-language", "mi")?;
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// As [`set_header`].
pub fn add_header(name: &str, value: &str) -> Result<(), Error> {
    buffer::done(sys::request_add_header(name.as_bytes(), value.as_bytes()))
}

/// Removes a header from the request.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # let outcome = Host::new().header("authorization", "Bearer secret").run(|| {
/// request::remove_header("authorization")?;
/// # Ok::<(), Error>(())
/// # });
/// # assert_eq!(outcome.request_header("authorization"), None);
/// ```
///
/// # Errors
///
/// As [`set_header`]; removing what is not there is none.
pub fn remove_header(name: &str) -> Result<(), Error> {
    buffer::done(sys::request_remove_header(name.as_bytes()))
}

/// Sets the path and query that the upstream is asked for; the route stays the one that was found.
///
/// The URI begins with a slash. The node brings its path into normal form, as it does with that of
/// a client.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # let outcome = Host::new().uri("/shop?item=3").run(|| {
/// request::set_uri("/shop-b?item=3")?;
/// # Ok::<(), Error>(())
/// # });
/// # assert_eq!(outcome.request_uri(), "/shop-b?item=3");
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for what is no path and query,
/// [`TooLarge`](crate::Code::TooLarge) over the operator's limit,
/// [`WrongPhase`](crate::Code::WrongPhase) in the response phase.
pub fn set_uri(uri: &str) -> Result<(), Error> {
    buffer::done(sys::request_set_uri(uri.as_bytes()))
}

/// Sets the body of the request, in place of the client's. The node works out the length.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # let outcome = Host::new().method("POST").run(|| {
/// request::set_body(r#"{"checked":true}"#)?;
/// # Ok::<(), Error>(())
/// # });
/// # assert_eq!(outcome.request_body(), Some(br#"{"checked":true}"#.as_slice()));
/// ```
///
/// # Errors
///
/// [`TooLarge`](crate::Code::TooLarge) over the operator's limit,
/// [`WrongPhase`](crate::Code::WrongPhase) in the response phase.
pub fn set_body(body: impl AsRef<[u8]>) -> Result<(), Error> {
    buffer::done(sys::request_set_body(body.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::{add_header, remove_header, set_body, set_header, set_uri};
    use crate::testing::{Host, Reply};
    use crate::{Code, Error, request};

    #[test]
    fn edits_make_up_what_the_upstream_sees() {
        let mut host = Host::new()
            .uri("/page?a=1")
            .header("cookie", "theme=dark")
            .header("accept", "text/html");
        let outcome = host.run(|| {
            remove_header("Cookie")?;
            assert_eq!(request::header("cookie")?, None);
            set_header("Accept", "*/*")?;
            add_header("x-tag", "one")?;
            add_header("x-tag", "two")?;
            set_uri("/page-b?a=1")?;
            assert_eq!(request::path()?, "/page-b");
            set_body("new")?;
            request::body().map(|body| assert_eq!(body, b"new"))
        });
        outcome.assert_ok();
        assert!(!outcome.is_terminated());
        assert_eq!(outcome.request_header("cookie"), None);
        assert_eq!(outcome.request_header("accept"), Some("*/*"));
        assert_eq!(
            outcome.request_headers(),
            [
                ("accept", "*/*".into()),
                ("x-tag", "one".into()),
                ("x-tag", "two".into())
            ]
        );
        assert_eq!(outcome.request_uri(), "/page-b?a=1");
        assert_eq!(outcome.request_body(), Some(b"new".as_slice()));

        let untouched = host.run(|| Ok::<(), Error>(()));
        assert_eq!(untouched.request_header("cookie"), Some("theme=dark"));
        assert_eq!(untouched.request_uri(), "/page?a=1");
        assert_eq!(untouched.request_body(), None);
    }

    #[test]
    fn what_no_request_may_have_is_refused() {
        let set = |name, value| set_header(name, value).map_err(|error| error.code());
        let uri = |uri: &str| set_uri(uri).map_err(|error| error.code());
        Host::new()
            .run(|| {
                assert_eq!(set("host", "elsewhere"), Err(Code::NotAllowed));
                assert_eq!(set("x-forwarded-for", "::1"), Err(Code::NotAllowed));
                assert_eq!(set("expect", "100-continue"), Err(Code::NotAllowed));
                assert_eq!(set("X-Request-Id", "1"), Err(Code::NotAllowed));
                assert_eq!(set("x y", "1"), Err(Code::BadArgument));
                assert_eq!(set("x", "1\nhost: a"), Err(Code::BadArgument));
                for bad in [
                    "",
                    "page",
                    "https://a.example/",
                    "//a.example/",
                    "/ ",
                    "/#a",
                    "*",
                ] {
                    assert_eq!(uri(bad), Err(Code::BadArgument), "{bad}");
                }
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn the_response_phase_is_too_late() {
        let late = |result: Result<(), Error>| {
            assert_eq!(result.map_err(|error| error.code()), Err(Code::WrongPhase));
        };
        Host::new()
            .received(Reply::new(200))
            .run_response(|| {
                late(set_header("x", "1"));
                late(add_header("x", "1"));
                late(remove_header("x"));
                late(set_uri("/"));
                late(set_body(""));
                late(request::terminate(200));
                assert_eq!(request::uri()?, "/");
                Ok::<(), Error>(())
            })
            .assert_ok();
    }
}
