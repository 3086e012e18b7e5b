//! The request as it comes in: what is refused, and how the rest is read.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Method, Uri, Version};
use pingora::http::RequestHeader;

use super::error::ErrorCode;
use crate::listener::Limits;
use crate::route::normal::{NormalPath, normalise};

/// Node names in `CDN-Loop` past which a request goes in circles (RFC 8586).
const MAX_LOOPS: usize = 3;

/// The `CDN-Loop` header.
pub(super) const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// How the node calls itself in `CDN-Loop` and `Via`.
pub(super) const NODE_NAME: &str = "aegis";

/// Refuses what HTTP does not allow or what could be read in two ways. The parser has
/// refused the worst; these are the gaps it leaves (RFC 9112, sections 3.2 and 6).
pub(super) fn check(header: &RequestHeader, size: usize, limits: &Limits) -> Result<(), ErrorCode> {
    if header.raw_path().len() > limits.uri_length {
        return Err(ErrorCode::UriTooLong);
    }
    if size > limits.header_size {
        return Err(ErrorCode::HeadersTooLarge);
    }
    if header.method == Method::CONNECT || header.method == Method::TRACE {
        return Err(ErrorCode::MethodNotAllowed);
    }
    let valid = host_is_valid(header) && framing_is_plain(&header.headers);
    if !valid || !target_is_valid(header) {
        return Err(ErrorCode::BadRequest);
    }
    if loops(&header.headers) > MAX_LOOPS {
        return Err(ErrorCode::Loop);
    }
    Ok(())
}

/// Origin form or absolute form (RFC 9112, section 3.2), in UTF-8.
fn target_is_valid(header: &RequestHeader) -> bool {
    let absolute = header.uri.scheme().is_some() && header.uri.authority().is_some();
    header.raw_path_is_utf8() && (absolute || header.raw_path().starts_with(b"/"))
}

/// One Host on HTTP/1.1, at most one on HTTP/1.0, and a proper one (RFC 9110, 7.2).
fn host_is_valid(header: &RequestHeader) -> bool {
    let mut hosts = header.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => header.version == Version::HTTP_10,
        (Some(host), None) => host.to_str().is_ok_and(is_authority),
        (Some(_), Some(_)) => false,
    }
}

/// `host [ ":" port ]` without userinfo.
fn is_authority(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (
                "v6",
                port.strip_prefix(':').or(port.is_empty().then_some("1")),
            ),
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, Some("1")),
        },
    };
    let port_is_valid = port.is_some_and(|port| {
        !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
    });
    let name_is_valid = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(&b);
    !name.is_empty() && name.bytes().all(name_is_valid) && port_is_valid
}

/// At most one Content-Length, and no transfer coding but one `chunked`.
fn framing_is_plain(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length_is_plain = match (lengths.next(), lengths.next()) {
        (None, _) => true,
        (Some(length), None) => {
            !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit)
        }
        (Some(_), Some(_)) => false,
    };
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let coding_is_plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    length_is_plain && coding_is_plain
}

/// How often this kind of node is named in `CDN-Loop`.
fn loops(headers: &HeaderMap) -> usize {
    headers
        .get_all(CDN_LOOP)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|entry| {
            let name = entry.split(';').next().unwrap_or_default();
            name.trim().eq_ignore_ascii_case(NODE_NAME)
        })
        .count()
}

/// Removes what only the node may say: who the client is, and `x-aegis-*`.
pub(super) fn strip_claims(header: &mut RequestHeader) {
    const CLAIMS: [&str; 3] = ["forwarded", "x-real-ip", "x-request-id"];
    const PREFIXES: [&str; 2] = ["x-forwarded-", "x-aegis-"];
    let claimed: Vec<HeaderName> = header
        .headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            CLAIMS.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        })
        .cloned()
        .collect();
    for name in &claimed {
        header.remove_header(name);
    }
}

/// The length a body announces, if it does.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The path as matched, forwarded and seen by functions.
pub(super) fn normal_path(header: &RequestHeader) -> Result<NormalPath<'_>, ErrorCode> {
    normalise(header.uri.path()).map_err(|_| ErrorCode::BadRequest)
}

/// The target in origin form: `path` and the query as received.
pub(super) fn target(path: &str, uri: &Uri) -> String {
    match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: Version, fields: &[(&'static str, &'static str)]) -> RequestHeader {
        let mut header = RequestHeader::build("GET", b"/", None).expect("a header");
        header.set_version(version);
        for (name, value) in fields {
            header.append_header(*name, *value).expect("a field");
        }
        header
    }

    fn verdict(fields: &[(&'static str, &'static str)]) -> Result<(), ErrorCode> {
        check(&header(Version::HTTP_11, fields), 0, &Limits::default())
    }

    #[test]
    fn hosts_must_be_there_once_and_be_hosts() {
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
        assert_eq!(verdict(&[]), Err(ErrorCode::BadRequest));
        assert_eq!(verdict(&[("host", "a")]), Ok(()));
        let old = header(Version::HTTP_10, &[]);
        assert_eq!(check(&old, 0, &Limits::default()), Ok(()));
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        for (name, value) in [
            ("content-length", "1, 1"),
            ("content-length", "+1"),
            ("content-length", ""),
            ("transfer-encoding", "chunked, chunked"),
            ("transfer-encoding", "identity, chunked"),
            ("transfer-encoding", "gzip"),
        ] {
            assert_eq!(
                verdict(&[("host", "a"), (name, value)]),
                Err(ErrorCode::BadRequest)
            );
        }
        let twice = [
            ("host", "a"),
            ("content-length", "1"),
            ("content-length", "1"),
        ];
        assert_eq!(verdict(&twice), Err(ErrorCode::BadRequest));
        assert_eq!(
            verdict(&[("host", "a"), ("transfer-encoding", "Chunked")]),
            Ok(())
        );
    }

    #[test]
    fn a_request_that_came_through_four_nodes_is_a_loop() {
        assert_eq!(
            verdict(&[
                ("host", "a"),
                ("cdn-loop", "aegis, other, aegis; v=1, aegis")
            ]),
            Ok(())
        );
        let four = [
            ("host", "a"),
            ("cdn-loop", "aegis, Aegis"),
            ("cdn-loop", "aegis,aegis"),
        ];
        assert_eq!(verdict(&four), Err(ErrorCode::Loop));
    }

    #[test]
    fn claims_of_clients_are_removed() {
        let mut request = header(
            Version::HTTP_11,
            &[
                ("Host", "a"),
                ("X-Forwarded-For", "1.2.3.4"),
                ("Forwarded", "for=1.2.3.4"),
                ("X-Real-IP", "1.2.3.4"),
                ("X-Aegis-Error", "x"),
                ("X-Other", "kept"),
            ],
        );
        strip_claims(&mut request);
        let left: Vec<_> = request.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["host", "x-other"]);
    }
}
