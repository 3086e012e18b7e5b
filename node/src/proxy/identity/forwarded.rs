//! The `Forwarded` header (RFC 7239).

use std::borrow::Cow;
use std::net::IpAddr;

use http::HeaderMap;
use http::header::FORWARDED;

use super::address;

/// Elements that are looked at, of all there are: the last ones.
const MOST: usize = 33;

/// What one proxy says of who has asked it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) from: Option<IpAddr>,
    pub(super) scheme: Option<Vec<u8>>,
    pub(super) host: Option<Vec<u8>>,
}

/// The last elements of all such headers, in their order. One that is malformed says nothing,
/// and so do those before it: where they end is anybody's guess.
pub(super) fn elements(headers: &HeaderMap) -> Vec<Element> {
    let mut elements = Vec::new();
    for value in headers.get_all(FORWARDED) {
        let mut rest = value.as_bytes();
        loop {
            match element(rest) {
                Some((element, behind)) => {
                    elements.push(element);
                    rest = behind;
                }
                None => {
                    elements.clear();
                    elements.push(Element::default());
                    break;
                }
            }
            match rest.split_first() {
                Some((b',', behind)) => rest = behind,
                _ => break,
            }
        }
    }
    let unread = elements.len().saturating_sub(MOST);
    elements.split_off(unread)
}

/// `[ pair ] *( ";" [ pair ] )`, and what stands behind it: nothing, or a comma and more.
fn element(mut rest: &[u8]) -> Option<(Element, &[u8])> {
    let mut element = Element::default();
    let mut names: [bool; 3] = [false; 3];
    loop {
        rest = rest.trim_ascii_start();
        if !matches!(rest.first(), None | Some(b',' | b';')) {
            let (name, value, behind) = pair(rest)?;
            rest = behind.trim_ascii_start();
            let known = [&b"for"[..], b"proto", b"host"];
            let at = known
                .iter()
                .position(|known| name.eq_ignore_ascii_case(known));
            if let Some(at) = at {
                // Twice is malformed.
                if std::mem::replace(names.get_mut(at)?, true) {
                    return None;
                }
                match at {
                    0 => element.from = std::str::from_utf8(&value).ok().and_then(address::node),
                    1 => element.scheme = Some(value.into_owned()),
                    _ => element.host = Some(value.into_owned()),
                }
            }
        }
        match rest.split_first() {
            Some((b';', behind)) => rest = behind,
            None | Some((b',', _)) => return Some((element, rest)),
            Some(_) => return None,
        }
    }
}

/// `token "=" ( token / quoted-string )`.
fn pair(text: &[u8]) -> Option<(&[u8], Cow<'_, [u8]>, &[u8])> {
    let (name, rest) = token(text)?;
    let rest = rest.strip_prefix(b"=")?;
    match rest.strip_prefix(b"\"") {
        Some(quoted) => unquote(quoted).map(|(value, behind)| (name, value.into(), behind)),
        None => token(rest).map(|(value, behind)| (name, value.into(), behind)),
    }
}

fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    // An IPv4 address with its port should be quoted, and often is not.
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:".contains(b);
    let length = text.iter().take_while(|byte| is_token(byte)).count();
    (length > 0).then(|| text.split_at(length))
}

fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, text.get(at + 1..)?)),
            b'\\' => value.push(*bytes.next()?.1),
            byte => value.push(*byte),
        }
    }
    None
}
