//! The id that names a request in logs, error documents and upstream headers.

use std::fmt;

const DIGITS: &[u8; 16] = b"0123456789abcdef";
const LENGTH: usize = 32;

/// 128 random bits as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestId([u8; LENGTH]);

impl RequestId {
    /// Unique, not secret.
    pub(super) fn random() -> Self {
        Self::of(fastrand::u128(..))
    }

    fn of(bits: u128) -> Self {
        let mut text = [0; LENGTH];
        for (byte, digits) in bits.to_be_bytes().iter().zip(text.chunks_exact_mut(2)) {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            digits.copy_from_slice(&[DIGITS[high], DIGITS[low]]);
        }
        Self(text)
    }

    /// The digits.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
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
        assert!(RequestId::random() != RequestId::random());
    }
}
