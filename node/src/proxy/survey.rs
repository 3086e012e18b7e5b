//! What a request's header fields say that the node has to know, gathered in one pass.

use aegis_abi::is_reserved_header;
use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{HeaderMap, Version};

use super::request::{CDN_LOOP, NODE_NAME};
use super::trace::{TRACEPARENT, TRACESTATE};

/// Names with these beginnings are the node's to say, and these names themselves.
const CLAIMED_PREFIXES: [&str; 2] = ["x-forwarded-", "x-aegis-"];
const CLAIMED_NAMES: [&str; 2] = ["x-real-ip", "x-request-id"];

/// The fields that decide whether and how a request is handled.
#[derive(Debug, Default)]
pub(super) struct Survey<'h> {
    host: Field<'h>,
    length: Field<'h>,
    coding: Field<'h>,
    /// How often this kind of node is named in `CDN-Loop` (RFC 8586).
    pub(super) loops: usize,
    /// A client says what only the node may say.
    pub(super) has_claims: bool,
    /// The client says which trace the request is part of.
    pub(super) is_traced: bool,
    /// `Connection` asks for fields to be dropped that say where a request begins and ends,
    /// whom it is for or whom it is from.
    pub(super) drops_protected: bool,
}

/// A field that must not come twice.
#[derive(Debug, Default)]
enum Field<'h> {
    #[default]
    Absent,
    Once(&'h HeaderValue),
    Repeated,
}

impl<'h> Survey<'h> {
    pub(super) fn of(headers: &'h HeaderMap) -> Self {
        let mut survey = Self::default();
        for (name, value) in headers {
            if *name == HOST {
                survey.host.meet(value);
            } else if *name == CONTENT_LENGTH {
                survey.length.meet(value);
            } else if *name == TRANSFER_ENCODING {
                survey.coding.meet(value);
            } else if *name == CDN_LOOP {
                survey.loops += loops(value);
            } else if *name == CONNECTION {
                survey.drops_protected |= drops_protected(value);
            } else if *name == TRACEPARENT || *name == TRACESTATE {
                survey.is_traced = true;
            } else if is_claim(name) {
                survey.has_claims = true;
            }
        }
        survey
    }

    /// One Host on HTTP/1.1, at most one on HTTP/1.0, and a proper one (RFC 9110, 7.2).
    pub(super) fn host_is_valid(&self, version: Version) -> bool {
        match self.host {
            Field::Absent => version == Version::HTTP_10,
            Field::Once(host) => host.to_str().is_ok_and(is_authority),
            Field::Repeated => false,
        }
    }

    /// At most one Content-Length, and no transfer coding but one `chunked`.
    pub(super) fn framing_is_plain(&self) -> bool {
        let length_is_plain = match self.length {
            Field::Absent => true,
            Field::Once(length) => {
                !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit)
            }
            Field::Repeated => false,
        };
        let coding_is_plain = match self.coding {
            Field::Absent => true,
            Field::Once(coding) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
            Field::Repeated => false,
        };
        length_is_plain && coding_is_plain
    }
}

impl<'h> Field<'h> {
    fn meet(&mut self, value: &'h HeaderValue) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }
}

/// Whether only the node may say this: who the client is, and `x-aegis-*`. An underscore makes
/// no difference to many servers, so it must not here either; for framing fields too.
pub(super) fn is_claim(name: &HeaderName) -> bool {
    if *name == FORWARDED {
        return true;
    }
    let name = name.as_str();
    let claimed = name.starts_with("x-")
        && (CLAIMED_NAMES.contains(&name)
            || CLAIMED_PREFIXES
                .iter()
                .any(|prefix| name.starts_with(prefix)));
    claimed || (name.contains('_') && is_disguised(name))
}

fn is_disguised(name: &str) -> bool {
    is_reserved_header(name) || name.replace('_', "-") == "x-request-id"
}

fn drops_protected(connection: &HeaderValue) -> bool {
    let mut options = connection.as_bytes().split(|byte| *byte == b',');
    options.any(|option| {
        let option = option.trim_ascii();
        let is = |word: &str| option.eq_ignore_ascii_case(word.as_bytes());
        if is("keep-alive") || is("close") || is("upgrade") || option.is_empty() {
            return false;
        }
        HeaderName::from_bytes(option).map_or(true, |name| {
            [HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) || is_claim(&name)
        })
    })
}

fn loops(value: &HeaderValue) -> usize {
    let entries = value.to_str().unwrap_or_default().split(',');
    let is_this_node = |entry: &&str| {
        let name = entry.split(';').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case(NODE_NAME)
    };
    entries.filter(is_this_node).count()
}

/// `host [ ":" port ]` without userinfo.
pub(super) fn is_authority(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) if is_v6(address) => ("v6", "1"),
            Some((address, port)) if is_v6(address) => match port.strip_prefix(':') {
                Some(port) => ("v6", port),
                None => return false,
            },
            _ => return false,
        },
        None => host.split_once(':').unwrap_or((host, "1")),
    };
    let name_is_valid = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(&b);
    let is_encoded = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let port_is_valid = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    !name.is_empty()
        && name.bytes().all(name_is_valid)
        && name.split('%').skip(1).all(is_encoded)
        && port_is_valid
}

fn is_v6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_must_be_hosts() {
        for host in [
            "a.example",
            "a.example:80",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "a_b",
        ] {
            assert!(is_authority(host), "{host}");
        }
        for host in [
            "", "a b", "a/b", "a,b", "a?b", "a#b", "a\\b", "a<b", "a:", "a:x", "a:99999", "[::1",
            "[::1]x", "[::1]:", "http://a", "u@a", "a:80:80", ":80",
        ] {
            assert!(!is_authority(host), "{host}");
        }
    }

    #[test]
    fn claims_are_told_from_other_names() {
        for name in [
            "forwarded",
            "x-forwarded-for",
            "x-aegis-error",
            "x-real-ip",
            "x-request-id",
        ] {
            assert!(is_claim(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["x-forwarded", "via", "x-other", "x-real-ip2", "aegis"] {
            assert!(!is_claim(&HeaderName::from_static(name)), "{name}");
        }
    }
}
