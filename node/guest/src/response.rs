//! The response: what the client will get.
//!
//! After [`request::terminate`] (or [`respond`]) these calls make up the answer. Without it they
//! are edits, applied to what the upstream answers; on a route without an upstream they make up
//! the answer too, with status 200 unless another is set. All of them take effect only when the
//! entry returns `Ok`.
//!
//! In the response phase they change what the upstream answered, which [`received`] reads.
//!
//! Headers that frame the message or are the node's own (`content-length`, `connection`, `date`,
//! `host`, `via`, `x-forwarded-*`, `x-aegis-*` and their like) are refused.

pub mod received;

use crate::{Error, buffer, request, sys};

/// Sets the status, 200 to 599.
///
/// ```
/// # use aegis_guest::{Error, response, testing::Host};
/// # Host::new().run(|| {
/// response::set_status(203)?;
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for another status.
pub fn set_status(status: u16) -> Result<(), Error> {
    buffer::done(sys::response_set_status(status.into()))
}

/// Sets a header, in place of all values it has.
///
/// ```
/// # use aegis_guest::{Error, response, testing::Host};
/// # Host::new().run(|| {
/// response::set_header("cache-control", "no-store")?;
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for a name or value HTTP does not allow,
/// [`NotAllowed`](crate::Code::NotAllowed) for a header of the node's own,
/// [`LimitReached`](crate::Code::LimitReached) past the operator's number or size of headers.
pub fn set_header(name: &str, value: &str) -> Result<(), Error> {
    buffer::done(sys::response_set_header(name.as_bytes(), value.as_bytes()))
}

/// Adds a header, next to the values it has.
///
/// ```
/// # use aegis_guest::{Error, response, testing::Host};
/// # Host::new().run(|| {
/// response::add_header("set-cookie", "theme=dark")?;
/// response::add_header("set-cookie", "size=large")?;
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// As [`set_header`].
pub fn add_header(name: &str, value: &str) -> Result<(), Error> {
    buffer::done(sys::response_add_header(name.as_bytes(), value.as_bytes()))
}

/// Removes a header, whether set here or by the upstream.
///
/// ```
/// # use aegis_guest::{Error, response, testing::Host};
/// # Host::new().run(|| {
/// response::remove_header("x-powered-by")?;
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// As [`set_header`]; removing what is not there is none.
pub fn remove_header(name: &str) -> Result<(), Error> {
    buffer::done(sys::response_remove_header(name.as_bytes()))
}

/// Sets the body, in place of the upstream's or an earlier one. The node works out the length.
///
/// ```
/// # use aegis_guest::{Error, response, testing::Host};
/// # Host::new().run(|| {
/// response::set_body("under construction\n")?;
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`TooLarge`](crate::Code::TooLarge) over the operator's limit.
pub fn set_body(body: impl AsRef<[u8]>) -> Result<(), Error> {
    buffer::done(sys::response_set_body(body.as_ref()))
}

/// Answers the request here with a status, a content type and a body.
///
/// The response phase has nothing to answer any more; it sets status, header and body.
///
/// ```
/// # use aegis_guest::{Error, respond, testing::Host};
/// # let outcome = Host::new().run(|| {
/// respond(200, "application/json", r#"{"up":true}"#)?;
/// # Ok::<(), Error>(())
/// # });
/// # assert_eq!(outcome.text(), r#"{"up":true}"#);
/// ```
///
/// # Errors
///
/// Those of [`set_header`], [`set_body`] and [`request::terminate`].
pub fn respond(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Result<(), Error> {
    set_header("content-type", content_type)?;
    set_body(body)?;
    request::terminate(status)
}

#[cfg(test)]
mod tests {
    use super::{add_header, remove_header, respond, set_body, set_header, set_status};
    use crate::testing::Host;
    use crate::{Code, Error, request};

    #[test]
    fn an_answer_has_the_status_type_and_body_given() {
        let outcome = Host::new().run(|| respond(201, "text/plain", "made"));
        outcome.assert_ok();
        assert!(outcome.is_terminated());
        assert_eq!(outcome.status(), Some(201));
        assert_eq!(outcome.header("Content-Type"), Some("text/plain"));
        assert_eq!(outcome.body(), Some(b"made".as_slice()));
    }

    #[test]
    fn edits_without_an_answer_let_the_request_go_on() {
        let outcome = Host::new().run(|| {
            set_status(203)?;
            set_header("x-a", "1")?;
            set_header("X-A", "2")?;
            add_header("x-a", "3")?;
            remove_header("server")
        });
        outcome.assert_ok();
        assert!(!outcome.is_terminated());
        assert_eq!(outcome.status(), Some(203));
        assert_eq!(
            outcome.headers(),
            [("x-a", "2".into()), ("x-a", "3".into())]
        );
        assert_eq!(outcome.removed_headers(), ["server"]);
        assert_eq!(outcome.body(), None);
    }

    #[test]
    fn the_last_status_wins() {
        let outcome = Host::new().run(|| {
            request::terminate(200)?;
            set_status(404)
        });
        assert_eq!(outcome.status(), Some(404));
    }

    #[test]
    fn only_final_statuses_are_accepted() {
        let set = |status| set_status(status).map_err(|error| error.code());
        let end = |status| request::terminate(status).map_err(|error| error.code());
        Host::new()
            .run(|| {
                for status in [0, 100, 101, 199, 600, u16::MAX] {
                    assert_eq!(set(status), Err(Code::BadArgument), "{status}");
                    assert_eq!(end(status), Err(Code::BadArgument), "{status}");
                }
                for status in [200, 599] {
                    assert_eq!(set(status), Ok(()), "{status}");
                }
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn headers_of_the_node_and_malformed_ones_are_refused() {
        let set = |name, value| set_header(name, value).map_err(|error| error.code());
        Host::new()
            .run(|| {
                assert_eq!(set("Content-Length", "1"), Err(Code::NotAllowed));
                assert_eq!(set("x-aegis-error", "1"), Err(Code::NotAllowed));
                assert_eq!(set(":status", "1"), Err(Code::NotAllowed));
                assert_eq!(set("", "1"), Err(Code::BadArgument));
                assert_eq!(set("x y", "1"), Err(Code::BadArgument));
                assert_eq!(set("x", "1\r\nset-cookie: a=b"), Err(Code::BadArgument));
                assert_eq!(set("x", "\0"), Err(Code::BadArgument));
                assert_eq!(set("x", "tab\tand ümlaut"), Ok(()));
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn headers_past_the_limits_are_refused() {
        let add = |value: &str| add_header("x", value).map_err(|error| error.code());
        let mut host = Host::new();
        host.run(|| {
            for _ in 0..64 {
                assert_eq!(add(""), Ok(()));
            }
            assert_eq!(add(""), Err(Code::LimitReached));
            Ok::<(), Error>(())
        })
        .assert_ok();
        host.run(|| {
            assert_eq!(add(&"v".repeat(16 * 1024)), Err(Code::LimitReached));
            set_body("still works")
        })
        .assert_ok();
    }
}
