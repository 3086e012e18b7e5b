//! The servers HTTPS calls of a function under test reach.

use std::collections::BTreeMap;
use std::time::Duration;

use aegis_abi::{Code, MAX_REQUEST_BODY, MAX_RESPONSE, MAX_URL};

use super::{Failure, Reply, header};
use crate::sys::Outgoing;

/// How long a call may take, on every node.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How many headers a call may have, on every node.
const MAX_HEADERS: usize = 64;

/// How long they may be together, as lines: 16 KiB.
const MAX_HEADER_SIZE: usize = 16 * 1024;

/// An HTTPS call a function made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The method.
    pub method: String,
    /// The URL as the function gave it.
    pub url: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body's content type; empty where the function gave none.
    pub content_type: String,
    /// The body; empty where there is none.
    pub body: Vec<u8>,
}

impl Call {
    /// What the function asks for, if it is something HTTP can say.
    pub(super) fn parse(outgoing: Outgoing<'_>) -> Result<Self, Failure> {
        let headers = headers(outgoing.headers)?;
        let content_type = headers
            .iter()
            .find(|(name, _)| name == "content-type")
            .map_or(String::new(), |(_, value)| value.clone());
        Ok(Self {
            method: method(outgoing.method)?,
            url: text(outgoing.url),
            headers,
            content_type,
            body: outgoing.body.to_vec(),
        })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn method(bytes: &[u8]) -> Result<String, Failure> {
    if !header::is_token(bytes) {
        return Err(Failure(Code::BadArgument, "not a method"));
    }
    if [b"CONNECT".as_slice(), b"TRACE"].contains(&bytes.to_ascii_uppercase().as_slice()) {
        return Err(Failure(Code::NotAllowed, "the method is not allowed"));
    }
    Ok(text(bytes))
}

fn headers(lines: &[u8]) -> Result<Vec<(String, String)>, Failure> {
    if lines.len() > MAX_HEADER_SIZE {
        return Err(Failure(Code::TooLarge, "the headers are too long"));
    }
    let mut headers = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        if headers.len() == MAX_HEADERS {
            return Err(Failure(Code::LimitReached, "too many headers"));
        }
        let (name, value) = split(line)?;
        let name = header::own_request_name(name)?;
        headers.push((name, text(&header::value(value)?)));
    }
    Ok(headers)
}

fn split(line: &[u8]) -> Result<(&[u8], &[u8]), Failure> {
    let colon = line.iter().position(|byte| *byte == b':');
    colon
        .map(|colon| (&line[..colon], line[colon + 1..].trim_ascii()))
        .ok_or(Failure(Code::BadArgument, "a header line without a colon"))
}

/// A call on its way: when it is finished, and with what.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) done: Duration,
    pub(super) answer: Result<Reply, Failure>,
}

#[derive(Debug, Default)]
pub(super) struct Remote {
    answers: BTreeMap<String, Result<Reply, Code>>,
}

impl Remote {
    pub(super) fn answer(&mut self, url: &str, answer: Result<Reply, Code>) {
        self.answers.insert(url.into(), answer);
    }

    pub(super) fn call(&self, call: &Call, now: Duration) -> Flight {
        let answer = self.answered(call);
        let after = answer.as_ref().map_or(Duration::ZERO, |reply| reply.after);
        if after > TIMEOUT {
            let late = Failure(Code::TimedOut, "no answer came in time");
            return Flight {
                done: now + TIMEOUT,
                answer: Err(late),
            };
        }
        Flight {
            done: now + after,
            answer,
        }
    }

    fn answered(&self, call: &Call) -> Result<Reply, Failure> {
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
            Some(Ok(reply)) if reply.fetched_body()?.len() > MAX_RESPONSE => {
                Err(Failure(Code::TooLarge, "the answer is too large"))
            }
            Some(Ok(reply)) => Ok(reply.clone()),
            Some(Err(code)) => Err(Failure(*code, "the call fails in this test")),
            None => Err(Failure(Code::NotAllowed, "no answer is set for this url")),
        }
    }
}
