//! The id that names a request in logs, error documents and upstream headers.

use std::fmt;

use http::HeaderValue;

const DIGITS: &[u8; 16] = b"0123456789abcdef";
const LENGTH: usize = 32;

/// The longest id that is taken over.
const LONGEST: usize = 128;

/// 128 random bits as 32 hexadecimal digits, or what a trusted proxy calls the request.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum RequestId {
    Own([u8; LENGTH]),
    Given(Box<str>),
}

impl RequestId {
    /// Unique if the bits are; not secret.
    pub(super) fn of(bits: u128) -> Self {
        let mut text = [0; LENGTH];
        write_digits(&bits.to_be_bytes(), &mut text);
        Self::Own(text)
    }

    /// Letters, digits and a few signs, so that it can stand anywhere without quotes.
    pub(super) fn given(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:+/=@".contains(&b);
        let is_id = (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_plain);
        is_id.then(|| Self::Given(text.into()))
    }

    /// As it is written everywhere.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Own(digits) => std::str::from_utf8(digits).unwrap_or_default(),
            Self::Given(text) => text,
        }
    }
}

/// Fills `text` with the hexadecimal digits of `bytes`, two for each.
pub(super) fn write_digits(bytes: &[u8], text: &mut [u8]) {
    for (byte, digits) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
        digits.copy_from_slice(&[DIGITS[high], DIGITS[low]]);
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hexadecimal_and_differ() {
        let bits = 0x0123_4567_89ab_cdef_0fed_cba9_8765_4321;
        assert_eq!(RequestId::of(bits).as_str(), format!("{bits:032x}"));
        assert!(RequestId::of(bits) != RequestId::of(bits + 1));
    }

    #[test]
    fn an_id_is_taken_over_if_it_needs_no_quotes() {
        let given = |text: &str| {
            let value = HeaderValue::from_bytes(text.as_bytes()).expect("a value");
            RequestId::given(&value).map(|id| id.to_string())
        };
        for id in [
            "1",
            "Root=1-67891233-abcdef",
            "a.b_c~d:e+f/g=@",
            &"x".repeat(128),
        ] {
            assert_eq!(given(id).as_deref(), Some(id));
        }
        for id in [
            "",
            "a b",
            "a\"b",
            "a,b",
            "a;b",
            "<a>",
            "é",
            &"x".repeat(129),
        ] {
            assert_eq!(given(id), None, "{id}");
        }
    }
}
