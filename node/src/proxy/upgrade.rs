//! Requests that ask to go on in another protocol on their connection (RFC 9110, section 7.8).
//!
//! Such a request goes on as an ordinary one, unless its route allows what it asks for.

use std::str::FromStr;

use http::Method;
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

use super::action::Action;
use super::context::Context;

/// A protocol by its name in `Upgrade`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol(HeaderValue);

/// A text is no [`Protocol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Not in the alphabet of names.
    #[error("not the name of a protocol")]
    Name,
    /// Its requests would reach the backend past routes, functions and limits.
    #[error("HTTP within a tunnel would pass the node by")]
    Http,
}

const WEBSOCKET: &str = "websocket";

// === impl Protocol ===

impl Protocol {
    /// RFC 6455.
    pub fn websocket() -> Self {
        Self(HeaderValue::from_static(WEBSOCKET))
    }

    fn is(&self, name: &[u8]) -> bool {
        self.0.as_bytes().eq_ignore_ascii_case(name)
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        let (name, version) = text.split_once('/').unwrap_or((text, "1"));
        let is_token = |text: &str| HeaderName::from_bytes(text.as_bytes()).is_ok();
        if !is_token(name) || !is_token(version) {
            return Err(ProtocolError::Name);
        }
        if ["http", "h2c", "h2", "h3"].contains(&name.to_ascii_lowercase().as_str()) {
            return Err(ProtocolError::Http);
        }
        HeaderValue::from_str(text)
            .map(Self)
            .map_err(|_| ProtocolError::Name)
    }
}

/// What a request asks for that its route allows. Other requests go on without it.
pub(super) fn asked_for(session: &mut Session, action: &Action) -> Option<Protocol> {
    if action.upgrade.is_empty() || !session.is_upgrade_req() || !session.is_body_empty() {
        return None;
    }
    let header = session.req_header();
    let nominated = names(&header.headers, &CONNECTION).any(|n| n.eq_ignore_ascii_case(b"upgrade"));
    let known = |name| action.upgrade.iter().find(|protocol| protocol.is(name));
    let protocol = names(&header.headers, &UPGRADE).find_map(known)?;
    let fits = header.method == Method::GET || !protocol.is(WEBSOCKET.as_bytes());
    (nominated && fits).then(|| protocol.clone())
}

/// Before the request goes on: the client has to wait now until it is told to go on.
pub(super) fn begin(session: &mut Session, context: &mut Context, protocol: Option<Protocol>) {
    if protocol.is_some() {
        // What it sends before would be in neither protocol.
        session.set_pipelining_enabled(false);
    }
    context.upgrade = protocol;
}

/// Asks the backend.
pub(super) fn ask(upstream: &mut RequestHeader, context: &Context) -> Result<()> {
    if let Some(protocol) = &context.upgrade {
        upstream.insert_header(CONNECTION, HeaderValue::from_static("upgrade"))?;
        upstream.insert_header(UPGRADE, protocol.0.clone())?;
    }
    Ok(())
}

/// Whether a backend that goes on in another protocol does so in the one it was asked for.
pub(super) fn is_agreed(context: &Context, header: &ResponseHeader) -> bool {
    context.upgrade.as_ref().is_some_and(|protocol| {
        let mut names = names(&header.headers, &UPGRADE);
        names.next().is_some_and(|name| protocol.is(name)) && names.next().is_none()
    })
}

/// What the client is told of it.
pub(super) fn agree(header: &mut ResponseHeader, context: &Context) -> Result<()> {
    if let Some(protocol) = &context.upgrade {
        header.insert_header(CONNECTION, HeaderValue::from_static("upgrade"))?;
        header.insert_header(UPGRADE, protocol.0.clone())?;
    }
    Ok(())
}

/// The elements of a list.
fn names<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).into_iter();
    let elements = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    elements
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_have_names_and_are_not_http() {
        for text in ["websocket", "WebSocket", "custom-proto", "irc/6.9"] {
            assert!(text.parse::<Protocol>().is_ok(), "{text}");
        }
        for text in ["", "a b", "a/", "/1", "a,b", "a\r\n", "a/1/2"] {
            assert_eq!(text.parse::<Protocol>(), Err(ProtocolError::Name), "{text}");
        }
        for text in ["h2c", "H2C", "HTTP/2.0"] {
            assert_eq!(text.parse::<Protocol>(), Err(ProtocolError::Http), "{text}");
        }
    }

    #[test]
    fn names_are_compared_whole_and_in_any_case() {
        assert!(Protocol::websocket().is(b"WebSocket"));
        assert!(!Protocol::websocket().is(b"websockets"));
        let mut headers = HeaderMap::new();
        headers.append(UPGRADE, HeaderValue::from_static("a, , b"));
        headers.append(UPGRADE, HeaderValue::from_static("c"));
        let found: Vec<_> = names(&headers, &UPGRADE).collect();
        assert_eq!(found, [b"a", b"b", b"c"]);
    }
}
