//! URLs as guests write them, honest and otherwise.

use proptest::prelude::*;

use super::*;

fn refused(text: &str) -> UrlError {
    Destination::parse(text).expect_err(text)
}

fn normal(text: &str) -> String {
    Destination::parse(text).expect(text).url.to_string()
}

fn host(text: &str) -> String {
    text.parse::<Target>().expect(text).host.to_string()
}

#[test]
fn a_url_is_used_in_its_normal_form() {
    for (text, form) in [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com/A", "https://example.com/A"),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:/", "https://example.com/"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("https://example.com./a", "https://example.com/a"),
        ("https://example.com.:8443/a", "https://example.com:8443/a"),
        ("https://example.com/a/../b#part", "https://example.com/b"),
        (
            "https://example.com/a%2e%2e/b",
            "https://example.com/a%2e%2e/b",
        ),
        ("https://example.com/?q=@x", "https://example.com/?q=@x"),
        (
            "https://bücher.example/ü",
            "https://xn--bcher-kva.example/%C3%BC",
        ),
        ("https://ｅｘａｍｐｌｅ.com/", "https://example.com/"),
        ("https://example。com/", "https://example.com/"),
        ("https://%65xample.com/", "https://example.com/"),
        ("https://exam\u{ad}ple.com/", "https://example.com/"),
    ] {
        assert_eq!(normal(text), form);
    }
}

#[test]
fn any_notation_of_an_address_is_an_address() {
    for text in [
        "https://127.0.0.1/",
        "https://127.0.0.1./",
        "https://127.1/",
        "https://127.0.1/",
        "https://2130706433/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0x7f.0x0.0x0.0x1/",
        "https://0X7F.1/",
        "https://%31%32%37.0.0.1/",
        "https://１２７.０.０.１/",
        "https://①②⑦.0.0.1/",
        "https://127。0。0。1/",
    ] {
        assert_eq!(host(text), "127.0.0.1", "{text}");
    }
    assert_eq!(host("https://[::1]/"), "[::1]");
    assert_eq!(host("https://[0:0::0:1]/"), "[::1]");
    assert_eq!(host("https://[::ffff:127.0.0.1]/"), "[::ffff:127.0.0.1]");
}

#[test]
fn other_schemes_and_missing_slashes_are_refused() {
    for text in [
        "",
        "example.com",
        "//example.com",
        "/path",
        "http://example.com",
        "https:example.com",
        "https:/example.com",
        "httpsx://example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "data:text/plain,x",
        "gopher://example.com",
        "http://https://example.com",
        "xhttps://example.com",
    ] {
        assert_eq!(refused(text), UrlError::NotHttps, "{text}");
    }
}

#[test]
fn ambiguous_characters_are_refused_anywhere() {
    for text in [
        " https://example.com",
        "https://example.com ",
        "https://exam ple.com",
        "https://example.com/a b",
        "https://exam\tple.com",
        "https://exam\nple.com/",
        "https://example.com/\r\nHost:x",
        "https://example.com/\0",
        "https://example.com\u{7f}/",
        "https://example.com/\u{85}",
        "https://example.com/\u{a0}",
        "https://example.com/\u{2028}",
        "https://example.com/\u{3000}",
        "https://example.com\\@127.0.0.1/",
        "https:\\\\example.com",
        "https:/\\example.com",
    ] {
        assert_eq!(refused(text), UrlError::Character, "{text:?}");
    }
}

#[test]
fn user_information_is_refused() {
    for text in [
        "https://user@example.com",
        "https://user:password@example.com",
        "https://@example.com",
        "https://:@example.com",
        "https://example.com@127.0.0.1/",
        "https://example.com:443@127.0.0.1/",
        "https://a@b@example.com",
    ] {
        assert_eq!(refused(text), UrlError::UserInfo, "{text}");
    }
}

