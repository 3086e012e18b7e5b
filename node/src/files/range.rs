//! Parts of a file (RFC 9110, section 14).

use http::HeaderValue;

/// What of a file is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// From the first of these bytes to the last.
    Bytes(u64, u64),
    /// It has none of the bytes that were asked for.
    Unsatisfiable,
}

/// What `Range` asks for of `size` bytes. A range that is malformed, in another unit or one of
/// several is not answered: then all of the file is.
pub(super) fn part(range: &HeaderValue, size: u64) -> Part {
    let text = range.to_str().ok();
    let spec = text.and_then(|text| {
        let (unit, set) = text.split_once('=')?;
        unit.trim().eq_ignore_ascii_case("bytes").then_some(set)
    });
    let Some((first, last)) = spec.and_then(single) else {
        return Part::Whole;
    };
    match (digits(first), digits(last)) {
        (None, Some(length)) if first.is_empty() => suffix(length, size),
        (Some(first), None) if last.is_empty() => from(first, u64::MAX, size),
        (Some(first), Some(last)) if first <= last => from(first, last, size),
        _ => Part::Whole,
    }
}

/// The two sides of the only range of a set.
fn single(set: &str) -> Option<(&str, &str)> {
    let mut specs = set
        .split(',')
        .map(str::trim)
        .filter(|spec| !spec.is_empty());
    let only = specs.next()?;
    match specs.next() {
        Some(_) => None,
        None => only.split_once('-'),
    }
}

/// More than fits is as good as the largest that does.
fn digits(text: &str) -> Option<u64> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn from(first: u64, last: u64, size: u64) -> Part {
    match first < size {
        true => Part::Bytes(first, last.min(size - 1)),
        false => Part::Unsatisfiable,
    }
}

fn suffix(length: u64, size: u64) -> Part {
    match (length, size) {
        (0, _) => Part::Unsatisfiable,
        // There is no way to say that none of none are sent.
        (_, 0) => Part::Whole,
        _ => Part::Bytes(size.saturating_sub(length), size - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_what_they_ask_for() {
        use Part::{Bytes, Unsatisfiable, Whole};
        for (range, expected) in [
            ("bytes=0-0", Bytes(0, 0)),
            ("bytes=0-4", Bytes(0, 4)),
            ("bytes=5-", Bytes(5, 9)),
            ("bytes=9-", Bytes(9, 9)),
            ("bytes=0-99999999999999999999", Bytes(0, 9)),
            ("bytes=3-100", Bytes(3, 9)),
            ("bytes=-1", Bytes(9, 9)),
            ("bytes=-10", Bytes(0, 9)),
            ("bytes=-99999999999999999999", Bytes(0, 9)),
            ("Bytes = 1-2", Bytes(1, 2)),
            ("bytes=, 1-2 ,", Bytes(1, 2)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-20", Unsatisfiable),
            ("bytes=99999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=0-1,3-4", Whole),
            ("bytes=2-1", Whole),
            ("bytes=-", Whole),
            ("bytes=", Whole),
            ("bytes", Whole),
            ("bytes=a-b", Whole),
            ("bytes=1-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1--2", Whole),
            ("bytes=0x1-2", Whole),
            ("lines=0-1", Whole),
            ("", Whole),
        ] {
            let value = HeaderValue::from_str(range).unwrap();
            assert_eq!(part(&value, 10), expected, "{range}");
        }
        let of_nothing = |range| part(&HeaderValue::from_static(range), 0);
        assert_eq!(of_nothing("bytes=0-"), Unsatisfiable);
        assert_eq!(of_nothing("bytes=-5"), Whole);
    }
}
