//! The servers HTTPS calls of a function under test reach.

use std::collections::BTreeMap;

use aegis_abi::{Code, MAX_REQUEST_BODY, MAX_RESPONSE, MAX_URL};

use super::Failure;

/// An HTTPS call a function made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The method, in upper case.
    pub method: &'static str,
    /// The URL as the function gave it.
    pub url: String,
    /// The body's content type; empty for methods without a body.
    pub content_type: String,
    /// The body; empty for methods without one.
    pub body: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Remote {
    answers: BTreeMap<String, Result<Vec<u8>, Code>>,
}

impl Remote {
    pub(super) fn answer(&mut self, url: &str, answer: Result<Vec<u8>, Code>) {
        self.answers.insert(url.into(), answer);
    }

    pub(super) fn call(&self, call: &Call) -> Result<Vec<u8>, Failure> {
        if call.url.len() > MAX_URL {
            return Err(Failure(Code::TooLarge, "the url is too long"));
        }
        if call.body.len() > MAX_REQUEST_BODY {
            return Err(Failure(Code::TooLarge, "the request body is too large"));
        }
        if !call.url.contains("://") {
            return Err(Failure(Code::BadArgument, "not a url"));
        }
        match self.answers.get(&call.url) {
            Some(_) if !call.url.starts_with("https://") => {
                Err(Failure(Code::NotAllowed, "only https is allowed"))
            }
            Some(Ok(body)) if body.len() > MAX_RESPONSE => {
                Err(Failure(Code::TooLarge, "the answer is too large"))
            }
            Some(Ok(body)) => Ok(body.clone()),
            Some(Err(code)) => Err(Failure(*code, "the call fails in this test")),
            None => Err(Failure(Code::NotAllowed, "no answer is set for this url")),
        }
    }
}
