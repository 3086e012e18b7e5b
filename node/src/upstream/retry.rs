//! After which failures a request is sent once more.

use std::str::FromStr;

use http::StatusCode;

/// `retry_on` of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOn(Vec<Failure>);

/// What may go wrong with an attempt, in the words of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `connect`: there is no connection, so nothing was sent.
    Connect,
    /// `reset`: the connection ended before any answer.
    Reset,
    /// The backend answered with this status.
    Status(StatusCode),
}

/// A text is no [`Failure`].
#[derive(Debug, thiserror::Error)]
#[error("not a failure that is known here")]
pub struct UnknownFailure;

impl RetryOn {
    /// Whether a request is sent again after this.
    pub fn has(&self, failure: Failure) -> bool {
        self.0.contains(&failure)
    }
}

impl Default for RetryOn {
    fn default() -> Self {
        Self(vec![Failure::Connect, Failure::Reset])
    }
}

impl FromIterator<Failure> for RetryOn {
    fn from_iter<I: IntoIterator<Item = Failure>>(failures: I) -> Self {
        Self(failures.into_iter().collect())
    }
}

impl FromStr for Failure {
    type Err = UnknownFailure;

    fn from_str(text: &str) -> Result<Self, UnknownFailure> {
        match text {
            "connect" => return Ok(Self::Connect),
            "reset" => return Ok(Self::Reset),
            _ => {}
        }
        let status: StatusCode = text.parse().map_err(|_| UnknownFailure)?;
        let is_error = status.is_client_error() || status.is_server_error();
        is_error
            .then_some(Self::Status(status))
            .ok_or(UnknownFailure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_words_and_error_statuses() {
        let read = |text: &str| text.parse::<Failure>().ok();
        assert_eq!(read("connect"), Some(Failure::Connect));
        assert_eq!(read("reset"), Some(Failure::Reset));
        assert_eq!(
            read("503"),
            Some(Failure::Status(StatusCode::SERVICE_UNAVAILABLE))
        );
        for text in ["", "200", "302", "600", "5xx", "Reset", "timeout", "0503"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
