//! The one error of this crate: a code and what the node said about it.

use std::borrow::Cow;
use std::fmt;

use aegis_abi::Code;

use crate::sys;

/// Why a call failed.
///
/// ```
/// use aegis_guest::{Code, Error};
///
/// let error = Error::new(Code::TimedOut, "the cache did not answer");
/// assert_eq!(error.code(), Code::TimedOut);
/// assert_eq!(error.to_string(), "timed out: the cache did not answer");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: Cow<'static, str>,
}

impl Error {
    /// An error of your own, for a function that fails for the same reasons as the calls it makes.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// What kind of failure it is; this is what to decide by.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What the node said, for the log; the words may change from one version to the next.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The failure of the call just made. Costs two host calls: for the code and for the text.
    pub(crate) fn last() -> Self {
        let code = last_code();
        let text = usize::try_from(sys::last_error())
            .ok()
            .and_then(sys::shared_buffer)
            .map(|text| String::from_utf8_lossy(&text).into_owned());
        match text {
            Some(text) if !text.is_empty() => Self::new(code, text),
            _ => Self::new(code, "the node gave no reason"),
        }
    }
}

/// The code of the call just made; one that this crate does not know yet is `Unavailable`.
pub(crate) fn last_code() -> Code {
    Code::try_from(sys::last_error_code()).unwrap_or(Code::Unavailable)
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}
