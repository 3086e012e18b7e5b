//! Which path patterns are accepted.

use super::*;

fn refusal(pattern: Result<PathPattern, PatternError>) -> String {
    pattern.unwrap_err().to_string()
}

#[test]
fn a_pattern_shows_its_key_and_value() {
    let exact = PathPattern::exact("/a/b%2Fc/").unwrap();
    let regex = PathPattern::regex("^/v[0-9]+/").unwrap();
    assert_eq!(exact.to_string(), "path /a/b%2Fc/");
    assert_eq!(regex.to_string(), "path_regex ^/v[0-9]+/");
    assert_eq!(PathPattern::default().to_string(), "path_prefix /");
}

#[test]
fn a_trailing_slash_of_a_prefix_is_dropped_but_for_the_root() {
    for (text, kept) in [("/", "/"), ("/a", "/a"), ("/a/", "/a"), ("/a/b/", "/a/b")] {
        assert_eq!(PathPattern::prefix(text).unwrap().as_str(), kept);
    }
}

#[test]
fn a_path_that_is_not_normal_is_refused_with_its_normal_form() {
    for (text, normal) in [
        ("/a//b", "/a/b"),
        ("/a/../b", "/b"),
        ("/%61", "/a"),
        ("/a%2fb", "/a%2Fb"),
        ("/.", "/"),
    ] {
        let error = PatternError::NotNormal(normal.to_owned());
        assert_eq!(PathPattern::exact(text).unwrap_err(), error, "{text}");
        assert_eq!(PathPattern::prefix(text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn a_path_no_request_can_have_is_refused() {
    for (text, error) in [
        ("", PathError::NotAbsolute),
        ("a", PathError::NotAbsolute),
        ("/a?b", PathError::Raw(b'?')),
        ("/a b", PathError::Raw(b' ')),
        ("/a\\b", PathError::Backslash),
        ("/..%2Fa", PathError::HiddenDotSegment),
    ] {
        let refused = PathPattern::exact(text).unwrap_err();
        assert_eq!(refused, PatternError::Path(error), "{text}");
    }
}

#[test]
fn a_bad_regex_is_refused_with_the_place_of_the_error() {
    assert!(refusal(PathPattern::regex("^/a(")).contains("unclosed group"));
}

#[test]
fn a_regex_that_compiles_to_too_much_is_refused() {
    assert!(PathPattern::regex(r"^/[a-z0-9-]{1,64}/\w{1,8}$").is_ok());
    assert!(refusal(PathPattern::regex(r"(\w{100}){100}")).contains("size limit"));
}
