//! Normal forms by example and by property.

use proptest::prelude::*;

use super::*;

fn normal(path: &str) -> Result<String, PathError> {
    normalise(path).map(|normal| normal.path.into_owned())
}

#[test]
fn a_normal_path_is_borrowed_as_it_is() {
    for path in [
        "/",
        "/a",
        "/a/",
        "/a/b.c/..d/e../.well-known/...",
        "/a;x=1/~b/c:d@e!$&'()*+,=",
        "/%20%C3%A4%25%2F",
        "/a|b[c]\"<>^`{}",
    ] {
        let NormalPath { path: found, .. } = normalise(path).unwrap();
        assert!(
            matches!(found, Cow::Borrowed(same) if same == path),
            "{path}: {found}"
        );
    }
}

#[test]
fn dot_segments_are_resolved_and_never_lead_above_the_root() {
    for (path, form) in [
        ("/a/b/c/./../../g", "/a/g"),
        ("/a/./b", "/a/b"),
        ("/./a", "/a"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/..", "/"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("/a/../../b/../c", "/c"),
    ] {
        assert_eq!(normal(path).as_deref(), Ok(form), "{path}");
    }
}

#[test]
fn empty_segments_are_merged_before_dot_segments_are_resolved() {
    for (path, form) in [
        ("//", "/"),
        ("//a", "/a"),
        ("/a//b///c//", "/a/b/c/"),
        ("/a//../b", "/b"),
        ("/a/.//b", "/a/b"),
    ] {
        assert_eq!(normal(path).as_deref(), Ok(form), "{path}");
    }
}

#[test]
fn only_unreserved_characters_are_decoded_and_only_once() {
    for (path, form) in [
        ("/%61%7a%41%30%2d%2e%5f%7E", "/azA0-._~"),
        ("/%2e%2E/a/%2e/b", "/a/b"),
        ("/%3a%3B%c3%a4", "/%3A%3B%C3%A4"),
        ("/%252e%252e/a", "/%252e%252e/a"),
        ("/%25%32%65", "/%252e"),
    ] {
        assert_eq!(normal(path).as_deref(), Ok(form), "{path}");
    }
}

#[test]
fn known_ways_around_a_path_rule_are_refused_or_lead_to_the_normal_form() {
    use PathError::*;
    for (path, expected) in [
        ("/pub/../admin", Ok("/admin")),
        ("/pub/%2e%2e/admin", Ok("/admin")),
        ("/pub/.%2e/admin", Ok("/admin")),
        ("//admin", Ok("/admin")),
        ("/./admin", Ok("/admin")),
        ("/%61dmin", Ok("/admin")),
        ("/pub/..%2fadmin", Err(HiddenDotSegment)),
        ("/pub/%2e%2e%2Fadmin", Err(HiddenDotSegment)),
        ("/pub/a%2f..", Err(HiddenDotSegment)),
        ("/pub/a%2f..%2fadmin", Err(HiddenDotSegment)),
        ("/pub/.%2fadmin", Err(HiddenDotSegment)),
        ("/pub/..%2f../../admin", Err(HiddenDotSegment)),
        ("/pub/..%5cadmin", Err(Backslash)),
        ("/pub/..%5Cadmin", Err(Backslash)),
        ("/pub\\..\\admin", Err(Backslash)),
        ("/admin%00", Err(EncodedControl)),
        ("/admin%0d%0aHost:", Err(EncodedControl)),
        ("/admin%7f", Err(EncodedControl)),
        ("/pub/..;/admin", Err(HiddenDotSegment)),
        ("/pub/..;x=y/admin", Err(HiddenDotSegment)),
        ("/pub/%2e%2e;/admin", Err(HiddenDotSegment)),
        ("/pub/..%3b/admin", Err(HiddenDotSegment)),
        ("/pub/..%3Bx;y/admin", Err(HiddenDotSegment)),
        ("/pub/.;/admin", Err(HiddenDotSegment)),
        ("/pub/..;", Err(HiddenDotSegment)),
        ("/pub/a%2f..;%2fadmin", Err(HiddenDotSegment)),
        // Other resources, and forwarded as what they were matched as.
        ("/admin;x", Ok("/admin;x")),
        ("/a..;x/..b;/;..", Ok("/a..;x/..b;/;..")),
        ("/a;x/../b", Ok("/b")),
        ("/ADMIN", Ok("/ADMIN")),
        ("/pub/%252e%252e/admin", Ok("/pub/%252e%252e/admin")),
        ("/pub/%252e%252e%252fadmin", Ok("/pub/%252e%252e%252fadmin")),
        ("/pub/..%c0%afadmin", Ok("/pub/..%C0%AFadmin")),
        ("/pub/%c0%ae%c0%ae/admin", Ok("/pub/%C0%AE%C0%AE/admin")),
    ] {
        assert_eq!(
            normal(path).as_deref(),
            expected.as_ref().copied(),
            "{path}"
        );
    }
}

#[test]
fn what_is_no_path_is_refused() {
    use PathError::*;
    for (path, error) in [
        ("", NotAbsolute),
        ("*", NotAbsolute),
        ("a/b", NotAbsolute),
        ("http://a/", NotAbsolute),
        ("/a b", Raw(b' ')),
        ("/a\tb", Raw(b'\t')),
        ("/a\0", Raw(0)),
        ("/a\u{7f}", Raw(0x7f)),
        ("/ä", Raw(0xc3)),
        ("/a#b", Raw(b'#')),
        ("/a?b", Raw(b'?')),
        ("/%", Malformed),
        ("/%4", Malformed),
        ("/%4g", Malformed),
        ("/%+4", Malformed),
        ("/%%32e", Malformed),
        ("/%ä", Malformed),
    ] {
        assert_eq!(normal(path), Err(error), "{path}");
    }
}

#[test]
fn an_encoded_slash_is_kept_and_reported() {
    for (path, form) in [
        ("/@scope%2Fname", "/@scope%2Fname"),
        ("/@scope%2fname", "/@scope%2Fname"),
        ("/a%2F%2F..b%2Fc..", "/a%2F%2F..b%2Fc.."),
        ("/a%2Fb/../c", "/c"),
    ] {
        let found = normalise(path).unwrap();
        assert_eq!(found.path, form, "{path}");
        assert!(found.encoded_slash, "{path}");
    }
    assert!(!normalise("/a/%252F").unwrap().encoded_slash);
}

/// Paths made of what normalisation treats specially, most of them acceptable.
fn paths() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "/", ".", "..", "a", "b", "%2e", "%2E", "%2f", "%2F", "%61", "%25", "%c0", "%AF",
        ";x", ";", "%3b", "%3B", "//", "%20", "2e", "2F",
    ]);
    prop::collection::vec(piece, 0..16).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn the_normal_form_is_its_own_normal_form(path in paths()) {
        if let Ok(once) = normalise(&path) {
            let twice = normalise(&once.path).unwrap();
            prop_assert_eq!(&twice.path, &once.path);
            prop_assert!(matches!(twice.path, Cow::Borrowed(_)));
        }
    }

    #[test]
    fn the_normal_form_has_nothing_left_to_resolve(path in paths()) {
        if let Ok(NormalPath { path, encoded_slash }) = normalise(&path) {
            prop_assert!(path.starts_with('/'));
            let closed = format!("{path}/");
            for unresolved in ["/./", "/../", "%2e", "%2E", "%2f", "%61"] {
                prop_assert!(!closed.contains(unresolved), "{path}");
            }
            prop_assert!(!path.contains("//"), "{path}");
            prop_assert!(encoded_slash || !path.contains("%2F"));
        }
    }

    /// Some servers take what follows a semicolon for a parameter of the segment.
    #[test]
    fn a_server_that_drops_parameters_finds_no_dot_segment(path in paths()) {
        if let Ok(NormalPath { path, .. }) = normalise(&path) {
            let decoded = path.replace("%3B", ";").replace("%2F", "/");
            let mut names = decoded.split('/').map(|segment| segment.split(';').next());
            prop_assert!(!names.any(|name| matches!(name, Some("." | ".."))), "{path}");
        }
    }

    /// The upstream may decode once more: `%2F` must not take it up a directory.
    #[test]
    fn a_server_that_decodes_slashes_finds_no_dot_segment(path in paths()) {
        if let Ok(NormalPath { path, .. }) = normalise(&path) {
            let decoded = path.replace("%2F", "/");
            let mut segments = decoded.split('/');
            prop_assert!(!segments.any(|segment| segment == ".." || segment == "."), "{path}");
        }
    }

    #[test]
    fn no_text_makes_it_panic(path in "/(\\PC|[%/.\\\\0-9a-f]){0,32}") {
        if let Ok(normal) = normalise(&path) {
            prop_assert!(normal.path.is_ascii() && normal.path.len() <= path.len() + 1);
        }
    }
}
