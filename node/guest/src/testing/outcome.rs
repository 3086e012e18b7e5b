//! What came of a run.

use std::borrow::Cow;

use super::Call;
use super::response::Response;

/// What a function returned, did to the response, logged and called.
#[derive(Debug)]
pub struct Outcome {
    pub(super) result: Result<(), String>,
    pub(super) response: Response,
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
        let (_, value) = self
            .response
            .headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// All headers set, names in lower case, values with what is not text replaced.
    pub fn headers(&self) -> Vec<(&str, Cow<'_, str>)> {
        self.response
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value)))
            .collect()
    }

    /// The headers removed, in lower case: an upstream's would not reach the client.
    pub fn removed_headers(&self) -> Vec<&str> {
        self.response.removed.iter().map(String::as_str).collect()
    }

    /// The body set, or `None`: the upstream's.
    pub fn body(&self) -> Option<&[u8]> {
        self.response.body.as_deref()
    }

    /// The body set as text, with what is not text replaced; empty where none was set.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.body().unwrap_or_default())
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
