//! Entity tags (RFC 9110, section 8.8.3).

use http::HeaderValue;

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTag {
    weak: bool,
    /// Between the quotes.
    opaque: Vec<u8>,
}

impl EntityTag {
    pub(super) fn new(opaque: String, weak: bool) -> Self {
        let opaque = opaque.into_bytes();
        Self { weak, opaque }
    }

    /// The tag that a field value is, and nothing else.
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        let (tag, rest) = Self::first(value.as_bytes().trim_ascii())?;
        rest.is_empty().then_some(tag)
    }

    /// The same, of a body that is equivalent but not the same bytes.
    pub fn weakened(self) -> Self {
        Self { weak: true, ..self }
    }

    /// Whether it says nothing about bytes.
    pub fn is_weak(&self) -> bool {
        self.weak
    }

    /// Equal in the strong comparison: the same bytes.
    pub fn is_same(&self, other: &Self) -> bool {
        !self.weak && self == other
    }

    /// Equal in the weak comparison.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        self.opaque == other.opaque
    }

    /// The field value that it is; `None` for what no field can hold. Not text: bytes past 0x7f
    /// are whatever the server that made it takes them for.
    pub fn value(&self) -> Option<HeaderValue> {
        let weak: &[u8] = if self.weak { b"W/" } else { b"" };
        HeaderValue::from_bytes(&[weak, b"\"", &self.opaque, b"\""].concat()).ok()
    }

    /// The tag at the start of `text`, and what is behind it.
    fn first(text: &[u8]) -> Option<(Self, &[u8])> {
        let (weak, quoted) = match text {
            [b'W', b'/', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let rest = quoted.strip_prefix(b"\"")?;
        let end = rest.iter().position(|byte| *byte == b'"')?;
        let opaque = rest[..end].to_vec();
        let is_opaque = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..);
        opaque
            .iter()
            .all(is_opaque)
            .then_some((Self { weak, opaque }, &rest[end + 1..]))
    }
}

/// Whether `matches` holds for a tag of a list, or the list is `*`. What follows something
/// malformed is not looked at.
pub fn listed(values: &[HeaderValue], matches: impl Fn(&EntityTag) -> bool) -> bool {
    values.iter().any(|value| {
        let mut text = value.as_bytes().trim_ascii();
        if text == b"*" {
            return true;
        }
        loop {
            let skipped = text.iter().position(|byte| !b", \t".contains(byte));
            text = &text[skipped.unwrap_or(text.len())..];
            match EntityTag::first(text) {
                Some((tag, _)) if matches(&tag) => return true,
                Some((_, rest)) => text = rest,
                None => return false,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &str, tag: &str) -> bool {
        let tag = EntityTag::parse(&HeaderValue::from_str(tag).unwrap()).unwrap();
        listed(&[HeaderValue::from_str(list).unwrap()], |one| {
            one.is_equivalent(&tag)
        })
    }

    #[test]
    fn lists_are_searched_up_to_what_is_malformed() {
        for list in [
            "*",
            "\"a\"",
            "W/\"a\"",
            "\"b\", \"a\"",
            "\"b\",W/\"a\" ,",
            ",, \"a\"",
            "\"with,comma\", \"a\"",
        ] {
            assert!(found(list, "\"a\""), "{list}");
        }
        for list in [
            "",
            "a",
            "\"b\"",
            "w/\"a\"",
            "\"a",
            "b, \"a\"",
            "\"\"",
            "'a'",
            "\"a b\", \"a\"",
            "**",
        ] {
            assert!(!found(list, "\"a\""), "{list}");
        }
        assert!(found("\"\"", "\"\""));
    }

    #[test]
    fn tags_are_compared_in_two_ways() {
        let tag = |text: &str| EntityTag::parse(&HeaderValue::from_str(text).unwrap());
        let (strong, weak) = (tag("\"a\"").unwrap(), tag("W/\"a\"").unwrap());
        assert!(strong.is_same(&strong) && !strong.is_same(&weak) && !weak.is_same(&weak));
        assert!(strong.is_equivalent(&weak) && weak.is_equivalent(&weak));
        assert_eq!(strong.weakened(), weak);
        assert_eq!(weak.value().unwrap(), "W/\"a\"");
        assert_eq!(tag("\"a\", \"b\""), None);
    }

    #[test]
    fn weakened_tags_keep_bytes_that_are_no_text() {
        let given = HeaderValue::from_bytes(b"\"\xe9\xff-1\"").unwrap();
        let weak = EntityTag::parse(&given).unwrap().weakened();
        assert_eq!(weak.value().unwrap().as_bytes(), b"W/\"\xe9\xff-1\"");
    }
}
