//! Addresses as proxies write them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
pub(super) fn plain(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let address = text.parse::<IpAddr>().ok().or_else(|| node(text))?;
    Some(address.to_canonical())
}

/// The same with IPv6 in brackets only (RFC 7239, section 6), which is why it must be quoted.
pub(super) fn node(text: &str) -> Option<IpAddr> {
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            is_port(port)
                .then(|| address.parse::<Ipv6Addr>().ok())?
                .map(IpAddr::V6)
        }
        None => {
            let (address, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            is_port(port)
                .then(|| address.parse::<Ipv4Addr>().ok())?
                .map(IpAddr::V4)
        }
    };
    address.map(|address| address.to_canonical())
}

/// Nothing, `:80`, or `:_name`.
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        Some(port) if port.starts_with('_') => true,
        Some(port) => port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        None => text.is_empty(),
    }
}
