//! What came of a run.

use std::borrow::Cow;

use super::Call;
use super::request::Request;
use super::response::Response;

/// What a function returned, did to request and response, logged and called.
#[derive(Debug)]
pub struct Outcome {
    pub(super) result: Result<(), String>,
    pub(super) response: Response,
    pub(super) request: Request,
    pub(super) request_body: Option<Vec<u8>>,
    pub(super) logs: Vec<String>,
    pub(super) calls: Vec<Call>,
}

impl Outcome {
    /// Checks that the function returned `Ok`.
    ///
    /// # Panics
    ///
    /// With the error, if it did not.
    #[track_caller]
    pub fn assert_ok(&self) {
        assert_eq!(self.error(), None, "the function failed");
    }

    /// The text of the error the function returned, or `None` where it returned `Ok`. A node
    /// answers with its own error document then, and drops the rest of the outcome.
    pub fn error(&self) -> Option<&str> {
        self.result.as_ref().err().map(String::as_str)
    }

    /// Whether the function answered the request: the upstream would not be asked.
    pub fn is_terminated(&self) -> bool {
        self.response.terminated
    }

    /// The status set, or `None`: 200, or the upstream's.
    pub fn status(&self) -> Option<u16> {
        self.response.status
    }

    /// The first value set for a header, whatever the case of its name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.response.headers.set, name)
    }

    /// All headers set, names in lower case, values with what is not text replaced.
    pub fn headers(&self) -> Vec<(&str, Cow<'_, str>)> {
        texts(&self.response.headers.set)
    }

    /// The headers removed, in lower case: an upstream's would not reach the client.
    pub fn removed_headers(&self) -> Vec<&str> {
        let removed = &self.response.headers.removed;
        removed.iter().map(String::as_str).collect()
    }

    /// The body set, or `None`: the upstream's.
    pub fn body(&self) -> Option<&[u8]> {
        self.response.body.as_deref()
    }

    /// The body set as text, with what is not text replaced; empty where none was set.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.body().unwrap_or_default())
    }

    /// The path and query that later functions and the upstream see.
    pub fn request_uri(&self) -> &str {
        &self.request.uri
    }

    /// The first value of a header of the request that later functions and the upstream see,
    /// whatever the case of its name, if it is text.
    pub fn request_header(&self, name: &str) -> Option<&str> {
        first(&self.request.headers, name)
    }

    /// All headers of that request, names in lower case, values with what is not text replaced.
    pub fn request_headers(&self) -> Vec<(&str, Cow<'_, str>)> {
        texts(&self.request.headers)
    }

    /// The body set for that request, or `None`: the client's.
    pub fn request_body(&self) -> Option<&[u8]> {
        self.request_body.as_deref()
    }

    /// The log records, in order.
    pub fn logs(&self) -> &[String] {
        &self.logs
    }

    /// The HTTPS calls made, in order, refused ones included.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }
}

fn first<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a str> {
    let same = |(other, _): &&(String, Vec<u8>)| other.eq_ignore_ascii_case(name);
    let (_, value) = headers.iter().find(same)?;
    std::str::from_utf8(value).ok()
}

fn texts(headers: &[(String, Vec<u8>)]) -> Vec<(&str, Cow<'_, str>)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value)))
        .collect()
}
