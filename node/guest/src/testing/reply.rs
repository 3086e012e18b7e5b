//! What a server under the test's control answers.

use std::time::Duration;

use aegis_abi::Code;

use super::{Failure, header};

/// An answer: of a remote server to an HTTPS call ([`Host::reply`](super::Host::reply)), or of the
/// upstream ([`Host::received`](super::Host::received)).
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    /// Names in lower case.
    headers: Vec<(String, Vec<u8>)>,
    /// `None` where nobody asked for it.
    body: Option<Result<Vec<u8>, Code>>,
    pub(super) after: Duration,
}

impl Reply {
    /// An answer without headers and body, at once.
    pub const fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: None,
            after: Duration::ZERO,
        }
    }

    /// Adds a header, next to those of the same name.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref().to_vec();
        self.headers.push((name.to_ascii_lowercase(), value));
        self
    }

    /// Sets the body. For the upstream's answer this stands for `body = "response"` in the
    /// function's configuration, too: without it, reading the body is not allowed.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(Ok(body.as_ref().to_vec()));
        self
    }

    /// Makes reading the body fail: with [`TooLarge`](Code::TooLarge) as for one that the node does
    /// not buffer, for example.
    pub fn body_fails(mut self, code: Code) -> Self {
        self.body = Some(Err(code));
        self
    }

    /// Lets the answer to an HTTPS call arrive that long after the call was made; waiting for it
    /// moves the host's clock. Past 5 seconds the call times out.
    pub const fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn names(&self) -> Vec<u8> {
        header::names(&self.headers)
    }

    pub(crate) fn first(&self, name: &[u8]) -> Result<Vec<u8>, Failure> {
        header::first(&self.headers, name)
    }

    /// What the function gets of the body in the response phase.
    pub(crate) fn held_body(&self) -> Result<Vec<u8>, Failure> {
        match &self.body {
            Some(Ok(body)) => Ok(body.clone()),
            Some(Err(code)) => Err(Failure(*code, "the body is not held back in this test")),
            None => Err(Failure(Code::NotAllowed, "the function gets no body")),
        }
    }

    /// What an HTTPS call brings of the body.
    pub(super) fn fetched_body(&self) -> Result<Vec<u8>, Failure> {
        match &self.body {
            Some(Ok(body)) => Ok(body.clone()),
            Some(Err(code)) => Err(Failure(*code, "the body fails in this test")),
            None => Ok(Vec::new()),
        }
    }
}
