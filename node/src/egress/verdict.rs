//! What came of a call, in one word for the log.

use std::fmt;

/// One word for each way in which a call can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it; the errors explain them")]
pub enum Verdict {
    Ok,
    BadUrl,
    NotAllowed,
    AddressRefused,
    OwnAddress,
    Resolve,
    Connect,
    Tls,
    Transport,
    Timeout,
    TooLarge,
    TooManyRedirects,
    NoRoom,
    Busy,
    /// Nobody waits for it any more.
    Cancelled,
}

impl Verdict {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Cancelled as usize + 1;

    /// As the log has it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::BadUrl => "bad-url",
            Self::NotAllowed => "not-allowed",
            Self::AddressRefused => "address-refused",
            Self::OwnAddress => "own-address",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Transport => "transport",
            Self::Timeout => "timeout",
            Self::TooLarge => "too-large",
            Self::TooManyRedirects => "too-many-redirects",
            Self::NoRoom => "no-room",
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
