//! The header that a backend is sent: the client's, without what concerns the client's
//! connection only, as the library makes it for requests that it carries itself.

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue, Version};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::sink::Framing;
use crate::proxy::context::Context;
use crate::proxy::forward;

/// Headers about one connection only (RFC 9110, section 7.6.1), and what frames a body.
const HOP_BY_HOP: [HeaderName; 11] = [
    CONNECTION,
    CONTENT_LENGTH,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Headers that a client cannot have removed: who asked, and for what.
const PROTECTED: [HeaderName; 4] = [
    http::header::HOST,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// Names in `Connection`, as many as the library takes.
const MAX_NOMINATED: usize = 9;

/// The header for this attempt; `coding` is the only one that the answer may have.
///
/// # Errors
/// When the client's `Connection` asks for what it must not.
pub(super) fn upstream(
    session: &Session,
    context: &Context,
    framing: Framing,
    coding: Option<HeaderValue>,
) -> Result<RequestHeader> {
    let received = session.req_header();
    let mut header = received.clone();
    header.set_version(Version::HTTP_11);
    strip(&mut header).map_err(|error| error.into_down())?;
    // The node has answered it.
    header.remove_header(&EXPECT);
    if let Some(coding) = coding {
        header.insert_header(ACCEPT_ENCODING, coding)?;
    }
    forward::add_headers(&mut header, received.version, context)?;
    forward::accept_trailers(&mut header, received, context);
    match framing {
        Framing::Nothing => {}
        Framing::Length(length) => header.insert_header(CONTENT_LENGTH, length)?,
        // HTTP/2 needs no words for it.
        Framing::Chunked if context.speaks_http2() => {}
        Framing::Chunked => {
            header.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
        }
    }
    Ok(header)
}

fn strip(header: &mut RequestHeader) -> Result<()> {
    for name in nominated(header)?.iter().chain(&HOP_BY_HOP) {
        header.remove_header(name);
    }
    Ok(())
}

/// The names in `Connection`.
fn nominated(header: &RequestHeader) -> Result<Vec<HeaderName>> {
    let values = header.headers.get_all(CONNECTION).iter();
    let tokens = values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty());
    let mut names = Vec::new();
    for token in tokens {
        let name = HeaderName::from_bytes(token).ok();
        match name.filter(|name| !PROTECTED.contains(name) && is_token(token)) {
            Some(name) if names.len() < MAX_NOMINATED => names.push(name),
            _ => return Error::err(ErrorType::InvalidHTTPHeader),
        }
    }
    Ok(names)
}

/// RFC 9110, section 5.6.2.
fn is_token(token: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    token.iter().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(fields: &[(&'static str, &'static str)]) -> Result<Vec<String>> {
        let mut header = RequestHeader::build("GET", b"/", None)?;
        for (name, value) in fields {
            header.append_header(*name, *value)?;
        }
        strip(&mut header)?;
        Ok(header.headers.keys().map(ToString::to_string).collect())
    }

    #[test]
    fn what_concerns_one_connection_goes_and_the_rest_stays() {
        let left = stripped(&[
            ("Host", "a"),
            ("Connection", "close, X-One"),
            ("Connection", "x-two"),
            ("X-One", "1"),
            ("X-Two", "2"),
            ("X-Three", "3"),
            ("TE", "trailers"),
            ("Upgrade", "websocket"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Authorization", "secret"),
            ("Transfer-Encoding", "chunked"),
        ]);
        assert_eq!(left.expect("allowed"), ["host", "x-three"]);
    }

    #[test]
    fn a_connection_header_that_asks_too_much_is_refused() {
        for value in [
            "host",
            "X-Forwarded-For",
            "\"te\"",
            ":authority",
            "a,b,c,d,e,f,g,h,i,j",
        ] {
            assert!(stripped(&[("Connection", value)]).is_err(), "{value}");
        }
        assert!(stripped(&[("Connection", "a,b,c,d,e,f,g,h,i")]).is_ok());
    }
}
