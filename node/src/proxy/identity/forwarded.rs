//! The `Forwarded` header (RFC 7239).

use std::net::IpAddr;

use http::HeaderMap;
use http::header::FORWARDED;

use super::address;

/// Elements that are looked at, of all there are: the last ones.
const MOST: usize = 33;

/// What one proxy says of who has asked it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    from: Option<Vec<u8>>,
    pub(super) scheme: Option<Vec<u8>>,
    pub(super) host: Option<Vec<u8>>,
}

impl Element {
    pub(super) fn from(&self) -> Option<IpAddr> {
        let text = std::str::from_utf8(self.from.as_deref()?).ok()?;
        address::node(text)
    }
}

/// The last elements of all such headers, in their order. One that is malformed says nothing,
/// and so do those before it, and those behind it in its line: where they begin and end is
/// anybody's guess.
pub(super) fn elements(headers: &HeaderMap) -> Vec<Element> {
    let mut elements = Vec::new();
    for value in headers.get_all(FORWARDED) {
        let mut rest = Rest(value.as_bytes());
        loop {
            let Some(element) = rest.element() else {
                elements.clear();
                elements.push(Element::default());
                break;
            };
            elements.push(element);
            if !rest.eat(b',') {
                break;
            }
        }
    }
    let unread = elements.len().saturating_sub(MOST);
    elements.split_off(unread)
}

/// What is still to be read of a value.
struct Rest<'v>(&'v [u8]);

impl<'v> Rest<'v> {
    /// `[ pair ] *( ";" [ pair ] )`, up to a comma or the end.
    fn element(&mut self) -> Option<Element> {
        let mut element = Element::default();
        loop {
            self.0 = self.0.trim_ascii_start();
            if !matches!(self.0.first(), None | Some(b',' | b';')) {
                self.pair(&mut element)?;
                self.0 = self.0.trim_ascii_start();
            }
            if !self.eat(b';') {
                let is_whole = matches!(self.0.first(), None | Some(b','));
                return is_whole.then_some(element);
            }
        }
    }

    /// `token "=" ( token / quoted-string )`, of each name only one.
    fn pair(&mut self, element: &mut Element) -> Option<()> {
        let name = self.token()?.to_ascii_lowercase();
        let value = match (self.eat(b'='), self.eat(b'"')) {
            (false, _) => return None,
            (true, true) => self.quoted()?,
            (true, false) => self.token()?.to_vec(),
        };
        let field = match &name[..] {
            b"for" => &mut element.from,
            b"proto" => &mut element.scheme,
            b"host" => &mut element.host,
            _ => return Some(()),
        };
        field.replace(value).is_none().then_some(())
    }

    fn token(&mut self) -> Option<&'v [u8]> {
        // An IPv4 address with its port should be quoted, and often is not.
        let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:".contains(b);
        let length = self.0.iter().take_while(|byte| is_token(byte)).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        (length > 0).then_some(token)
    }

    /// Up to the closing quote.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        loop {
            match self.take()? {
                b'"' => return Some(value),
                b'\\' => value.push(self.take()?),
                byte => value.push(byte),
            }
        }
    }

    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn eat(&mut self, wanted: u8) -> bool {
        let is_next = self.0.first() == Some(&wanted);
        if is_next {
            self.take();
        }
        is_next
    }
}
