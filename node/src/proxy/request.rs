//! The request as it comes in: what is refused, and how the rest is read.

use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, HeaderName, Method, Uri, Version};
use pingora::http::RequestHeader;

use super::action::EncodedSlashes;
use super::error::ErrorCode;
use super::survey::{Survey, is_claim};
use crate::edge::UriRules;
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
pub(super) fn check(
    header: &RequestHeader,
    size: usize,
    limits: &Limits,
) -> Result<Noted, ErrorCode> {
    if header.raw_path().len() > limits.uri_length {
        return Err(ErrorCode::UriTooLong);
    }
    if size > limits.header_size {
        return Err(ErrorCode::HeadersTooLarge);
    }
    if header.method == Method::CONNECT || header.method == Method::TRACE {
        return Err(ErrorCode::MethodNotAllowed);
    }
    let survey = Survey::of(&header.headers);
    let valid = survey.host_is_valid(header.version)
        && survey.framing_is_plain()
        && !survey.drops_protected;
    if !valid || !target_is_valid(header) {
        return Err(ErrorCode::BadRequest);
    }
    if survey.loops > MAX_LOOPS {
        return Err(ErrorCode::Loop);
    }
    Ok(Noted {
        has_claims: survey.has_claims,
        is_traced: survey.is_traced,
    })
}

/// Origin form or absolute form (RFC 9112, section 3.2), in UTF-8.
fn target_is_valid(header: &RequestHeader) -> bool {
    header.raw_path_is_utf8() && (is_origin_form(header) || is_absolute_form(header.raw_path()))
}

/// Whether the target is a path, as it is forwarded.
pub(super) fn is_origin_form(header: &RequestHeader) -> bool {
    header.raw_path().starts_with(b"/")
}

/// The parser has held its authority against Host.
fn is_absolute_form(target: &[u8]) -> bool {
    let begins = |scheme: &[u8]| {
        let beginning = target.get(..scheme.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(scheme))
    };
    begins(b"http://") || begins(b"https://")
}

/// What of a request's header is still to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    /// The client says what only the node may say.
    pub(super) has_claims: bool,
    /// It says which trace the request is part of.
    pub(super) is_traced: bool,
}

/// Removes what only the node may say: who the client is, and `x-aegis-*`.
pub(super) fn strip_claims(header: &mut RequestHeader) {
    let names = header.headers.keys().filter(|name| is_claim(name));
    let claimed: Vec<HeaderName> = names.cloned().collect();
    for name in &claimed {
        header.remove_header(name);
    }
}

/// The length a body announces, if it does.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the client holds its body back until it is told to go on (RFC 9110, 10.1.1).
pub(super) fn expects_continue(header: &RequestHeader) -> bool {
    let expected = header.headers.get(EXPECT);
    header.version == Version::HTTP_11
        && expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// The path as matched, forwarded and seen by functions.
pub(super) fn normal_path(header: &RequestHeader) -> Result<NormalPath<'_>, ErrorCode> {
    normalise(header.uri.path()).map_err(|_| ErrorCode::BadRequest)
}

/// Which URIs the functions of a route may set: what a client could have asked for.
pub(super) fn uri_rules(limits: &Limits, slashes: EncodedSlashes) -> UriRules {
    UriRules {
        longest: limits.uri_length,
        normalise: match slashes {
            EncodedSlashes::Reject => |uri| functions_target(uri, EncodedSlashes::Reject),
            EncodedSlashes::Keep => |uri| functions_target(uri, EncodedSlashes::Keep),
        },
    }
}

/// In origin form and in the normal form that routes match. `//host` is none, though a path
/// may begin like that: others take it for a host.
fn functions_target(uri: &str, slashes: EncodedSlashes) -> Option<Uri> {
    let (path, query) = match uri.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (uri, None),
    };
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if path.starts_with("//") || !query.unwrap_or_default().bytes().all(is_plain) {
        return None;
    }
    let normal = normalise(path).ok()?;
    if normal.encoded_slash && slashes == EncodedSlashes::Reject {
        return None;
    }
    match query {
        Some(query) => format!("{}?{query}", normal.path).parse().ok(),
        None => normal.path.parse().ok(),
    }
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

    fn verdict(fields: &[(&'static str, &'static str)]) -> Result<Noted, ErrorCode> {
        check(&header(Version::HTTP_11, fields), 0, &Limits::default())
    }

    #[test]
    fn a_host_must_be_there_once() {
        assert_eq!(verdict(&[]), Err(ErrorCode::BadRequest));
        assert_eq!(verdict(&[("host", "a")]), Ok(Noted::default()));
        let old = header(Version::HTTP_10, &[]);
        assert_eq!(check(&old, 0, &Limits::default()), Ok(Noted::default()));
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
            Ok(Noted::default())
        );
    }

    #[test]
    fn a_request_that_came_through_four_nodes_is_a_loop() {
        assert_eq!(
            verdict(&[
                ("host", "a"),
                ("cdn-loop", "aegis, other, aegis; v=1, aegis")
            ]),
            Ok(Noted::default())
        );
        let four = [
            ("host", "a"),
            ("cdn-loop", "aegis, Aegis"),
            ("cdn-loop", "aegis,aegis"),
        ];
        assert_eq!(verdict(&four), Err(ErrorCode::Loop));
    }

    #[test]
    fn only_http_1_1_clients_that_say_so_wait_for_100_continue() {
        let waits = |version, value| expects_continue(&header(version, &[("expect", value)]));
        assert!(waits(Version::HTTP_11, "100-Continue"));
        assert!(!waits(Version::HTTP_11, "200-maybe"));
        assert!(!waits(Version::HTTP_10, "100-continue"));
    }

    #[test]
    fn functions_ask_for_paths_that_a_client_could_have_asked_for() {
        let rules = |slashes| uri_rules(&Limits::default(), slashes);
        let target = |uri: &str| {
            let uri = (rules(EncodedSlashes::Reject).normalise)(uri);
            uri.map(|uri| uri.to_string())
        };
        for (uri, expected) in [
            ("/", "/"),
            ("/a?b=c?d", "/a?b=c?d"),
            ("/a/../b//c/%7euser?", "/b/c/~user?"),
            ("/../../etc", "/etc"),
            ("/a%20b?q=%00", "/a%20b?q=%00"),
            ("/:8080/@host", "/:8080/@host"),
        ] {
            assert_eq!(target(uri).as_deref(), Some(expected), "{uri}");
        }
        for uri in [
            "",
            "*",
            "a",
            "?a",
            "//evil",
            "///",
            "/\\evil",
            "http://evil/",
            "/a b",
            "/a\r\nHost: e",
            "/a\0",
            "/a\t",
            "/a#b",
            "/é",
            "/a?b c",
            "/a?\r\nx: y",
            "/a?b#c",
            "/a?é",
            "/%",
            "/%0d",
            "/%5c",
            "/a%2Fb",
            "/..%2fb",
        ] {
            assert_eq!(target(uri), None, "{uri:?}");
        }
        let kept = (rules(EncodedSlashes::Keep).normalise)("/a%2fb");
        assert_eq!(kept.map(|uri| uri.to_string()).as_deref(), Some("/a%2Fb"));
        let hidden = (rules(EncodedSlashes::Keep).normalise)("/a/..%2fb");
        assert_eq!(hidden, None);
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
