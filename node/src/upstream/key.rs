//! `hash_by`: what of a request decides about its backend.

use std::hash::Hasher as _;
use std::str::FromStr;

use fnv::FnvHasher;
use http::HeaderName;
use http::header::COOKIE;

use crate::cookie;

/// Which part of a request is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashBy {
    /// The first value of this header.
    Header(HeaderName),
    /// The value of this cookie.
    Cookie(String),
    /// The client's address.
    Address,
    /// The path, without the query.
    Path,
}

/// Why a text is not a [`HashBy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashByError {
    /// Neither a word nor a prefix of the language.
    #[error("not one of header:NAME, cookie:NAME, address and path")]
    Unknown,
    /// What follows `header:`.
    #[error("what follows \"header:\" is not the name of a header")]
    Header,
    /// What follows `cookie:`.
    #[error("what follows \"cookie:\" is not the name of a cookie")]
    Cookie,
}

/// What a request has to be hashed by; asked for only where that is configured.
pub trait Caller {
    /// The client's address.
    fn client(&self) -> Option<&str>;
    /// The values of a header.
    fn header(&self, name: &HeaderName) -> Vec<&[u8]>;
    /// The path, without the query.
    fn path(&self) -> &str;
}

// === impl HashBy ===

impl HashBy {
    /// The same number for what is to go to the same backend, on every node. A request without
    /// the header or cookie goes by the client's address.
    pub(super) fn key(&self, caller: &dyn Caller) -> u64 {
        let named = match self {
            Self::Header(name) => caller.header(name).first().copied(),
            Self::Cookie(name) => cookie::values(caller.header(&COOKIE), name).next(),
            Self::Address => None,
            Self::Path => Some(caller.path().as_bytes()),
        };
        let client = || caller.client().unwrap_or_default().as_bytes();
        let part = named.filter(|value| !value.is_empty());
        digest(part.unwrap_or_else(client))
    }
}

impl FromStr for HashBy {
    type Err = HashByError;

    fn from_str(text: &str) -> Result<Self, HashByError> {
        match (text, text.split_once(':')) {
            ("address", _) => Ok(Self::Address),
            ("path", _) => Ok(Self::Path),
            (_, Some(("header", name))) => {
                let name = HeaderName::from_bytes(name.as_bytes());
                name.map(Self::Header).map_err(|_| HashByError::Header)
            }
            // The names of cookies are tokens (RFC 6265, section 4.1.1), as those of headers, but
            // their case counts.
            (_, Some(("cookie", name))) => match HeaderName::from_bytes(name.as_bytes()) {
                Ok(_) => Ok(Self::Cookie(name.to_owned())),
                Err(_) => Err(HashByError::Cookie),
            },
            _ => Err(HashByError::Unknown),
        }
    }
}

/// A number that depends on the bytes alone: several nodes agree on it.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    struct Asking {
        client: &'static str,
        headers: HeaderMap,
        path: &'static str,
    }

    impl Caller for Asking {
        fn client(&self) -> Option<&str> {
            Some(self.client)
        }

        fn header(&self, name: &HeaderName) -> Vec<&[u8]> {
            let values = self.headers.get_all(name).iter();
            values.map(HeaderValue::as_bytes).collect()
        }

        fn path(&self) -> &str {
            self.path
        }
    }

    fn asking(client: &'static str, headers: &[(&'static str, &'static str)]) -> Asking {
        let pairs = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        Asking {
            client,
            headers: pairs.collect(),
            path: "/a",
        }
    }

    fn by(text: &str) -> HashBy {
        text.parse().expect("good")
    }

    #[test]
    fn each_kind_takes_its_part_of_the_request() {
        let one = asking(
            "::1",
            &[
                ("x-user", "ada"),
                ("cookie", "a=1; sid=s; b=2"),
                ("cookie", "other=o"),
            ],
        );
        let key = |text: &str| by(text).key(&one);
        assert_eq!(key("header:X-User"), digest(b"ada"));
        assert_eq!(key("cookie:sid"), digest(b"s"));
        assert_eq!(key("cookie:other"), digest(b"o"));
        assert_eq!(key("address"), digest(b"::1"));
        assert_eq!(key("path"), digest(b"/a"));
    }

    #[test]
    fn without_the_header_or_cookie_it_is_the_clients_address() {
        let one = asking("127.0.0.1", &[("cookie", "xsid=1; SID=2; sid="), ("x", "")]);
        for text in ["header:x-user", "header:x", "cookie:sid", "cookie:s"] {
            assert_eq!(by(text).key(&one), digest(b"127.0.0.1"), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let bad = |text: &str| text.parse::<HashBy>().expect_err(text);
        assert_eq!(bad("client"), HashByError::Unknown);
        assert_eq!(bad("header"), HashByError::Unknown);
        assert_eq!(bad("header:"), HashByError::Header);
        assert_eq!(bad("header:a b"), HashByError::Header);
        assert_eq!(bad("cookie:a=b"), HashByError::Cookie);
    }
}
