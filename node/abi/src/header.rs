//! Which response headers belong to the node.

/// Headers with one of these names are the node's: they frame the message, name a hop, or would
/// let a function speak for the node.
const NAMES: [&str; 13] = [
    "cdn-loop",
    "connection",
    "content-length",
    "date",
    "forwarded",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
];

/// So are all that begin with one of these; `:` is that of HTTP/2's pseudo headers.
const PREFIXES: [&str; 4] = [":", "proxy-", "x-aegis-", "x-forwarded-"];

/// Whether a function may not set, add or remove this header; case does not matter, and an
/// underscore counts as a hyphen: many servers take the one for the other.
///
/// The answer to such a call is [`Code::NotAllowed`](crate::Code::NotAllowed).
///
/// ```
/// use aegis_abi::is_reserved_header;
///
/// assert!(is_reserved_header("Content-Length"));
/// assert!(is_reserved_header("x-forwarded-for"));
/// assert!(!is_reserved_header("content-type"));
/// ```
pub fn is_reserved_header(name: &str) -> bool {
    // Bytes, not `str` slices: the name may hold anything, and a slice could cut a character.
    let name = name.as_bytes();
    NAMES.iter().any(|own| is_like(name, own))
        || PREFIXES.iter().any(|prefix| begins_with(name, prefix))
}

fn begins_with(name: &[u8], prefix: &str) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| is_like(start, prefix))
}

fn is_like(name: &[u8], own: &str) -> bool {
    name.len() == own.len() && name.iter().map(hyphenated).eq(own.bytes())
}

fn hyphenated(byte: &u8) -> u8 {
    match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_reserved_header;

    #[test]
    fn headers_of_the_node_are_reserved_in_any_case() {
        for name in [
            "content-length",
            "Content-Length",
            "TRANSFER-ENCODING",
            "connection",
            "keep-alive",
            "proxy-authorization",
            "Proxy-Connection",
            "te",
            "trailer",
            "upgrade",
            "Host",
            "date",
            "forwarded",
            "x-forwarded-for",
            "X-Forwarded-Proto",
            "x-forwarded-",
            "x-real-ip",
            "via",
            "cdn-loop",
            "x-aegis-error",
            "x_forwarded_for",
            "Content_Length",
            "TRANSFER_encoding",
            "x_aegis-error",
            ":status",
            ":",
        ] {
            assert!(is_reserved_header(name), "{name}");
        }
    }

    #[test]
    fn other_headers_are_not() {
        for name in [
            "",
            "content-type",
            "content-length-hint",
            "x-te",
            "tea",
            "proxy",
            "x-forwarded",
            "x-aegis",
            "x-edge",
            "set-cookie",
            "prøxy-x",
        ] {
            assert!(!is_reserved_header(name), "{name}");
        }
    }
}
