//! The upstream's response, in the response phase: what the client would get if the function did
//! nothing, with the edits of the request phase and of the functions that ran before.
//!
//! A function has a response phase where its section names a `response_entry`: a second entry,
//! exported by [`entry!`](crate::entry!) like the first, in an invocation of its own. It changes
//! the response with the calls of [`response`](crate::response):
//!
//! ```
//! use aegis_guest::response::{self, received};
//! use aegis_guest::{Error, entry};
//!
//! entry!(hide_errors);
//!
//! fn hide_errors() -> Result<(), Error> {
//!     if received::status()? >= 500 {
//!         response::set_header("content-type", "text/plain")?;
//!         response::set_body("back in a minute\n")?;
//!     }
//!     Ok(())
//! }
//!
//! # use aegis_guest::testing::{Host, Reply};
//! let outcome = Host::new().received(Reply::new(502)).run_response(hide_errors);
//! assert_eq!(outcome.text(), "back in a minute\n");
//! ```
//!
//! # Errors
//!
//! All of them fail with [`WrongPhase`](crate::Code::WrongPhase) in the request phase, where there
//! is no response yet.

use aegis_abi::Code;

use crate::{Error, buffer, header_names, sys};

/// The status.
///
/// ```
/// # use aegis_guest::{Error, response::received, testing::{Host, Reply}};
/// # Host::new().received(Reply::new(404)).run_response(|| {
/// assert_eq!(received::status()?, 404);
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// See the [module](self#errors).
pub fn status() -> Result<u16, Error> {
    let status = sys::response_get_status();
    if status < 0 {
        return Err(Error::last());
    }
    u16::try_from(status).map_err(|_| Error::new(Code::Unavailable, "not a status"))
}

/// The first value of a header, or `None` where the response does not have it. The name's case
/// does not matter.
///
/// ```
/// # use aegis_guest::{Error, response::received, testing::{Host, Reply}};
/// # Host::new().received(Reply::new(200).header("content-type", "text/html")).run_response(|| {
/// assert_eq!(received::header("Content-Type")?.as_deref(), Some("text/html"));
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for a name that is none, and for a value that is not
/// UTF-8; [`header_bytes`] returns such a value. And see the [module](self#errors).
pub fn header(name: &str) -> Result<Option<String>, Error> {
    buffer::found_text(sys::response_get_header(name.as_bytes()))
}

/// As [`header`], for values of any bytes.
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for a name that is none. And see the
/// [module](self#errors).
pub fn header_bytes(name: &str) -> Result<Option<Vec<u8>>, Error> {
    buffer::found(sys::response_get_header(name.as_bytes()))
}

/// The names of all headers.
///
/// ```
/// # use aegis_guest::{Error, response::received, testing::{Host, Reply}};
/// # Host::new().received(Reply::new(200).header("etag", "\"1\"")).run_response(|| {
/// assert_eq!(received::header_names()?, ["etag"]);
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// See the [module](self#errors).
pub fn header_names() -> Result<Vec<String>, Error> {
    header_names::parse(&buffer::text(sys::response_get_header_names())?)
}

/// The whole body, as the upstream encoded it: look at `content-encoding` before changing it.
///
/// ```
/// # use aegis_guest::{Error, response::received, testing::{Host, Reply}};
/// # Host::new().received(Reply::new(200).body("page")).run_response(|| {
/// assert_eq!(received::body()?, b"page");
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`NotAllowed`](crate::Code::NotAllowed) unless the function's section has `body = "response"`
/// or `"both"`; [`TooLarge`](crate::Code::TooLarge) for a body over the function's `body_size`
/// and [`WrongPhase`](crate::Code::WrongPhase) for one that has no end to wait for (an event
/// stream, a part, an upgrade): such a body streams on to the client. And see the
/// [module](self#errors).
pub fn body() -> Result<Vec<u8>, Error> {
    buffer::bytes(sys::response_get_body())
}

#[cfg(test)]
mod tests {
    use super::{body, header, header_bytes, header_names, status};
    use crate::testing::{Host, Reply};
    use crate::{Code, Error, response};

    #[test]
    fn the_response_phase_sees_what_the_upstream_answered() {
        let reply = Reply::new(203)
            .header("X-Tag", "one")
            .header("x-tag", "two")
            .header("x-bytes", [0xff]);
        let outcome = Host::new().received(reply.body("page")).run_response(|| {
            assert_eq!(status()?, 203);
            assert_eq!(header("x-tag")?.as_deref(), Some("one"));
            assert_eq!(header("x-absent")?, None);
            assert_eq!(header_bytes("x-bytes")?, Some(vec![0xff]));
            assert_eq!(header_names()?, ["x-tag", "x-bytes"]);
            assert_eq!(body()?, b"page");
            response::set_status(200)
        });
        outcome.assert_ok();
        assert_eq!(outcome.status(), Some(200));
    }

    #[test]
    fn a_body_not_asked_for_is_not_allowed_and_an_unbuffered_one_says_why() {
        let code = |host: &mut Host| {
            let mut code = Ok(());
            host.run_response(|| {
                code = body().map(drop).map_err(|error| error.code());
                Ok::<(), Error>(())
            });
            code
        };
        let mut asked_for_nothing = Host::new().received(Reply::new(200));
        assert_eq!(code(&mut asked_for_nothing), Err(Code::NotAllowed));
        let mut large = Host::new().received(Reply::new(200).body_fails(Code::TooLarge));
        assert_eq!(code(&mut large), Err(Code::TooLarge));
    }

    #[test]
    fn the_request_phase_is_too_early() {
        Host::new()
            .received(Reply::new(200).body("page"))
            .run(|| {
                assert_eq!(status().map_err(|it| it.code()), Err(Code::WrongPhase));
                assert_eq!(header("a").map_err(|it| it.code()), Err(Code::WrongPhase));
                assert_eq!(
                    header_names().map_err(|it| it.code()),
                    Err(Code::WrongPhase)
                );
                assert_eq!(body().map_err(|it| it.code()), Err(Code::WrongPhase));
                Ok::<(), Error>(())
            })
            .assert_ok();
    }
}
