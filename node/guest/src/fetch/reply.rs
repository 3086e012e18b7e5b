//! What came back from an HTTPS call.

use std::cell::Cell;

use aegis_abi::Code;

use crate::{Error, buffer, sys};

thread_local! {
    /// How many answers this function has got: the node keeps the headers of the last only.
    static RECEIVED: Cell<u32> = const { Cell::new(0) };
}

/// The body that a call brought, if it did.
pub(super) fn body(result: i32) -> Result<Vec<u8>, Error> {
    if result >= 0 {
        RECEIVED.set(RECEIVED.get().wrapping_add(1));
    }
    buffer::bytes(result)
}

/// The answer to an HTTPS call: status, headers and body.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    body: Vec<u8>,
    number: u32,
}

impl Reply {
    /// The answer that a call brought, if it did.
    pub(super) fn of(result: i32) -> Result<Self, Error> {
        let body = body(result)?;
        let status = sys::http_response_status();
        if status < 0 {
            return Err(Error::last());
        }
        let status =
            u16::try_from(status).map_err(|_| Error::new(Code::Unavailable, "not a status"))?;
        Ok(Self {
            status,
            body,
            number: RECEIVED.get(),
        })
    }

    /// The status; redirects have been followed.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 2xx.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The body, decompressed; empty where there is none.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, to keep.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The first value of a header, or `None` where the answer does not have it. The name's case
    /// does not matter.
    ///
    /// The node keeps the headers of one answer: read them before the next one comes.
    ///
    /// # Errors
    ///
    /// [`BadArgument`](crate::Code::BadArgument) for a name that is none, a value that is not
    /// UTF-8, and when another answer has come since.
    pub fn header(&self, name: &str) -> Result<Option<String>, Error> {
        if self.number != RECEIVED.get() {
            let reason = "the headers of an answer are gone when the next one comes";
            return Err(Error::new(Code::BadArgument, reason));
        }
        buffer::found_text(sys::http_response_header(name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Host, Reply};
    use crate::{Code, Error, fetch};

    #[test]
    fn headers_are_never_those_of_another_answer() {
        let (first, second) = ("https://a.example.com/", "https://b.example.com/");
        Host::new()
            .reply(first, Reply::new(200).header("x-name", "first"))
            .reply(second, Reply::new(200).header("x-name", "second"))
            .run(|| {
                let one = fetch::Request::get(first).send()?;
                assert_eq!(one.header("x-name")?.as_deref(), Some("first"));
                let two = fetch::Request::get(second).start()?;
                assert_eq!(one.header("x-name")?.as_deref(), Some("first"));
                let two = two.wait()?;
                assert_eq!(two.header("x-name")?.as_deref(), Some("second"));
                let code = |reply: &fetch::Reply| reply.header("x-name").map_err(|it| it.code());
                assert_eq!(code(&one), Err(Code::BadArgument));
                assert!(fetch::get("https://elsewhere.example.com/").is_err());
                assert_eq!(code(&two), Ok(Some("second".into())));
                fetch::get(first)?;
                assert_eq!(code(&two), Err(Code::BadArgument));
                Ok::<(), Error>(())
            })
            .assert_ok();
    }
}
