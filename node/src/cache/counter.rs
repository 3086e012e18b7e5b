//! Counters: values that are the decimal text of a number.

use super::CacheError;

/// The number that `text` becomes when `delta` is added to it.
///
/// # Errors
///
/// `NotANumber` when `text` is not a number as a counter writes it, `Overflow` when the sum is out
/// of range.
pub(super) fn increased(text: &[u8], delta: i64) -> Result<i64, CacheError> {
    let number = number(text).ok_or(CacheError::NotANumber)?;
    in_range(number.checked_add(delta))
}

/// Holds a sum to the range of counters: all of `i64` but its least, by which guests are told of
/// failures.
pub(super) fn in_range(sum: Option<i64>) -> Result<i64, CacheError> {
    sum.filter(|sum| *sum != i64::MIN)
        .ok_or(CacheError::Overflow)
}

/// Only the one way in which a number is written counts: no `+`, no `-0`, no leading zeros or
/// blanks. It is the same that Redis and DragonflyDB take.
fn number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        [b'0'] if text.len() == 1 => Some(0),
        [b'1'..=b'9', ..] => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_one_way() {
        for (text, expected) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("-7", Some(-7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("", None),
            ("-", None),
            ("-0", None),
            ("00", None),
            ("01", None),
            ("-01", None),
            ("+1", None),
            (" 1", None),
            ("1 ", None),
            ("1\0", None),
            ("1.0", None),
            ("1e3", None),
            ("0x1", None),
            ("--1", None),
            ("1-1", None),
        ] {
            assert_eq!(number(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn sums_stay_in_range() {
        for (text, delta, expected) in [
            ("1", 2, Ok(3)),
            ("9223372036854775806", 1, Ok(i64::MAX)),
            ("9223372036854775807", 1, Err(CacheError::Overflow)),
            ("-9223372036854775807", -1, Err(CacheError::Overflow)),
            ("-9223372036854775808", 0, Err(CacheError::Overflow)),
            ("-9223372036854775808", 1, Ok(-i64::MAX)),
            ("0", i64::MIN, Err(CacheError::Overflow)),
            ("1", i64::MIN, Ok(-i64::MAX)),
            ("x", 1, Err(CacheError::NotANumber)),
        ] {
            assert_eq!(
                increased(text.as_bytes(), delta),
                expected,
                "{text} + {delta}"
            );
        }
    }
}
