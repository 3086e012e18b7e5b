//! The header rules of the contract.

use aegis_abi::{Code, is_reserved_header};

use super::Failure;

/// A name a function may look up: an RFC 9110 token.
pub(super) fn name(name: &[u8]) -> Result<String, Failure> {
    std::str::from_utf8(name)
        .ok()
        .filter(|name| is_token(name.as_bytes()))
        .map(str::to_ascii_lowercase)
        .ok_or(Failure(Code::BadArgument, "not a header name"))
}

/// A name a function may change: a token that is not the node's.
pub(super) fn own_name(bytes: &[u8]) -> Result<String, Failure> {
    if std::str::from_utf8(bytes).is_ok_and(is_reserved_header) {
        return Err(Failure(Code::NotAllowed, "the header is the node's own"));
    }
    name(bytes)
}

/// As [`own_name`], of a request: whether to wait for a go-ahead is the node's to say.
pub(super) fn own_request_name(bytes: &[u8]) -> Result<String, Failure> {
    if bytes.eq_ignore_ascii_case(b"expect") {
        return Err(Failure(Code::NotAllowed, "the header is the node's own"));
    }
    own_name(bytes)
}

/// As [`own_request_name`], of the request that goes on: the node tells its id.
pub(super) fn own_forwarded_name(bytes: &[u8]) -> Result<String, Failure> {
    if bytes.eq_ignore_ascii_case(b"x-request-id") {
        return Err(Failure(Code::NotAllowed, "the header is the node's own"));
    }
    own_request_name(bytes)
}

/// A value: visible characters, spaces, tabs, and anything beyond ASCII.
pub(super) fn value(value: &[u8]) -> Result<Vec<u8>, Failure> {
    let allowed = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    if !value.iter().all(allowed) {
        return Err(Failure(Code::BadArgument, "not a header value"));
    }
    Ok(value.to_vec())
}

/// The first value of a name.
pub(super) fn first(headers: &[(String, Vec<u8>)], wanted: &[u8]) -> Result<Vec<u8>, Failure> {
    let wanted = name(wanted)?;
    headers
        .iter()
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value.clone())
        .ok_or(Failure(Code::NotFound, "no such header"))
}

/// A JSON array, each name once, in the order of their first appearance.
pub(super) fn names(headers: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in headers {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    format!("{names:?}").into_bytes()
}

/// Whether it is a token of RFC 9110.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
