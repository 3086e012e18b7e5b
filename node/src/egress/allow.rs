//! The grammar of allow lists: `host`, `*.domain`, `*` or a literal address,
//! each with an optional port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use super::target::{Host, Target, is_special, normal_name};

/// The port of an entry that names none.
const HTTPS_PORT: u16 = 443;

/// Hosts that may be called. The default is empty and allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<AllowEntry>);

/// One entry of an [`AllowList`], in its normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowEntry {
    pattern: Pattern,
    port: Option<u16>,
}

/// Why a text is no [`AllowEntry`], and what to write instead.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EntryError {
    /// Nothing there, or nothing in front of the port.
    #[error("the host is missing: write `example.com`, `*.example.com` or `*`")]
    Empty,
    /// `https://` in front.
    #[error("write the host without a scheme, like `example.com`: egress is always https")]
    Scheme,
    /// Something behind the host and port.
    #[error("write the host without a path or query, like `example.com`: paths are not checked")]
    Path,
    /// `user@` in front of the host.
    #[error("write the host without a user name or password, like `example.com`")]
    UserInfo,
    /// The port is no number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535, like `example.com:8443`")]
    Port,
    /// A `*` that is not the whole first label.
    #[error("`*` stands alone or is the whole first label, like `*.example.com`")]
    Wildcard,
    /// A wildcard over names that never are public.
    #[error(
        "wildcards cover public names only: list names under `localhost`, `local`, `internal`, \
         `arpa`, `test`, `invalid`, `onion` and `svc` one by one"
    )]
    SpecialWildcard,
    /// A number that is no plain IPv4 address.
    #[error("write an IPv4 address as four decimal numbers, like `192.0.2.1`")]
    Ipv4,
    /// An IPv6 address without brackets, or none inside them.
    #[error("write an IPv6 address in brackets, like `[2001:db8::1]`")]
    Ipv6,
    /// Anything else.
    #[error("not a host name: write `example.com`, `*.example.com` or `*`")]
    Name,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Every name that is not special.
    AnyPublic,
    /// One or more labels in front of this name.
    Below(String),
    Exactly(Host),
}

// === impl AllowList ===

impl AllowList {
    /// Whether it has no entry, and so allows nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an entry names the target. `*` covers public names only, not
    /// literal addresses and not special names such as `localhost`.
    #[must_use]
    pub fn allows(&self, target: &Target) -> bool {
        self.0.iter().any(|entry| entry.covers(target))
    }

    /// Whether this list, as a function's grant, covers the target: like
    /// [`AllowList::allows`], but a bare `*` covers whatever the node allows.
    #[must_use]
    pub fn grants(&self, target: &Target) -> bool {
        self.0.iter().any(AllowEntry::is_everything) || self.allows(target)
    }
}

impl FromIterator<AllowEntry> for AllowList {
    fn from_iter<I: IntoIterator<Item = AllowEntry>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

// === impl AllowEntry ===

impl AllowEntry {
    fn covers(&self, target: &Target) -> bool {
        self.port.unwrap_or(HTTPS_PORT) == target.port && self.pattern.covers(&target.host)
    }

    fn is_everything(&self) -> bool {
        self.pattern == Pattern::AnyPublic && self.port.is_none()
    }
}

impl FromStr for AllowEntry {
    type Err = EntryError;

    fn from_str(text: &str) -> Result<Self, EntryError> {
        refuse_url_parts(text)?;
        let (host, port) = split_port(text)?;
        Ok(Self {
            pattern: Pattern::parse(host)?,
            port: port.map(parse_port).transpose()?,
        })
    }
}

impl fmt::Display for AllowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pattern {
            Pattern::AnyPublic => f.write_str("*")?,
            Pattern::Below(name) => write!(f, "*.{name}")?,
            Pattern::Exactly(host) => host.fmt(f)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

fn refuse_url_parts(text: &str) -> Result<(), EntryError> {
    match text {
        "" => Err(EntryError::Empty),
        _ if text.contains("://") => Err(EntryError::Scheme),
        _ if text.contains('@') => Err(EntryError::UserInfo),
        _ if text.contains(['/', '?', '#']) => Err(EntryError::Path),
        _ => Ok(()),
    }
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), EntryError> {
    if text.starts_with('[') {
        let end = text.find(']').ok_or(EntryError::Ipv6)?;
        let (host, rest) = text.split_at(end + 1);
        return match rest {
            "" => Ok((host, None)),
            _ => Ok((host, Some(rest.strip_prefix(':').ok_or(EntryError::Ipv6)?))),
        };
    }
    match text.split_once(':') {
        None => Ok((text, None)),
        Some((_, port)) if port.contains(':') => Err(EntryError::Ipv6),
        Some((host, port)) => Ok((host, Some(port))),
    }
}

fn parse_port(text: &str) -> Result<u16, EntryError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(EntryError::Port);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(EntryError::Port),
        Ok(port) => Ok(port),
    }
}

// === impl Pattern ===

impl Pattern {
    fn parse(host: &str) -> Result<Self, EntryError> {
        if host == "*" {
            return Ok(Self::AnyPublic);
        }
        if let Some(domain) = host.strip_prefix("*.") {
            return Self::below(domain);
        }
        match host {
            "" => Err(EntryError::Empty),
            _ if host.contains('*') => Err(EntryError::Wildcard),
            _ => parse_host(host).map(Self::Exactly),
        }
    }

    fn below(domain: &str) -> Result<Self, EntryError> {
        if domain.contains('*') {
            return Err(EntryError::Wildcard);
        }
        match parse_host(domain)? {
            Host::Address(_) => Err(EntryError::Wildcard),
            // Any name below decides by its last label, so a name of its own
            // shows whether names below this one could ever be public.
            Host::Name(name) if is_special(&format!("x.{name}")) => {
                Err(EntryError::SpecialWildcard)
            }
            Host::Name(name) => Ok(Self::Below(name)),
        }
    }

    fn covers(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exactly(listed), _) => listed == host,
            (Self::AnyPublic, Host::Name(name)) => !is_special(name),
            (Self::Below(domain), Host::Name(name)) => is_below(name, domain),
            (Self::AnyPublic | Self::Below(_), Host::Address(_)) => false,
        }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain)
        .and_then(|rest| rest.strip_suffix('.'))
        .is_some_and(|labels| !labels.is_empty())
}

fn parse_host(host: &str) -> Result<Host, EntryError> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').ok_or(EntryError::Ipv6)?;
        let address: Ipv6Addr = address.parse().map_err(|_| EntryError::Ipv6)?;
        return Ok(Host::Address(IpAddr::V6(address)));
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    // Percent signs would be decoded, and a number read as an address.
    match url::Host::parse(host) {
        Ok(url::Host::Ipv4(_)) | Err(url::ParseError::InvalidIpv4Address) => Err(EntryError::Ipv4),
        _ if host.contains('%') => Err(EntryError::Name),
        _ => normal_name(host).map(Host::Name).ok_or(EntryError::Name),
    }
}

#[cfg(test)]
mod tests;
