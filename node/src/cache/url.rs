//! The address of a store outside the process. Neither its text nor its errors ever show the
//! credentials.

use std::fmt;
use std::str::FromStr;

use fred::types::config::{Config, Server};
use thiserror::Error;

/// The address and credentials of a store: `redis://[user:password@]host[:port][/db]`.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    config: Config,
    server: Server,
}

/// Why a text is not the address of a store. None of the messages repeats the text, since it may
/// hold a password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("only plain TCP is supported: redis://[user:password@]host[:port][/db]")]
    Scheme,
    /// A user without a password could not log in.
    #[error("a user needs a password: redis://user:password@host, or redis://:password@host")]
    Password,
    /// `?` or `#`, which begin parts of a URL that mean nothing here.
    #[error("no `?` or `#` may follow; in a password write them as %3F and %23")]
    Query,
    /// Anything else.
    #[error("not of the form redis://[user:password@]host[:port][/db]")]
    Malformed,
}

impl StoreUrl {
    pub(super) fn config(&self) -> &Config {
        &self.config
    }
}

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let rest = text.strip_prefix("redis://").ok_or(UrlError::Scheme)?;
        if rest.contains(['?', '#']) {
            return Err(UrlError::Query);
        }
        if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(UrlError::Malformed); // the parser would drop some of these silently
        }
        let config = Config::from_url_centralized(text).map_err(|_| UrlError::Malformed)?;
        if config.username.is_some() && config.password.is_none() {
            return Err(UrlError::Password); // the client would not log in at all
        }
        match config.server.hosts().into_iter().next() {
            Some(server) if !server.host.is_empty() && server.port != 0 => {
                Ok(Self { config, server })
            }
            _ => Err(UrlError::Malformed),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "redis://{}:{}",
            self.server.host, self.server.port
        )?;
        self.config
            .database
            .map_or(Ok(()), |database| write!(formatter, "/{database}"))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StoreUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<StoreUrl>().unwrap().to_string()
    }

    #[test]
    fn port_and_database_have_defaults() {
        assert_eq!(shown("redis://store"), "redis://store:6379");
        assert_eq!(
            shown("redis://127.0.0.1:7000/3"),
            "redis://127.0.0.1:7000/3"
        );
        assert_eq!(shown("redis://[::1]:7000/"), "redis://[::1]:7000");
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let url: StoreUrl = "redis://us%3Aer:s%23cret@h".parse().unwrap();
        assert_eq!(url.config.username.as_deref(), Some("us:er"));
        assert_eq!(url.config.password.as_deref(), Some("s#cret"));
        assert_eq!(
            format!("{url} {url:?}"),
            "redis://h:6379 StoreUrl(redis://h:6379)"
        );
        assert_ne!(url, "redis://us%3Aer:other@h".parse().unwrap());
    }

    #[test]
    fn what_is_not_a_plain_address_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", UrlError::Scheme),
            ("store:6379", UrlError::Scheme),
            ("rediss://store", UrlError::Scheme),
            ("redis-cluster://store", UrlError::Scheme),
            ("redis+unix:///run/store", UrlError::Scheme),
            ("redis://user@store", UrlError::Password),
            ("redis://user:@store", UrlError::Password),
            ("redis://store?node=other:1", UrlError::Query),
            ("redis://:pass#word@store", UrlError::Query),
            ("redis://", UrlError::Malformed),
            ("redis:///0", UrlError::Malformed),
            ("redis://:6379", UrlError::Malformed),
            ("redis://store:0", UrlError::Malformed),
            ("redis://store:70000", UrlError::Malformed),
            ("redis://store/zero", UrlError::Malformed),
            ("redis://store/0/1", UrlError::Malformed),
            ("redis://sto re", UrlError::Malformed),
            ("redis://sto\nre", UrlError::Malformed),
        ] {
            assert_eq!(text.parse::<StoreUrl>(), Err(reason), "{text:?}");
        }
    }
}
