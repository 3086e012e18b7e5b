//! From what a guest passes to a call that can be made, all of it checked before the call
//! is counted.

use aegis_abi::{Code, MAX_REQUEST_BODY, MAX_URL};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use wasmtime::Caller;

use super::headers;
use crate::edge::guest::{Guest, HostError};
use crate::edge::host::frame::{Frame, Span, frame};
use crate::egress::Call;

/// Where a request has passed (RFC 8586): guests cannot change it.
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Longest content type of a request, in bytes.
const MAX_CONTENT_TYPE: usize = 1024;

/// Longest method of a request, in bytes; registered ones have at most 17.
const MAX_METHOD: usize = 64;

/// What a call under way takes besides the bytes it was given: its task, and the buffers
/// of its connection.
const CALL_SIZE: usize = 8 * 1024;

/// Where a call's parts lie in the guest's memory.
pub(super) struct Wanted {
    pub(super) method: MethodFrom,
    pub(super) url: Span,
    pub(super) content: Content,
}

/// The method, known from the import's name or given by the guest.
pub(super) enum MethodFrom {
    Import(Method),
    Guest(Span),
}

/// Headers and body.
pub(super) enum Content {
    Empty,
    Typed { body: Span, kind: Span },
    Given { headers: Span, body: Span },
}

/// Method, URL, headers and body, a pointer and a length each.
pub(super) type Eight = (i32, i32, i32, i32, i32, i32, i32, i32);

impl From<Eight> for Wanted {
    fn from(
        (method, method_len, url, url_len, headers, headers_len, body, body_len): Eight,
    ) -> Self {
        Self {
            method: MethodFrom::Guest(Span::new(method, method_len)),
            url: Span::new(url, url_len),
            content: Content::Given {
                headers: Span::new(headers, headers_len),
                body: Span::new(body, body_len),
            },
        }
    }
}

/// Counts the call and copies what it needs out of the guest.
pub(super) fn prepare(caller: &mut Caller<'_, Guest>, wanted: Wanted) -> Result<Call, HostError> {
    let Frame { memory, guest } = frame(caller);
    let url = url(wanted.url.of(memory)?)?;
    let method = match wanted.method {
        MethodFrom::Import(method) => method,
        MethodFrom::Guest(span) => method(span.of(memory)?)?,
    };
    let (headers, body) = match wanted.content {
        Content::Empty => (HeaderMap::new(), &[][..]),
        Content::Typed { body, kind } => {
            let body = body.at_most(memory, MAX_REQUEST_BODY)?;
            (content_type(kind.at_most(memory, MAX_CONTENT_TYPE)?)?, body)
        }
        Content::Given { headers, body } => {
            let body = body.at_most(memory, MAX_REQUEST_BODY)?;
            (headers::parse(headers.of(memory)?)?, body)
        }
    };
    if guest.usage.subrequests >= guest.program.limits.subrequests {
        return Err(HostError::new(Code::LimitReached, "subrequests is reached"));
    }
    guest.usage.subrequests += 1;
    let passed = guest.request.headers.get_all(CDN_LOOP).iter();
    Ok(Call {
        request_id: guest.request.id.clone(),
        method,
        url: url.to_owned(),
        headers,
        body: Bytes::copy_from_slice(body),
        passed: passed.cloned().collect(),
    })
}

/// Bytes the host holds for a call before there is an answer.
pub(super) fn held_by(call: &Call) -> usize {
    let headers: usize = call
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    CALL_SIZE + call.url.len() + headers + call.body.len()
}

fn url(bytes: &[u8]) -> Result<&str, HostError> {
    if bytes.len() > MAX_URL {
        return Err(HostError::new(
            Code::TooLarge,
            "the url is longer than 8 KiB",
        ));
    }
    std::str::from_utf8(bytes)
        .map_err(|_| HostError::new(Code::BadArgument, "the url is not UTF-8"))
}

/// A token of RFC 9110, but none that opens a tunnel or reflects headers. Methods differ
/// by case; there are servers that do not know that.
fn method(bytes: &[u8]) -> Result<Method, HostError> {
    const REFUSED: [Method; 2] = [Method::CONNECT, Method::TRACE];
    if REFUSED
        .iter()
        .any(|refused| bytes.eq_ignore_ascii_case(refused.as_str().as_bytes()))
    {
        return Err(HostError::new(
            Code::NotAllowed,
            "the method is not allowed",
        ));
    }
    let known = bytes
        .get(..MAX_METHOD)
        .is_none_or(|rest| rest.len() == bytes.len());
    match Method::from_bytes(bytes) {
        Ok(method) if known => Ok(method),
        _ => Err(HostError::new(
            Code::BadArgument,
            "not a method (RFC 9110 token of at most 64 bytes)",
        )),
    }
}

fn content_type(bytes: &[u8]) -> Result<HeaderMap, HostError> {
    if bytes.is_empty() {
        return Ok(HeaderMap::new());
    }
    let value = HeaderValue::from_bytes(bytes)
        .map_err(|_| HostError::new(Code::BadArgument, "the content type is not a header value"))?;
    Ok(HeaderMap::from_iter([(CONTENT_TYPE, value)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_token_is_a_method_but_connect_and_trace() {
        for good in [
            "GET",
            "PATCH",
            "PURGE",
            "get",
            "M-SEARCH",
            "x!#$%&'*+.^_`|~",
        ] {
            assert_eq!(method(good.as_bytes()).expect(good).as_str(), good);
        }
        for bad in ["CONNECT", "TRACE", "connect", "Trace"] {
            let refused = method(bad.as_bytes()).map_err(|error| error.code);
            assert_eq!(refused, Err(Code::NotAllowed), "{bad}");
        }
        let long = "A".repeat(MAX_METHOD);
        assert!(method(long.as_bytes()).is_ok());
        for bad in ["", "GE T", "GET\r\n", "GET\0", "GÉT", "a/b", &(long + "A")] {
            let refused = method(bad.as_bytes()).map_err(|error| error.code);
            assert_eq!(refused, Err(Code::BadArgument), "{bad}");
        }
    }
}
