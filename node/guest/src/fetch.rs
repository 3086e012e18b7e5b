//! HTTPS calls to the hosts the operator granted this function.
//!
//! A [`Request`] is a call with any method, headers and body; sent, it comes back as a [`Reply`]
//! with status, headers and body. [Started](Request::start), it runs while the function does other
//! things, several calls at once; [`Join`] waits for all of them. [`get`], [`post`], [`put`] and
//! [`delete`] are shorter, and return the body whatever the status: look at it before relying on
//! it. A URL is `https`, at most 8 KiB; bodies in both directions are at most 1 MiB; a
//! call takes at most 5 seconds unless configured otherwise, redirects included. Waiting does not
//! count against the function's execution time.
//!
//! # Errors
//!
//! All calls fail with [`NotAllowed`](crate::Code::NotAllowed) for a host or address without a
//! grant, [`BadArgument`](crate::Code::BadArgument) for what is no URL,
//! [`TooLarge`](crate::Code::TooLarge) for a URL or body over its limit,
//! [`TimedOut`](crate::Code::TimedOut) and [`Unavailable`](crate::Code::Unavailable) when no whole
//! answer came, and [`LimitReached`](crate::Code::LimitReached) past the operator's number of
//! calls per invocation.

mod pending;
mod reply;
mod request;

pub use pending::{Join, Pending};
pub use reply::Reply;
pub use request::Request;

use crate::{Error, sys};

/// GET: the body of the answer.
///
/// ```
/// # use aegis_guest::{Error, fetch, testing::Host};
/// # Host::new().answer("https://httpbin.org/json", "{}").run(|| {
/// let body = fetch::get("https://httpbin.org/json")?;
/// assert_eq!(body, b"{}");
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// See the [module](self#errors).
pub fn get(url: &str) -> Result<Vec<u8>, Error> {
    reply::body(sys::http_get(url.as_bytes()))
}

/// POST of a body of the given content type: the body of the answer.
///
/// ```
/// # use aegis_guest::{Error, fetch, testing::Host};
/// # Host::new().answer("https://httpbin.org/post", "{}").run(|| {
/// let answer = fetch::post("https://httpbin.org/post", "application/json", r#"{"a":1}"#)?;
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// See the [module](self#errors).
pub fn post(url: &str, content_type: &str, body: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
    reply::body(sys::http_post(
        url.as_bytes(),
        body.as_ref(),
        content_type.as_bytes(),
    ))
}

/// PUT of a body of the given content type: the body of the answer.
///
/// ```
/// # use aegis_guest::{Error, fetch, testing::Host};
/// # Host::new().answer("https://httpbin.org/put", "{}").run(|| {
/// let answer = fetch::put("https://httpbin.org/put", "text/plain", "new content")?;
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// See the [module](self#errors).
pub fn put(url: &str, content_type: &str, body: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
    reply::body(sys::http_put(
        url.as_bytes(),
        body.as_ref(),
        content_type.as_bytes(),
    ))
}

/// DELETE: the body of the answer.
///
/// ```
/// # use aegis_guest::{Error, fetch, testing::Host};
/// # Host::new().answer("https://httpbin.org/delete", "{}").run(|| {
/// let answer = fetch::delete("https://httpbin.org/delete")?;
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// See the [module](self#errors).
pub fn delete(url: &str) -> Result<Vec<u8>, Error> {
    reply::body(sys::http_delete(url.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{delete, get, post, put};
    use crate::testing::{Call, Host};
    use crate::{Code, Error};

    const URL: &str = "https://api.example.com/things";

    #[test]
    fn each_method_sends_what_it_was_given() {
        let outcome = Host::new().answer(URL, "ok").run(|| {
            get(URL)?;
            post(URL, "text/plain", "new")?;
            put(URL, "text/html", "changed")?;
            delete(URL).map(|body| assert_eq!(body, b"ok"))
        });
        outcome.assert_ok();

        let call = |method: &str, content_type: &str, body: &[u8]| {
            let header = ("content-type".into(), content_type.into());
            Call {
                method: method.into(),
                url: URL.into(),
                content_type: content_type.into(),
                headers: if content_type.is_empty() {
                    vec![]
                } else {
                    vec![header]
                },
                body: body.into(),
            }
        };
        assert_eq!(
            outcome.calls(),
            [
                call("GET", "", b""),
                call("POST", "text/plain", b"new"),
                call("PUT", "text/html", b"changed"),
                call("DELETE", "", b""),
            ]
        );
    }

    #[test]
    fn what_has_no_grant_or_no_answer_is_an_error() {
        let code = |url| get(url).map_err(|error| error.code());
        let mut host = Host::new()
            .answer("http://api.example.com/", "plain")
            .answer_fails(URL, Code::TimedOut);
        host.run(|| {
            assert_eq!(code("https://elsewhere.example/"), Err(Code::NotAllowed));
            assert_eq!(code("http://api.example.com/"), Err(Code::NotAllowed));
            assert_eq!(code(URL), Err(Code::TimedOut));
            Ok::<(), Error>(())
        })
        .assert_ok();
    }
}
