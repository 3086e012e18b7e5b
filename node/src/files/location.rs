//! From the path of a request to the name of a file, relative to the root.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use percent_encoding::percent_decode_str;

/// For everybody by its purpose, though it is hidden by its name (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// What follows `prefix` in a path, where that ends at the end of a segment.
pub(super) fn below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// The name, percent-decoded once, segment by segment; a slash at its end is kept, and the root
/// itself is `.`. `None` for what names no file: a slash or NUL within a segment, dot segments,
/// and, unless `hidden`, segments that begin with a dot.
pub(super) fn decoded(path: &str, hidden: bool) -> Option<OsString> {
    let mut name = Vec::with_capacity(path.len());
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let segment: Vec<u8> = percent_decode_str(segment).collect();
        let is_last = segments.peek().is_none();
        if segment.is_empty() && !is_last {
            return None;
        }
        if segment.iter().any(|byte| matches!(byte, b'/' | 0)) || is_dots(&segment) {
            return None;
        }
        let is_well_known = name.is_empty() && segment == WELL_KNOWN;
        if segment.starts_with(b".") && !hidden && !is_well_known {
            return None;
        }
        name.extend_from_slice(&segment);
        if !is_last {
            name.push(b'/');
        }
    }
    if name.is_empty() {
        name.push(b'.');
        if path.ends_with('/') {
            name.push(b'/');
        }
    }
    Some(OsString::from_vec(name))
}

/// A path in normal form has none; but this is what keeps them out.
fn is_dots(segment: &[u8]) -> bool {
    segment == b"." || segment == b".."
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_prefix_ends_with_a_segment() {
        for (path, prefix, expected) in [
            ("/a/b", "/a", Some("/b")),
            ("/a", "/a", Some("")),
            ("/a/", "/a", Some("/")),
            ("/ab", "/a", None),
            ("/b", "/a", None),
            ("/a/b", "/", Some("/a/b")),
            ("/", "/", Some("/")),
            ("/a", "", Some("/a")),
        ] {
            assert_eq!(below(path, prefix), expected, "{path} {prefix}");
        }
    }

    #[test]
    fn names_are_decoded_once() {
        for (path, expected) in [
            ("/a/b.html", &b"a/b.html"[..]),
            ("/a/", b"a/"),
            ("/", b"./"),
            ("", b"."),
            ("/a%20b", b"a b"),
            ("/%252e%252e/x", b"%2e%2e/x"),
            ("/%ff%fe", b"\xff\xfe"),
            ("/%C3%A9", "é".as_bytes()),
            ("/a...b", b"a...b"),
            ("/.well-known/x", b".well-known/x"),
        ] {
            let name = decoded(path, false).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(name.as_bytes(), expected, "{path}");
        }
    }

    #[test]
    fn what_names_no_file_is_none() {
        for path in [
            "/..",
            "/../x",
            "/a/../x",
            "/%2e%2e/x",
            "/%2E%2E",
            "/.",
            "/a/./b",
            "/a%2fb",
            "/..%2fetc",
            "/a%00",
            "/a%00.html",
            "//a",
            "/a//b",
        ] {
            assert_eq!(decoded(path, true), None, "{path}");
        }
        for path in [
            "/.env",
            "/a/.git/config",
            "/%2egit",
            "/a/.well-known/x",
            "/...",
        ] {
            assert_eq!(decoded(path, false), None, "{path}");
            assert!(decoded(path, true).is_some(), "{path}");
        }
    }
}
