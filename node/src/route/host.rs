//! The hosts a route names, and the host of a request in the form they are compared in.

use std::{
    fmt,
    io::{Cursor, Write},
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// The longest name DNS knows, in bytes, and so the longest host a pattern can match.
const NAME_LENGTH: usize = 253;

/// The longest label DNS knows, in bytes.
const LABEL_LENGTH: usize = 63;

/// A host a route names.
///
/// Parsed from `api.example.com`, `*.example.com`, `192.0.2.1` or `[2001:db8::1]`, in any case,
/// with or without a trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host and no other.
    Exact(HostName),
    /// One or more labels in front of this name, not the name itself.
    Wildcard(HostName),
}

/// A well-formed host: lower case, no port, no trailing dot, IPv6 in its canonical form and in
/// brackets. Only parsing a [`HostPattern`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName(Box<str>);

/// Why a text is not a [`HostPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing, or nothing but a dot.
    #[error("host is empty")]
    Empty,
    /// `example.com:8080`.
    #[error("host must not have a port, a route matches on every port: write {0:?}")]
    Port(String),
    /// `*`.
    #[error("\"*\" alone is not a host, a route without hosts matches any")]
    Any,
    /// `a.*.example` or `a*.example`.
    #[error("'*' may only be the whole first label, as in \"*.example.com\"")]
    Asterisk,
    /// Something no host name has.
    #[error(
        "host must not contain {0:?}, only letters, digits, '-', '_' and '.' (international names in their xn-- form)"
    )]
    Character(char),
    /// A label that is empty, too long, or has a hyphen at an end.
    #[error("each label of a host must have 1 to 63 characters and no '-' at its ends")]
    Label,
    /// More than DNS can carry.
    #[error("host must not be longer than 253 characters")]
    TooLong,
    /// `::1`.
    #[error("an IPv6 address must be in brackets: write \"[{0}]\"")]
    Brackets(Ipv6Addr),
    /// `[::g]`, `1.2.3.256` or `*.0.0.1`.
    #[error("host is neither a name nor a valid IP address")]
    Address,
}

/// The host of a request in the form of a [`HostName`], kept on the stack.
pub(super) struct RequestHost {
    bytes: [u8; NAME_LENGTH],
    length: usize,
}

// === impl HostPattern ===

impl FromStr for HostPattern {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        match text.strip_prefix("*.") {
            Some(parent) => parse_name(parent)
                .map(Self::Wildcard)
                .map_err(|error| error.of_wildcard()),
            None if text == "*" => Err(HostError::Any),
            None if text.starts_with('[') => parse_ipv6(text).map(Self::Exact),
            None => parse_exact(text).map(Self::Exact),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name.as_str()),
            Self::Wildcard(name) => write!(f, "*.{}", name.as_str()),
        }
    }
}

fn parse_ipv6(text: &str) -> Result<HostName, HostError> {
    let (inside, after) = text[1..].split_once(']').ok_or(HostError::Address)?;
    let address: Ipv6Addr = inside.parse().map_err(|_| HostError::Address)?;
    match after {
        "" => Ok(HostName(format!("[{address}]").into())),
        _ if after.starts_with(':') => Err(HostError::Port(format!("[{address}]"))),
        _ => Err(HostError::Address),
    }
}

fn parse_exact(text: &str) -> Result<HostName, HostError> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(HostName(address.to_string().into()));
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Err(HostError::Brackets(address));
    }
    parse_name(text)
}

fn parse_name(text: &str) -> Result<HostName, HostError> {
    if let Some((host, port)) = text.rsplit_once(':')
        && is_digits(port)
    {
        return Err(HostError::Port(host.to_owned()));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    if name.contains('*') {
        return Err(HostError::Asterisk);
    }
    if let Some(other) = name.chars().find(|&c| !is_name_character(c)) {
        return Err(HostError::Character(other));
    }
    if name.len() > NAME_LENGTH {
        return Err(HostError::TooLong);
    }
    if !name.split('.').all(is_label) {
        return Err(HostError::Label);
    }
    if name.rsplit('.').next().is_some_and(is_digits) {
        return Err(HostError::Address);
    }
    Ok(HostName(name.to_ascii_lowercase().into()))
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_LENGTH).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

// === impl HostError ===

impl HostError {
    /// The remedy for the part after `*.`, made one for the whole.
    fn of_wildcard(self) -> Self {
        match self {
            Self::Port(parent) => Self::Port(format!("*.{parent}")),
            other => other,
        }
    }
}

// === impl HostName ===

impl HostName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl RequestHost ===

impl RequestHost {
    /// `None` where no pattern could match: malformed or too long.
    pub(super) fn parse(host: &str) -> Option<Self> {
        if host.starts_with('[') {
            return Self::parse_ipv6(host);
        }
        let name = match host.split_once(':') {
            Some((name, port)) if is_digits(port) => name,
            Some(_) => return None,
            None => host,
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let well_formed = name.chars().all(is_name_character)
            && !name.split('.').any(str::is_empty)
            && name.len() <= NAME_LENGTH;
        well_formed.then(|| Self::lower_cased(name))
    }

    fn lower_cased(name: &str) -> Self {
        let mut bytes = [0; NAME_LENGTH];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        bytes[..name.len()].make_ascii_lowercase();
        Self {
            bytes,
            length: name.len(),
        }
    }

    /// One address has many spellings; patterns hold the canonical one.
    fn parse_ipv6(host: &str) -> Option<Self> {
        let (inside, after) = host[1..].split_once(']')?;
        if !after.is_empty() && !after.strip_prefix(':').is_some_and(is_digits) {
            return None;
        }
        let address: Ipv6Addr = inside.parse().ok()?;
        let mut cursor = Cursor::new([0; NAME_LENGTH]);
        write!(cursor, "[{address}]").ok()?;
        let length = usize::try_from(cursor.position()).ok()?;
        Some(Self {
            bytes: cursor.into_inner(),
            length,
        })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// What is left after one label, two labels and so on: the longest first.
    pub(super) fn parents(&self) -> impl Iterator<Item = &[u8]> {
        let name = self.as_bytes();
        (0..name.len())
            .filter(|&at| name[at] == b'.')
            .map(|dot| &name[dot + 1..])
    }
}

#[cfg(test)]
mod tests;
