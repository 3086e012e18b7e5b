//! Which hosts are accepted, and in what form they are compared.

use super::*;

fn pattern(text: &str) -> Result<String, HostError> {
    text.parse::<HostPattern>().map(|host| host.to_string())
}

fn request_host(text: &str) -> Option<String> {
    RequestHost::parse(text).map(|host| String::from_utf8(host.as_bytes().to_vec()).unwrap())
}

#[test]
fn a_pattern_is_kept_in_lower_case_without_a_trailing_dot() {
    for (text, kept) in [
        ("api.example.com", "api.example.com"),
        ("API.Example.COM.", "api.example.com"),
        ("*.Example.org", "*.example.org"),
        ("localhost", "localhost"),
        (
            "_service.xn--bcher-kva.example",
            "_service.xn--bcher-kva.example",
        ),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
    ] {
        assert_eq!(pattern(text).as_deref(), Ok(kept), "{text}");
    }
}

#[test]
fn a_bad_pattern_is_refused_with_what_is_wrong() {
    use HostError::*;
    let label = "a".repeat(64);
    let long = "a.".repeat(126) + "ab";
    for (text, error) in [
        ("", Empty),
        (".", Empty),
        ("*.", Empty),
        ("*", Any),
        ("a.*.example", Asterisk),
        ("a*.example", Asterisk),
        ("*.*.example", Asterisk),
        ("*example.com", Asterisk),
        ("example.com:8080", Port("example.com".to_owned())),
        ("*.example.com:80", Port("*.example.com".to_owned())),
        ("[::1]:8080", Port("[::1]".to_owned())),
        ("https://example.com", Character(':')),
        ("example.com/path", Character('/')),
        ("exam ple", Character(' ')),
        ("bücher.example", Character('ü')),
        ("*.[::1]", Character('[')),
        ("a..example", Label),
        (".example", Label),
        ("-a.example", Label),
        (&label, Label),
        (&long, TooLong),
        ("::1", Brackets(Ipv6Addr::LOCALHOST)),
        ("[::g]", Address),
        ("[::1", Address),
        ("[::1]x", Address),
        ("1.2.3.256", Address),
        ("*.0.0.1", Address),
    ] {
        assert_eq!(pattern(text), Err(error), "{text}");
    }
}

#[test]
fn the_longest_name_is_still_a_pattern_and_a_request_host() {
    let longest = "a.".repeat(126) + "a";
    assert_eq!(longest.len(), NAME_LENGTH);
    assert_eq!(pattern(&longest), Ok(longest.clone()));
    assert_eq!(request_host(&longest.to_uppercase()), Some(longest.clone()));
    assert_eq!(
        request_host(&format!("{longest}.:80")),
        Some(longest.clone())
    );
    assert_eq!(request_host(&format!("{longest}a")), None);
}

#[test]
fn a_request_host_loses_its_port_its_trailing_dot_and_its_case() {
    for (text, name) in [
        ("API.example.com", "api.example.com"),
        ("api.example.com.", "api.example.com"),
        ("api.example.com:8443", "api.example.com"),
        ("api.example.com.:8443", "api.example.com"),
        ("api.example.com:", "api.example.com"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("[::1]", "[::1]"),
        ("[0:0:0:0:0:0:0:1]:80", "[::1]"),
    ] {
        assert_eq!(request_host(text).as_deref(), Some(name), "{text}");
    }
}

#[test]
fn a_malformed_request_host_is_no_host() {
    for text in [
        "", ".", ":80", "a..b", ".a", "a:b", "a:1:2", "user@a", "a b", "a/b", "*.a", "ä", "[::1",
        "[::1]x", "[::1]:x", "[a]", "[]",
    ] {
        assert_eq!(request_host(text), None, "{text}");
    }
}

#[test]
fn parents_are_what_follows_each_label() {
    let host = RequestHost::parse("a.bc.d").unwrap();
    let parents: Vec<_> = host.parents().collect();
    assert_eq!(parents, [b"bc.d".as_slice(), b"d"]);
}
