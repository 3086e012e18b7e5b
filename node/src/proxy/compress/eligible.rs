//! Which answers may be encoded, and what their headers say then.

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE,
    ETAG, TRANSFER_ENCODING, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pingora::Result;
use pingora::http::ResponseHeader;

use crate::coding::Coding;
use crate::files::{EntityTag, listed};

/// Shorter bodies fit in a packet anyway, and hardly get smaller.
const SHORTEST: u64 = 512;

/// Types besides `text/*` that are text, or as compressible. Whatever ends with `+json`, `+xml`
/// or `+text` is one, too.
const TYPES: &[&str] = &[
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/rtf",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-web-app-manifest+json",
    "application/xml",
    "application/yaml",
    "font/otf",
    "font/ttf",
    "font/collection",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
];

/// What spoke of the bytes of the body.
const OF_THE_BYTES: [HeaderName; 6] = [
    CONTENT_LENGTH,
    ACCEPT_RANGES,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// Whether the answer depends on what the client accepts: its body could be encoded, be it for
/// this client or another.
pub(super) fn varies(header: &ResponseHeader) -> bool {
    header.status.is_success()
        && header.status != StatusCode::NO_CONTENT
        && header.status != StatusCode::RESET_CONTENT
        && is_compressible(&header.headers)
        && !is_encoded(&header.headers)
        && !forbids(&header.headers)
        && is_worth_it(header)
}

/// How long all of it is, a part does not say.
fn is_worth_it(header: &ResponseHeader) -> bool {
    header.status == StatusCode::PARTIAL_CONTENT
        || length(&header.headers).is_none_or(|length| length >= SHORTEST)
}

/// The beginning of a type decides; what follows a `;` are parameters.
fn is_compressible(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let media = value.and_then(|value| value.split(';').next());
    let Some(media) = media.map(|media| media.trim().to_ascii_lowercase()) else {
        return false;
    };
    // An event is for now, and there is nothing to gain: its encoder would hold memory for hours.
    let is_text = media.starts_with("text/") && media != "text/event-stream";
    let ends = ["+json", "+xml", "+text"];
    is_text || TYPES.contains(&&*media) || ends.iter().any(|end| media.ends_with(end))
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether the body must stay as it is (RFC 9111, sections 5.2.1.6 and 5.2.2.6).
pub(super) fn forbids(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let mut directives = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    directives.any(|one| one.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Tells caches so, if they are not told already.
pub(super) fn vary(header: &mut ResponseHeader) -> Result<()> {
    let values = header.headers.get_all(VARY).iter();
    let mut names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let is_told = names.any(|name| {
        let name = name.trim_ascii();
        name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding")
    });
    if !is_told {
        header.append_header(VARY, HeaderValue::from_name(ACCEPT_ENCODING))?;
    }
    Ok(())
}

/// Makes the header that of the encoded body, whose length nobody knows yet.
pub(super) fn encode(header: &mut ResponseHeader, coding: Coding) -> Result<()> {
    for name in &OF_THE_BYTES {
        header.remove_header(name);
    }
    weaken(header)?;
    header.insert_header(CONTENT_ENCODING, coding.value())?;
    header.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))
}

/// What a 304 says of is what the client has: if that is known by a weak tag, it was encoded.
pub(super) fn not_modified(header: &mut ResponseHeader, asked: &[HeaderValue]) -> Result<()> {
    vary(header)?;
    let tag = header.headers.get(ETAG).and_then(EntityTag::parse);
    let is_known_weak = tag.is_some_and(|tag| {
        let is_weak_one = |one: &EntityTag| one.is_weak() && one.is_equivalent(&tag);
        !asked.iter().any(|value| value == "*") && listed(asked, is_weak_one)
    });
    match is_known_weak {
        true => weaken(header),
        false => Ok(()),
    }
}

/// The encoded body is equivalent to the plain one, and not the same bytes. A tag that is none
/// goes.
fn weaken(header: &mut ResponseHeader) -> Result<()> {
    let Some(tag) = header.headers.get(ETAG) else {
        return Ok(());
    };
    match EntityTag::parse(tag).and_then(|tag| tag.weakened().value()) {
        Some(weak) => header.insert_header(ETAG, weak),
        None => {
            header.remove_header(&ETAG);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(status: u16, fields: &[(&'static str, &str)]) -> ResponseHeader {
        let mut header = ResponseHeader::build(status, None).unwrap();
        for (name, value) in fields {
            header.append_header(*name, *value).unwrap();
        }
        header
    }

    fn of_type(media: &str) -> bool {
        varies(&header(200, &[("content-type", media)]))
    }

    #[test]
    fn text_is_encoded_and_what_is_compressed_already_is_not() {
        for media in [
            "text/html",
            "Text/HTML; charset=utf-8",
            "text/css",
            "application/json",
            "application/problem+json",
            "application/atom+xml",
            "image/svg+xml",
            "application/wasm",
            "application/manifest+json",
            "font/ttf",
        ] {
            assert!(of_type(media), "{media}");
        }
        for media in [
            "text/event-stream",
            "text/event-stream;charset=utf-8",
            "image/png",
            "image/jpeg",
            "video/mp4",
            "font/woff2",
            "application/zip",
            "application/gzip",
            "application/pdf",
            "application/octet-stream",
            "application/grpc",
            "application/grpc+proto",
            "multipart/form-data",
            "",
        ] {
            assert!(!of_type(media), "{media}");
        }
        assert!(!varies(&header(200, &[])));
    }

    #[test]
    fn answers_that_must_stay_as_they_are_do() {
        let html = ("content-type", "text/html");
        for (status, field) in [
            (404, html),
            (204, html),
            (205, html),
            (301, html),
            (500, html),
            (101, html),
            (200, ("content-encoding", "gzip")),
            (200, ("content-encoding", "identity, br")),
            (200, ("cache-control", "max-age=1, No-Transform")),
            (200, ("content-length", "511")),
        ] {
            assert!(
                !varies(&header(status, &[html, field])),
                "{status} {field:?}"
            );
        }
        for field in [
            ("content-encoding", "identity"),
            ("cache-control", "public, max-age=1"),
            ("content-length", "512"),
        ] {
            assert!(varies(&header(200, &[html, field])), "{field:?}");
        }
    }

    #[test]
    fn vary_is_said_once() {
        for (before, after) in [
            (&[][..], &["accept-encoding"][..]),
            (&["Origin"], &["Origin", "accept-encoding"]),
            (&["origin, Accept-Encoding"], &["origin, Accept-Encoding"]),
            (&["a", "accept-encoding"], &["a", "accept-encoding"]),
            (&["*"], &["*"]),
        ] {
            let mut header = header(200, &[]);
            for value in before {
                header.append_header(VARY, *value).unwrap();
            }
            vary(&mut header).unwrap();
            let values: Vec<_> = header.headers.get_all(VARY).iter().collect();
            assert_eq!(values, after);
        }
    }

    #[test]
    fn an_encoded_answer_says_nothing_of_the_plain_one() {
        let mut header = header(
            200,
            &[
                ("content-length", "1000"),
                ("accept-ranges", "bytes"),
                ("etag", "\"a\""),
                ("digest", "sha-256=x"),
                ("content-md5", "x"),
                ("x-kept", "1"),
            ],
        );
        encode(&mut header, Coding::Brotli).unwrap();
        let mut left: Vec<_> = header.headers.iter().collect();
        left.sort_by_key(|(name, _)| name.as_str());
        let left = left.into_iter();
        let left: Vec<_> = left
            .map(|(n, v)| (n.as_str(), v.to_str().unwrap()))
            .collect();
        assert_eq!(
            left,
            [
                ("content-encoding", "br"),
                ("etag", "W/\"a\""),
                ("transfer-encoding", "chunked"),
                ("x-kept", "1")
            ]
        );
    }

    #[test]
    fn a_304_names_the_tag_that_the_client_knows() {
        for (asked, expected) in [
            ("W/\"a\"", "W/\"a\""),
            ("\"b\", W/\"a\"", "W/\"a\""),
            ("\"a\"", "\"a\""),
            ("*", "\"a\""),
            ("W/\"b\"", "\"a\""),
        ] {
            let mut header = header(304, &[("etag", "\"a\"")]);
            let asked = [HeaderValue::from_str(asked).unwrap()];
            not_modified(&mut header, &asked).unwrap();
            assert_eq!(header.headers[ETAG], expected, "{asked:?}");
            assert_eq!(header.headers[VARY], "accept-encoding");
        }
    }
}
