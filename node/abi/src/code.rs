//! Why a call failed.

use core::fmt;

/// Why the last failed call of an invocation failed, as `last_error_code` returns it.
///
/// ```
/// use aegis_abi::Code;
///
/// assert_eq!(Code::try_from(5), Ok(Code::TimedOut));
/// assert_eq!(i32::from(Code::TimedOut), 5);
/// assert_eq!(Code::TimedOut.text(), "timed out");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Code {
    /// What was asked for is not there: no such key, header or configuration value.
    NotFound = 1,
    /// A pointer, length, name, value or number is outside what the call accepts.
    BadArgument = 2,
    /// Something is larger than its limit.
    TooLarge = 3,
    /// The function has no grant for it, or the header is the node's own.
    NotAllowed = 4,
    /// The cache or the remote server did not answer in time.
    TimedOut = 5,
    /// The cache or the remote server cannot be reached, or answered nonsense.
    Unavailable = 6,
    /// A limit of the invocation is used up.
    LimitReached = 7,
    /// The call does not exist in this phase of the request.
    WrongPhase = 8,
}

impl Code {
    /// Every code, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::NotFound,
        Self::BadArgument,
        Self::TooLarge,
        Self::NotAllowed,
        Self::TimedOut,
        Self::Unavailable,
        Self::LimitReached,
        Self::WrongPhase,
    ];

    /// The code in words: lower case, without a full stop.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::BadArgument => "bad argument",
            Self::TooLarge => "too large",
            Self::NotAllowed => "not allowed",
            Self::TimedOut => "timed out",
            Self::Unavailable => "unavailable",
            Self::LimitReached => "limit reached",
            Self::WrongPhase => "wrong phase",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

impl From<Code> for i32 {
    fn from(code: Code) -> Self {
        code as Self
    }
}

impl TryFrom<i32> for Code {
    type Error = UnknownCode;

    fn try_from(number: i32) -> Result<Self, UnknownCode> {
        Self::ALL
            .into_iter()
            .find(|code| i32::from(*code) == number)
            .ok_or(UnknownCode(number))
    }
}

/// A number that is no [`Code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCode(pub i32);

impl fmt::Display for UnknownCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "unknown error code {}", self.0)
    }
}

impl core::error::Error for UnknownCode {}

#[cfg(test)]
mod tests {
    use super::{Code, UnknownCode};

    #[test]
    fn numbers_are_those_of_the_contract() {
        let numbers = Code::ALL.map(i32::from);
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn every_code_survives_the_way_through_a_number() {
        for code in Code::ALL {
            assert_eq!(Code::try_from(i32::from(code)), Ok(code));
        }
    }

    #[test]
    fn other_numbers_are_no_code() {
        for number in [i32::MIN, -1, 0, 9, i32::MAX] {
            assert_eq!(Code::try_from(number), Err(UnknownCode(number)));
        }
    }
}