#[test]
fn hosts_that_are_none_are_refused() {
    let long_label = format!("https://{}.com/", "a".repeat(64));
    let long_name = format!("https://{}com/", "abc.".repeat(63));
    for text in [
        "https://",
        "https:///example.com",
        "https:///",
        "https://?q",
        "https://#f",
        "https://:443/",
        "https://./",
        "https://../",
        "https://example..com/",
        "https://.example.com/",
        "https://example.com../",
        "https://exa%00mple.com/",
        "https://exa%20mple.com/",
        "https://example.com%2f@x/",
        "https://exa%6",
        "https://exa$mple.com/",
        "https://*.example.com/",
        "https://exa'mple.com/",
        "https://256.0.0.1/",
        "https://1.2.3.4.5/",
        "https://0x100000000/",
        "https://08.0.0.1/",
        "https://[::1",
        "https://::1/",
        "https://[::1%25eth0]/",
        "https://[::1%eth0]/",
        "https://[v1.x]/",
        "https://[]/",
        &long_label,
        &long_name,
    ] {
        let error = refused(text);
        let expected = [UrlError::Host, UrlError::Port, UrlError::UserInfo];
        assert!(expected.contains(&error), "{text}: {error}");
    }
}

#[test]
fn ports_that_are_none_are_refused() {
    for text in [
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:-1/",
        "https://example.com:https/",
        "https://example.com:4 43/",
    ] {
        let error = refused(text);
        let expected = [UrlError::Port, UrlError::Character];
        assert!(expected.contains(&error), "{text}: {error}");
    }
}

#[test]
fn a_url_at_the_limit_passes_and_one_past_it_does_not() {
    let stem = "https://example.com/";
    let longest = format!("{stem}{}", "a".repeat(MAX_URL - stem.len()));
    assert_eq!(normal(&longest).len(), MAX_URL);
    assert_eq!(refused(&format!("{longest}a")), UrlError::TooLong);
    // Percent-encoding makes it three times as long.
    let grows = format!("{stem}{}", "ü".repeat(MAX_URL / 4));
    assert_eq!(refused(&grows), UrlError::TooLong);
}

#[test]
fn locations_are_read_relative_to_the_url_and_as_strictly() {
    let base = Destination::parse("https://example.com/a/b?c").unwrap();
    let join = |location| base.join(location).map(|next| next.url.to_string());
    for (location, next) in [
        ("d", "https://example.com/a/d"),
        ("/d", "https://example.com/d"),
        ("?d", "https://example.com/a/b?d"),
        ("", "https://example.com/a/b?c"),
        ("../../d#e", "https://example.com/d"),
        ("//example.org/d", "https://example.org/d"),
        ("https://example.org./d", "https://example.org/d"),
        ("d/https://x", "https://example.com/a/d/https://x"),
    ] {
        assert_eq!(join(location).as_deref(), Ok(next), "{location}");
    }
    for (location, error) in [
        ("http://example.com/", UrlError::NotHttps),
        ("https:d", UrlError::NotHttps),
        ("javascript:x", UrlError::NotHttps),
        ("//user@example.org/", UrlError::UserInfo),
        ("///example.org", UrlError::Host),
        ("/\\example.org", UrlError::Character),
        ("/a b", UrlError::Character),
    ] {
        assert_eq!(join(location), Err(error), "{location}");
    }
}

#[test]
fn special_names_are_single_labels_and_private_suffixes() {
    for name in [
        "localhost",
        "db",
        "com",
        "a.localhost",
        "printer.local",
        "metadata.google.internal",
        "router.home.arpa",
        "a.test",
        "a.invalid",
        "a.onion",
        "api.default.svc",
        "api.default.svc.cluster.local",
    ] {
        assert!(is_special(name), "{name}");
    }
    for name in [
        "example.com",
        "local.example.com",
        "a.localhost.example.com",
    ] {
        assert!(!is_special(name), "{name}");
    }
}

proptest! {
    #[test]
    fn the_normal_form_is_its_own_normal_form(text in "https://[a-zA-Z0-9.:@%\\[\\]üß/?#-]{0,40}") {
        if let Ok(once) = Destination::parse(&text) {
            let twice = Destination::parse(once.url.as_str()).unwrap();
            prop_assert_eq!(once.url, twice.url);
            prop_assert_eq!(once.target, twice.target);
        }
    }

    #[test]
    fn no_text_breaks_the_reader(text: String, location: String) {
        Destination::parse(&text).ok();
        let base = Destination::parse("https://example.com/").unwrap();
        if let Ok(next) = base.join(&location) {
            prop_assert_eq!(next.url.scheme(), "https");
            prop_assert_eq!(next.url.username(), "");
        }
    }
}
