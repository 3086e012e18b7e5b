//! What is particular about requests that came over HTTP/2: they are made what HTTP/1 says, so
//! that there is one way to read and forward them.

use http::header::{COOKIE, HOST};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use pingora::http::RequestHeader;

use super::error::ErrorCode;

/// Fields of one request; HTTP/1's parser has the same bound.
const MOST_FIELDS: usize = 256;
/// What HTTP/1 has besides method, target and fields.
const LINE: usize = "  HTTP/1.1\r\n\r\n".len();
/// What HTTP/1 has besides a field's name and value.
const FIELD: usize = ": \r\n".len();

/// Puts the pseudo header fields where HTTP/1 has them, and joins cookies (RFC 9113, 8.2.3).
///
/// # Errors
/// What the request is refused for.
pub(super) fn adopt(header: &mut RequestHeader) -> Result<(), ErrorCode> {
    if header.headers.len() > MOST_FIELDS {
        return Err(ErrorCode::HeadersTooLarge);
    }
    // Without an authority the library keeps no scheme.
    let scheme = header.uri.scheme();
    if scheme.is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(ErrorCode::BadRequest);
    }
    if let Some(authority) = header.uri.authority() {
        // The library has refused a Host that says something else.
        let host = HeaderValue::from_str(authority.as_str());
        let host = host.map_err(|_| ErrorCode::BadRequest)?;
        header
            .insert_header(HOST, host)
            .map_err(|_| ErrorCode::BadRequest)?;
        let path = header.uri.path_and_query().cloned();
        header.set_uri(origin_form(path)?);
    }
    join_cookies(header)
}

/// Bytes that the request's header would have on HTTP/1.
pub(super) fn size(header: &RequestHeader) -> usize {
    let line = header.method.as_str().len() + header.raw_path().len() + LINE;
    let field = |(name, value): (&http::HeaderName, &HeaderValue)| {
        name.as_str().len() + value.len() + FIELD
    };
    line + header.headers.iter().map(field).sum::<usize>()
}

fn origin_form(path: Option<PathAndQuery>) -> Result<Uri, ErrorCode> {
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(|_| ErrorCode::BadRequest)
}

fn join_cookies(header: &mut RequestHeader) -> Result<(), ErrorCode> {
    let mut crumbs = header.headers.get_all(COOKIE).iter();
    let (Some(_), Some(_)) = (crumbs.next(), crumbs.next()) else {
        return Ok(());
    };
    let crumbs: Vec<&[u8]> = header
        .headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let cookie = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]));
    let cookie = cookie.map_err(|_| ErrorCode::BadRequest)?;
    header
        .insert_header(COOKIE, cookie)
        .map_err(|_| ErrorCode::BadRequest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &'static str, fields: &[(&'static str, &'static str)]) -> RequestHeader {
        let request = http::Request::builder()
            .uri(uri)
            .version(http::Version::HTTP_2);
        let request = fields.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        parts.into()
    }

    fn all<'h>(header: &'h RequestHeader, name: &str) -> Vec<&'h str> {
        let values = header.headers.get_all(name).iter();
        values.map(|value| value.to_str().expect("text")).collect()
    }

    #[test]
    fn the_authority_becomes_the_host_and_the_target_a_path() {
        let mut header = request("https://a.test:8443/p/../q?r=1", &[]);
        assert_eq!(adopt(&mut header), Ok(()));
        assert_eq!(all(&header, "host"), ["a.test:8443"]);
        assert_eq!(header.uri.to_string(), "/p/../q?r=1");
        let mut header = request("/q", &[("host", "a.test")]);
        assert_eq!(adopt(&mut header), Ok(()));
        assert_eq!(all(&header, "host"), ["a.test"]);
    }

    #[test]
    fn other_schemes_are_refused() {
        for uri in ["ftp://a.test/", "ws://a.test/", "javascript://a.test/"] {
            assert_eq!(
                adopt(&mut request(uri, &[])),
                Err(ErrorCode::BadRequest),
                "{uri}"
            );
        }
        assert_eq!(adopt(&mut request("HTTPS://a.test/", &[])), Ok(()));
    }

    #[test]
    fn crumbs_become_one_cookie_in_their_order() {
        let crumbs = [
            ("cookie", "a=b"),
            ("x", "y"),
            ("cookie", "c=d; e"),
            ("cookie", "f"),
        ];
        let mut header = request("http://a.test/", &crumbs);
        assert_eq!(adopt(&mut header), Ok(()));
        assert_eq!(all(&header, "cookie"), ["a=b; c=d; e; f"]);
        assert_eq!(all(&header, "x"), ["y"]);
    }

    #[test]
    fn the_size_is_what_http_1_would_need() {
        let mut header = request("http://a/bc?d", &[("ef", "ghi")]);
        assert_eq!(adopt(&mut header), Ok(()));
        let http1 = "GET /bc?d HTTP/1.1\r\nef: ghi\r\nhost: a\r\n\r\n";
        assert_eq!(size(&header), http1.len());
    }
}
