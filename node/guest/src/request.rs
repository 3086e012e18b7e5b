//! The request, as it would be forwarded: after the node's own checks and the edits of the
//! functions that ran before.
//!
//! Reading works in both phases; editing it and [`terminate`] belong to the request phase.

mod edit;

use std::net::IpAddr;

use aegis_abi::Code;
pub use edit::{add_header, remove_header, set_body, set_header, set_uri};

use crate::{Error, buffer, header_names, query, sys};

/// The method, in the case the client sent it: `GET`, `POST`, ….
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # Host::new().method("POST").run(|| {
/// assert_eq!(request::method()?, "POST");
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// Only when the node itself refuses the call.
pub fn method() -> Result<String, Error> {
    buffer::text(sys::request_get_method())
}

/// The path, normalised, and the query, as received: `/rates?base=usd`.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # Host::new().uri("/rates?base=usd").run(|| {
/// assert_eq!(request::uri()?, "/rates?base=usd");
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for a query that is not UTF-8.
pub fn uri() -> Result<String, Error> {
    buffer::text(sys::request_get_uri())
}

/// The path alone, normalised and still percent-encoded: `/rates`.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # Host::new().uri("/rates?base=usd").run(|| {
/// assert_eq!(request::path()?, "/rates");
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// As [`uri`].
pub fn path() -> Result<String, Error> {
    uri().map(|uri| query::path(&uri).to_owned())
}

/// The query alone, without the question mark and still encoded, or `None` where the URI has no
/// question mark.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # Host::new().uri("/rates?base=usd").run(|| {
/// assert_eq!(request::query()?.as_deref(), Some("base=usd"));
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// As [`uri`].
pub fn query() -> Result<Option<String>, Error> {
    uri().map(|uri| query::query(&uri).map(str::to_owned))
}

/// The decoded value of the first pair of the query with this name, or `None`.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # Host::new().uri("/hello?name=Ada%20L").run(|| {
/// assert_eq!(request::query_value("name")?.as_deref(), Some("Ada L"));
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// As [`uri`].
pub fn query_value(name: &str) -> Result<Option<String>, Error> {
    let uri = uri()?;
    Ok(query::query(&uri).and_then(|query| query::value(query, name)))
}

/// The first value of a header, or `None` where the request does not have it. The name's case
/// does not matter.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # Host::new().header("accept-language", "de").run(|| {
/// assert_eq!(request::header("Accept-Language")?.as_deref(), Some("de"));
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for a name that is none, and for a value that is not
/// UTF-8; [`header_bytes`] returns such a value.
pub fn header(name: &str) -> Result<Option<String>, Error> {
    buffer::found_text(sys::request_get_header(name.as_bytes()))
}

/// As [`header`], for values of any bytes.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # Host::new().header("x-name", b"Andr\xE9").run(|| {
/// assert_eq!(request::header_bytes("x-name")?.as_deref(), Some(b"Andr\xE9".as_slice()));
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for a name that is none.
pub fn header_bytes(name: &str) -> Result<Option<Vec<u8>>, Error> {
    buffer::found(sys::request_get_header(name.as_bytes()))
}

/// The names of all headers.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # Host::new().header("accept", "*/*").run(|| {
/// assert_eq!(request::header_names()?, ["accept"]);
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// Only when the node itself refuses the call.
pub fn header_names() -> Result<Vec<String>, Error> {
    header_names::parse(&buffer::text(sys::request_get_header_names())?)
}

/// The whole body; an absent one is empty.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # Host::new().body("a=1").run(|| {
/// assert_eq!(request::body()?, b"a=1");
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`NotAllowed`](crate::Code::NotAllowed) unless the function's section has `body = "request"`:
/// otherwise the node does not hold the body back for it.
pub fn body() -> Result<Vec<u8>, Error> {
    buffer::bytes(sys::request_get_body())
}

/// The client's address: behind proxies that the operator trusts, the one they name.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # Host::new().client_address("192.0.2.7").run(|| {
/// let address = request::client_address()?;
/// assert!(address.is_ipv4());
/// assert_eq!(address.to_string(), "192.0.2.7");
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`NotFound`](crate::Code::NotFound) where the client has no IP address.
pub fn client_address() -> Result<IpAddr, Error> {
    buffer::text(sys::request_get_client_address())?
        .parse()
        .map_err(|_| Error::new(Code::Unavailable, "not an address"))
}

/// Answers the request here with this status, 200 to 599: the upstream is not asked.
///
/// The function runs on, and [`response`](crate::response) calls before and after it say what
/// the answer is; it goes out when the entry returns `Ok`. Without a body set, the body is empty.
/// [`respond`](crate::respond) does it all in one call.
///
/// ```
/// # use aegis_guest::{Error, request, testing::Host};
/// # Host::new().run(|| {
/// request::terminate(204)?;
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
///
/// # Errors
///
/// [`BadArgument`](crate::Code::BadArgument) for another status,
/// [`WrongPhase`](crate::Code::WrongPhase) in the response phase.
pub fn terminate(status: u16) -> Result<(), Error> {
    buffer::done(sys::request_terminate(status.into()))
}

#[cfg(test)]
mod tests {
    use super::{body, header, header_bytes, header_names, query_value};
    use crate::testing::Host;
    use crate::{Code, Error};

    #[test]
    fn absent_things_are_none() {
        Host::new()
            .run(|| {
                assert_eq!(header("x-absent")?, None);
                assert_eq!(query_value("absent")?, None);
                assert_eq!(header_names()?, Vec::<String>::new());
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn a_value_that_is_not_text_is_an_error_except_as_bytes() {
        let code = |name| header(name).map_err(|error| error.code());
        Host::new()
            .header("x-bytes", [0xff])
            .run(|| {
                assert_eq!(code("x-bytes"), Err(Code::BadArgument));
                assert_eq!(header_bytes("x-bytes")?, Some(vec![0xff]));
                assert_eq!(code("no name"), Err(Code::BadArgument));
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn the_first_of_several_values_is_returned_and_names_are_listed_once() {
        Host::new()
            .header("X-Tag", "one")
            .header("x-tag", "two")
            .run(|| {
                assert_eq!(header("x-tag")?.as_deref(), Some("one"));
                assert_eq!(header_names()?, ["x-tag"]);
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn a_body_not_asked_for_is_not_allowed() {
        let mut host = Host::new();
        let code = || body().map_err(|error| error.code());
        host.run(|| {
            assert_eq!(code(), Err(Code::NotAllowed));
            Ok::<(), Error>(())
        })
        .assert_ok();
    }
}
