//! Where a URL leads: the strict reading of what a guest wrote, and the host
//! and port that come out of it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;
use url::Url;

use super::MAX_URL;

/// Top-level names that never lead to the public internet (RFC 6761, RFC 6762,
/// RFC 7686, RFC 8375, and `svc`, which clusters use).
const SPECIAL_SUFFIXES: [&str; 8] = [
    "localhost",
    "local",
    "internal",
    "arpa",
    "test",
    "invalid",
    "onion",
    "svc",
];

/// Longest name DNS can ask for, without the final dot (RFC 1035).
const MAX_NAME: usize = 253;

/// Longest label of a name (RFC 1035).
const MAX_LABEL: usize = 63;

/// The host part of a URL in its normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name: lower case, punycode, no final dot.
    Name(String),
    /// An address, in whatever notation it was written.
    Address(IpAddr),
}

/// Host and port an HTTPS URL leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host, normalised.
    pub host: Host,
    /// The port, 443 where the URL names none.
    pub port: u16,
}

/// A URL that is only ever used in its normal form, and where it leads.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) url: Url,
    pub(super) target: Target,
}

/// Why a URL is refused before anything is looked up.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UrlError {
    /// Longer than [`MAX_URL`], as written or in normal form.
    #[error("the url is longer than {MAX_URL} bytes")]
    TooLong,
    /// Control characters, white space and backslashes are read differently
    /// by different parsers.
    #[error("the url has a control character, white space or a backslash")]
    Character,
    /// Another scheme, or no `//` behind it.
    #[error("the url does not start with https://")]
    NotHttps,
    /// `user:password@` in front of the host.
    #[error("the url has a user name or password")]
    UserInfo,
    /// No host, or one that can be no name and no address.
    #[error("the url has no valid host")]
    Host,
    /// A port that is no number from 1 to 65535.
    #[error("the url has no valid port")]
    Port,
    /// Anything else the URL standard calls invalid.
    #[error("the url is malformed")]
    Malformed,
}

/// The normal form of a host name: lower case, punycode, no final dot.
/// `None` for text that is no host name, addresses included.
pub(super) fn normal_name(text: &str) -> Option<String> {
    match url::Host::parse(text).ok()? {
        url::Host::Domain(name) => without_final_dot(&name).map(ToOwned::to_owned),
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
    }
}

/// Whether a normalised name is a single label or under a special suffix:
/// such names must be listed one by one.
pub(super) fn is_special(name: &str) -> bool {
    match name.rsplit_once('.') {
        Some((_, last)) => SPECIAL_SUFFIXES.contains(&last),
        None => true,
    }
}

fn without_final_dot(name: &str) -> Option<&str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    (name.len() <= MAX_NAME && name.split('.').all(is_label)).then_some(name)
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

// === impl Destination ===

impl Destination {
    /// Reads the text of a URL. Stricter than the URL standard, which drops
    /// tabs, takes `\` for `/` and forgives a missing `//`: what two parsers
    /// can read differently is refused.
    pub(super) fn parse(text: &str) -> Result<Self, UrlError> {
        check_length(text)?;
        if text.chars().any(is_ambiguous) {
            return Err(UrlError::Character);
        }
        let rest = after_scheme(text).ok_or(UrlError::NotHttps)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        if authority.is_empty() {
            return Err(UrlError::Host);
        }
        Self::normalise(Url::parse(text)?)
    }

    /// Reads a redirect's `Location`, which may be relative to this URL.
    pub(super) fn join(&self, location: &str) -> Result<Self, UrlError> {
        check_length(location)?;
        if location.chars().any(is_ambiguous) {
            return Err(UrlError::Character);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("https:{location}"));
        }
        if has_scheme(location) {
            return Self::parse(location);
        }
        Self::normalise(self.url.join(location)?)
    }

    fn normalise(mut url: Url) -> Result<Self, UrlError> {
        let port = url.port_or_known_default().ok_or(UrlError::Port)?;
        if port == 0 {
            return Err(UrlError::Port);
        }
        let had_dot = url.host_str().is_some_and(|host| host.ends_with('.'));
        let host = match url.host().ok_or(UrlError::Host)? {
            url::Host::Domain(name) => {
                Host::Name(without_final_dot(name).ok_or(UrlError::Host)?.to_owned())
            }
            url::Host::Ipv4(address) => Host::Address(address.into()),
            url::Host::Ipv6(address) => Host::Address(address.into()),
        };
        if let Host::Name(name) = &host
            && had_dot
        {
            // One name, one connection pool, one certificate name.
            url.set_host(Some(name))?;
        }
        url.set_fragment(None);
        check_length(url.as_str())?;
        Ok(Self {
            url,
            target: Target { host, port },
        })
    }
}

fn check_length(text: &str) -> Result<(), UrlError> {
    if text.len() > MAX_URL {
        return Err(UrlError::TooLong);
    }
    Ok(())
}

fn is_ambiguous(character: char) -> bool {
    character.is_control() || character.is_whitespace() || character == '\\'
}

fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    scheme.eq_ignore_ascii_case("https").then_some(rest)
}

fn has_scheme(location: &str) -> bool {
    location
        .find([':', '/', '?', '#'])
        .is_some_and(|at| location.as_bytes().get(at) == Some(&b':'))
}

// === impl Target ===

impl FromStr for Target {
    type Err = UrlError;

    /// Reads an HTTPS URL by the rules guests' URLs are read by.
    fn from_str(url: &str) -> Result<Self, UrlError> {
        Destination::parse(url).map(|destination| destination.target)
    }
}

// === impl Host ===

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

// === impl UrlError ===

impl From<url::ParseError> for UrlError {
    fn from(error: url::ParseError) -> Self {
        use url::ParseError::{
            EmptyHost, IdnaError, InvalidDomainCharacter, InvalidIpv4Address, InvalidIpv6Address,
            InvalidPort,
        };
        match error {
            EmptyHost
            | IdnaError
            | InvalidDomainCharacter
            | InvalidIpv4Address
            | InvalidIpv6Address => Self::Host,
            InvalidPort => Self::Port,
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests;
