//! An HTTPS call with everything that can be said about it.

use aegis_abi::{Code, FAILURE};

use super::{Pending, Reply};
use crate::{Error, sys};

/// An HTTPS call to be made: a method, a URL, headers and a body.
///
/// ```
/// # use aegis_guest::{Error, fetch, testing::{Host, Reply}};
/// # let url = "https://api.example.com/items";
/// # Host::new().reply(url, Reply::new(201).header("location", "/items/7")).run(|| {
/// let reply = fetch::Request::post("https://api.example.com/items")
///     .header("content-type", "application/json")
///     .header("authorization", "Bearer secret")
///     .body(r#"{"name":"pencil"}"#)
///     .send()?;
/// assert_eq!(reply.status(), 201);
/// assert_eq!(reply.header("location")?.as_deref(), Some("/items/7"));
/// # Ok::<(), Error>(())
/// # }).assert_ok();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent or started"]
pub struct Request<'a> {
    method: &'a str,
    url: &'a str,
    /// `Name: value` lines, as the node reads them.
    headers: String,
    body: &'a [u8],
    /// A header had a line end in it, which would have begun another one.
    torn: bool,
}

impl<'a> Request<'a> {
    /// A call with any method.
    pub const fn new(method: &'a str, url: &'a str) -> Self {
        Self {
            method,
            url,
            headers: String::new(),
            body: &[],
            torn: false,
        }
    }

    /// A GET.
    pub const fn get(url: &'a str) -> Self {
        Self::new("GET", url)
    }

    /// A POST.
    pub const fn post(url: &'a str) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header. One that the call cannot have makes [`send`](Self::send) and
    /// [`start`](Self::start) fail.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.torn |= name.contains([':', '\r', '\n']) || value.contains(['\r', '\n']);
        for part in [name, ": ", value, "\n"] {
            self.headers.push_str(part);
        }
        self
    }

    /// Sets the body, of at most 1 MiB.
    pub fn body(mut self, body: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.body = body.as_ref();
        self
    }

    /// Makes the call and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// See the [module](super#errors); and [`BadArgument`](crate::Code::BadArgument) for a method
    /// or header HTTP does not allow, [`NotAllowed`](crate::Code::NotAllowed) for a header of the
    /// node's own and for CONNECT and TRACE, [`LimitReached`](crate::Code::LimitReached) and
    /// [`TooLarge`](crate::Code::TooLarge) for more than 64 headers or 16 KiB of them.
    pub fn send(&self) -> Result<Reply, Error> {
        Reply::of(sys::http_request(self.outgoing()?))
    }

    /// Begins the call and returns at once. It runs on while the function does other things;
    /// calls past the operator's number at once (8 unless configured otherwise) wait their turn.
    ///
    /// ```
    /// # use aegis_guest::{Error, fetch, testing::Host};
    /// # let urls = ["https://a.example.com/", "https://b.example.com/"];
    /// # Host::new().answer(urls[0], "a").answer(urls[1], "b").run(|| {
    /// let first = fetch::Request::get("https://a.example.com/").start()?;
    /// let second = fetch::Request::get("https://b.example.com/").start()?;
    /// assert_eq!(second.wait()?.body(), b"b");
    /// assert_eq!(first.wait()?.body(), b"a");
    /// # Ok::<(), Error>(())
    /// # }).assert_ok();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), as far as it is known before the call is made; the rest comes from
    /// [`Pending::wait`].
    pub fn start(&self) -> Result<Pending, Error> {
        match sys::http_request_start(self.outgoing()?) {
            ..=FAILURE => Err(Error::last()),
            handle => Ok(Pending { handle }),
        }
    }

