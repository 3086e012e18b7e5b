//! Namespaces and keys: what a function may name, and what it is called in the store.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::{Argument, CacheError};

/// The longest key, in bytes.
pub const MAX_KEY_SIZE: usize = 256;

/// The longest namespace, in bytes.
const MAX_NAMESPACE_SIZE: usize = 64;

/// Keeps this software's keys apart from those of others in the same store.
const PREFIX: &[u8] = b"aegis:";

/// A part of the cache of its own. It comes from the configuration, never from a guest, and its
/// alphabet has no `:`, so that no key of one namespace can be read as a key of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace(Arc<str>);

/// A name that cannot be a namespace.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a namespace must be 1 to 64 of a-z, 0-9, `_` and `-`")]
pub struct NamespaceError;

/// A key of valid size in its namespace.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    namespace: &'a Namespace,
    bytes: &'a [u8],
}

// === impl Namespace ===

impl Namespace {
    /// The name as configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Namespace {
    /// A namespace of the node's own. With a character that no configuration may use, it is none
    /// that a function can be given.
    pub(crate) fn of_the_node(name: &'static str) -> Self {
        debug_assert!(name.parse::<Self>().is_err());
        Self(name.into())
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(text: &str) -> Result<Self, NamespaceError> {
        let valid = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if (1..=MAX_NAMESPACE_SIZE).contains(&text.len()) && text.bytes().all(valid) {
            Ok(Self(text.into()))
        } else {
            Err(NamespaceError)
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

// === impl Key ===

impl<'a> Key<'a> {
    /// # Errors
    ///
    /// When `bytes` is empty or longer than [`MAX_KEY_SIZE`].
    pub fn new(namespace: &'a Namespace, bytes: &'a [u8]) -> Result<Self, CacheError> {
        if (1..=MAX_KEY_SIZE).contains(&bytes.len()) {
            Ok(Self { namespace, bytes })
        } else {
            Err(Argument::KeySize.into())
        }
    }

    /// The namespace the key is in.
    #[must_use]
    pub fn namespace(&self) -> &'a Namespace {
        self.namespace
    }

    /// The key as the guest gave it.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The key's name in a store that others use too: `aegis:NAMESPACE:KEY`.
    #[must_use]
    pub fn stored(&self) -> Vec<u8> {
        [PREFIX, self.namespace.0.as_bytes(), b":", self.bytes].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn namespaces_have_a_small_alphabet_and_a_length() {
        let longest = "n".repeat(64);
        for good in ["a", "rates", "a_b-9", &longest] {
            assert_eq!(good.parse::<Namespace>().unwrap().to_string(), good);
        }
        let too_long = "n".repeat(65);
        for bad in ["", "A", "a:b", "a b", "a.b", "ä", "a\n", "{a}", &too_long] {
            assert_eq!(bad.parse::<Namespace>(), Err(NamespaceError), "{bad:?}");
        }
    }

    #[test]
    fn keys_have_a_size() {
        let namespace = "n".parse().unwrap();
        let accepted = |size| Key::new(&namespace, &vec![b'k'; size]).is_ok();
        assert!(!accepted(0));
        assert!(accepted(1));
        assert!(accepted(256));
        assert!(!accepted(257));
    }

    #[test]
    fn no_two_keys_share_a_stored_name() {
        let words = ["a", "b", "ab", "ba", "aba", "a-b"];
        let keys = [
            "a", "b", "ab", "ba", ":", "a:", ":b", "a:b", "ab:ba", "b:a:b",
        ];
        let stored = |(namespace, key): (&str, &str)| {
            let namespace = namespace.parse().unwrap();
            Key::new(&namespace, key.as_bytes()).unwrap().stored()
        };
        let pairs = words.iter().flat_map(|word| keys.map(|key| (*word, key)));
        let names: HashSet<_> = pairs.map(stored).collect();
        assert_eq!(names.len(), words.len() * keys.len());
        assert!(names.contains(&b"aegis:ab:a:b"[..]));
    }
}
