//! The grammar of allow lists, and what each entry covers.

use super::*;

fn list(entries: &[&str]) -> AllowList {
    entries
        .iter()
        .map(|entry| entry.parse::<AllowEntry>().expect(entry))
        .collect()
}

fn allows(entry: &str, url: &str) -> bool {
    list(&[entry]).allows(&url.parse().expect(url))
}

#[test]
fn entries_print_in_their_normal_form() {
    for (text, form) in [
        ("example.com", "example.com"),
        ("Example.COM.", "example.com"),
        ("example.com:8443", "example.com:8443"),
        ("example.com:443", "example.com:443"),
        ("*.example.com", "*.example.com"),
        ("*.Example.com:8443", "*.example.com:8443"),
        ("*", "*"),
        ("*:8443", "*:8443"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:8443", "192.0.2.1:8443"),
        ("[2001:DB8::0:1]", "[2001:db8::1]"),
        ("[::1]:8443", "[::1]:8443"),
    ] {
        let entry: AllowEntry = text.parse().expect(text);
        assert_eq!(entry.to_string(), form);
        assert_eq!(form.parse(), Ok(entry));
    }
}

#[test]
fn entries_that_are_none_say_what_to_write() {
    for (text, error) in [
        ("", EntryError::Empty),
        (":443", EntryError::Empty),
        ("https://example.com", EntryError::Scheme),
        ("http://example.com", EntryError::Scheme),
        ("example.com/", EntryError::Path),
        ("example.com/path", EntryError::Path),
        ("example.com?q", EntryError::Path),
        ("user@example.com", EntryError::UserInfo),
        ("example.com:", EntryError::Port),
        ("example.com:0", EntryError::Port),
        ("example.com:65536", EntryError::Port),
        ("example.com:+443", EntryError::Port),
        ("example.com:https", EntryError::Port),
        ("*example.com", EntryError::Wildcard),
        ("a.*.example.com", EntryError::Wildcard),
        ("*.*.example.com", EntryError::Wildcard),
        ("**", EntryError::Wildcard),
        ("*.192.0.2.1", EntryError::Wildcard),
        ("*.localhost", EntryError::SpecialWildcard),
        ("*.example.internal", EntryError::SpecialWildcard),
        ("*.home.arpa", EntryError::SpecialWildcard),
        ("*.svc:8443", EntryError::SpecialWildcard),
        ("127.1", EntryError::Ipv4),
        ("2130706433", EntryError::Ipv4),
        ("0x7f.0.0.1", EntryError::Ipv4),
        ("010.0.0.1", EntryError::Ipv4),
        ("256.0.0.1", EntryError::Ipv4),
        ("10.0.0.0/8", EntryError::Path),
        ("::1", EntryError::Ipv6),
        ("2001:db8::1", EntryError::Ipv6),
        ("[::1", EntryError::Ipv6),
        ("[::1]443", EntryError::Ipv6),
        ("[::1%eth0]", EntryError::Ipv6),
        ("[example.com]", EntryError::Ipv6),
        ("exam ple.com", EntryError::Name),
        ("exa%6dple.com", EntryError::Name),
        ("example..com", EntryError::Name),
        (".example.com", EntryError::Name),
        ("*.", EntryError::Name),
        ("example$.com", EntryError::Name),
    ] {
        assert_eq!(text.parse::<AllowEntry>(), Err(error), "{text}");
    }
}

#[test]
fn a_host_covers_itself_on_its_port() {
    assert!(allows("example.com", "https://example.com/"));
    assert!(allows("example.com", "https://EXAMPLE.com.:443/"));
    assert!(!allows("example.com", "https://a.example.com/"));
    assert!(!allows("example.com", "https://example.com:8443/"));
    assert!(allows("example.com:8443", "https://example.com:8443/"));
    assert!(!allows("example.com:8443", "https://example.com/"));
    assert!(allows("bücher.example", "https://xn--bcher-kva.example/"));
}

#[test]
fn a_wildcard_covers_one_or_more_labels_below_its_domain() {
    assert!(allows("*.example.com", "https://a.example.com/"));
    assert!(allows("*.example.com", "https://a.b.example.com/"));
    assert!(!allows("*.example.com", "https://example.com/"));
    assert!(!allows("*.example.com", "https://badexample.com/"));
    assert!(!allows("*.example.com", "https://example.com.evil.org/"));
    assert!(!allows("*.example.com", "https://a.example.com:8443/"));
}

#[test]
fn a_star_covers_public_names_only() {
    assert!(allows("*", "https://example.com/"));
    assert!(allows("*:8443", "https://example.com:8443/"));
    for url in [
        "https://example.com:8443/",
        "https://localhost/",
        "https://db/",
        "https://metadata.google.internal/",
        "https://93.184.215.14/",
        "https://[2606:4700::1]/",
    ] {
        assert!(!allows("*", url), "{url}");
    }
}

#[test]
fn special_names_and_addresses_are_covered_when_listed() {
    assert!(allows("localhost", "https://localhost/"));
    assert!(allows("db.internal:8443", "https://db.internal:8443/"));
    assert!(allows("127.0.0.1", "https://2130706433/"));
    assert!(allows("[::1]", "https://[0::1]/"));
    assert!(!allows("127.0.0.1", "https://[::ffff:127.0.0.1]/"));
}

#[test]
fn an_empty_list_allows_and_grants_nothing() {
    let target = "https://example.com/".parse().unwrap();
    assert!(AllowList::default().is_empty());
    assert!(!AllowList::default().allows(&target));
    assert!(!AllowList::default().grants(&target));
}

#[test]
fn a_bare_star_grants_whatever_the_node_allows() {
    let special = "https://db.internal:8443/".parse().unwrap();
    assert!(list(&["*"]).grants(&special));
    assert!(!list(&["*:8443"]).grants(&special));
    assert!(!list(&["*:443"]).grants(&special));
    assert!(!list(&["example.com"]).grants(&special));
    assert!(list(&["db.internal:8443"]).grants(&special));
}