    fn outgoing(&self) -> Result<sys::Outgoing<'_>, Error> {
        if self.torn {
            let reason = "a header's name has a colon or line end, or its value a line end";
            return Err(Error::new(Code::BadArgument, reason));
        }
        Ok(sys::Outgoing {
            method: self.method.as_bytes(),
            url: self.url.as_bytes(),
            headers: self.headers.trim_end_matches('\n').as_bytes(),
            body: self.body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Request;
    use crate::testing::{Host, Reply};
    use crate::{Code, Error};

    const URL: &str = "https://api.example.com/things";

    #[test]
    fn method_headers_and_body_are_sent_as_given() {
        let outcome = Host::new().answer(URL, "ok").run(|| {
            Request::new("PATCH", URL)
                .header("Content-Type", "text/plain")
                .header("x-tag", "one: two")
                .header("x-tag", "")
                .body("new")
                .send()
                .map(|reply| assert_eq!((reply.status(), reply.body()), (200, b"ok".as_slice())))
        });
        outcome.assert_ok();
        let [call] = outcome.calls() else {
            panic!("{:?}", outcome.calls());
        };
        assert_eq!((call.method.as_str(), call.url.as_str()), ("PATCH", URL));
        assert_eq!(call.content_type, "text/plain");
        assert_eq!(call.body, b"new");
        let headers: Vec<_> = call
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            headers,
            [
                ("content-type", "text/plain"),
                ("x-tag", "one: two"),
                ("x-tag", "")
            ]
        );
    }

    #[test]
    fn no_header_smuggles_in_another() {
        let code = |name, value| {
            let request = Request::get(URL).header(name, value);
            let started = request.start().map(drop).map_err(|error| error.code());
            assert_eq!(request.send().map(drop).map_err(|it| it.code()), started);
            started
        };
        let outcome = Host::new().answer(URL, "ok").run(|| {
            for (name, value) in [
                ("a", "1\nb: 2"),
                ("a", "1\r"),
                ("a: 1\nb", "2"),
                ("a: b", ""),
            ] {
                assert_eq!(code(name, value), Err(Code::BadArgument), "{name} {value}");
            }
            assert_eq!(code("host", "elsewhere"), Err(Code::NotAllowed));
            assert_eq!(code("expect", "100-continue"), Err(Code::NotAllowed));
            assert_eq!(code("x y", "1"), Err(Code::BadArgument));
            Ok::<(), Error>(())
        });
        outcome.assert_ok();
        assert!(outcome.calls().is_empty());
    }

    #[test]
    fn methods_and_sizes_have_limits() {
        let code = |request: Request<'_>| request.send().map(drop).map_err(|it| it.code());
        Host::new()
            .answer(URL, "ok")
            .run(|| {
                for method in ["CONNECT", "trace"] {
                    assert_eq!(code(Request::new(method, URL)), Err(Code::NotAllowed));
                }
                for method in ["", "GE T", "GET\n"] {
                    assert_eq!(code(Request::new(method, URL)), Err(Code::BadArgument));
                }
                let many = (0..65).fold(Request::get(URL), |it, _| it.header("x", ""));
                assert_eq!(code(many), Err(Code::LimitReached));
                let long = Request::get(URL).header("x", &"v".repeat(16 * 1024));
                assert_eq!(code(long), Err(Code::TooLarge));
                let body = vec![0; (1 << 20) + 1];
                assert_eq!(code(Request::post(URL).body(&body)), Err(Code::TooLarge));
                Ok::<(), Error>(())
            })
            .assert_ok();
    }

    #[test]
    fn a_status_that_is_no_success_is_a_reply_all_the_same() {
        Host::new()
            .reply(
                URL,
                Reply::new(503).header("retry-after", "7").body("later"),
            )
            .run(|| {
                let reply = Request::get(URL).send()?;
                assert!(!reply.is_success());
                assert_eq!(reply.header("Retry-After")?.as_deref(), Some("7"));
                assert_eq!(reply.header("x-absent")?, None);
                assert_eq!(reply.into_body(), b"later");
                Ok::<(), Error>(())
            })
            .assert_ok();
    }
}
