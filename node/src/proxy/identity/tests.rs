//! What proxies say, in all the ways they say it.

use super::super::Network;
use super::*;

use proptest::prelude::*;

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            *name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
        );
    }
    headers
}

fn heard(fields: &[(&'static str, &str)]) -> Told {
    let networks = ["10.0.0.0/8", "2001:db8::/32"];
    let trusted = networks.map(|text| text.parse::<Network>().expect(text));
    let peer = IpAddr::from([10, 0, 0, 1]);
    hear(&headers(fields), peer, &trusted.into_iter().collect()).1
}

fn path(fields: &[(&'static str, &str)]) -> String {
    heard(fields).path
}

#[test]
fn a_list_is_walked_back_to_the_first_address_that_is_not_trusted() {
    for (list, expected) in [
        ("192.0.2.1", "192.0.2.1, 10.0.0.1"),
        ("6.6.6.6, 192.0.2.1", "192.0.2.1, 10.0.0.1"),
        (
            "6.6.6.6, 192.0.2.1, 10.0.0.9,10.0.0.8",
            "192.0.2.1, 10.0.0.9, 10.0.0.8, 10.0.0.1",
        ),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3, 10.0.0.2, 10.0.0.1"),
        ("192.0.2.1:4711", "192.0.2.1, 10.0.0.1"),
        (
            "[2001:db9::1]:4711, 2001:db8::7",
            "2001:db9::1, 2001:db8::7, 10.0.0.1",
        ),
        ("2001:DB9:0:0::1", "2001:db9::1, 10.0.0.1"),
        ("::ffff:192.0.2.1", "192.0.2.1, 10.0.0.1"),
        ("192.0.2.1, unknown", "10.0.0.1"),
        ("192.0.2.1,", "10.0.0.1"),
        ("192.0.2.1, , 10.0.0.2", "10.0.0.2, 10.0.0.1"),
        ("192.0.2.1, 10.0.0.2 x, 10.0.0.3", "10.0.0.3, 10.0.0.1"),
        ("192.0.2.300", "10.0.0.1"),
        ("0x7f000001", "10.0.0.1"),
        ("192.0.2.1:99999", "10.0.0.1"),
        ("[192.0.2.1]", "10.0.0.1"),
        ("[2001:db9::1", "10.0.0.1"),
        ("", "10.0.0.1"),
    ] {
        assert_eq!(path(&[("x-forwarded-for", list)]), expected, "{list}");
    }
    let lines = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-for", "192.0.2.1, 10.0.0.2"),
    ];
    assert_eq!(path(&lines), "192.0.2.1, 10.0.0.2, 10.0.0.1");
}

#[test]
fn a_list_is_not_walked_for_ever() {
    let long = vec!["10.0.0.2"; 10_000].join(", ");
    let found = path(&[("x-forwarded-for", &format!("192.0.2.1, {long}"))]);
    assert_eq!(found.split(", ").count(), 33);
    let long = vec!["for=10.0.0.2"; 10_000].join(", ");
    let found = path(&[("forwarded", &format!("for=192.0.2.1, {long}"))]);
    assert_eq!(found.split(", ").count(), 33);
}

#[test]
fn forwarded_is_read_as_its_rfc_says() {
    for (value, expected) in [
        ("for=192.0.2.1", "192.0.2.1, 10.0.0.1"),
        (
            "For=192.0.2.1;by=203.0.113.4;proto=http",
            "192.0.2.1, 10.0.0.1",
        ),
        ("for=\"192.0.2.1:4711\"", "192.0.2.1, 10.0.0.1"),
        ("for=192.0.2.1:4711", "192.0.2.1, 10.0.0.1"),
        ("for=\"[2001:db9::1]:4711\"", "2001:db9::1, 10.0.0.1"),
        ("for=\"[2001:db9::1]\";", "2001:db9::1, 10.0.0.1"),
        ("for=\"\\192.0.2.\\1\"", "192.0.2.1, 10.0.0.1"),
        (
            "for=6.6.6.6, for=192.0.2.1 , for=10.0.0.2",
            "192.0.2.1, 10.0.0.2, 10.0.0.1",
        ),
        (
            "for=6.6.6.6;x=\", for=10.0.0.3\", for=192.0.2.1",
            "192.0.2.1, 10.0.0.1",
        ),
        ("proto=https", "10.0.0.1"),
        ("for=unknown", "10.0.0.1"),
        ("for=_hidden", "10.0.0.1"),
        ("for=192.0.2.1, for=_hidden", "10.0.0.1"),
        ("for=\"2001:db9::1\"", "10.0.0.1"),
        ("for=[2001:db9::1]", "10.0.0.1"),
        ("for=192.0.2.1;for=192.0.2.2", "10.0.0.1"),
        ("for = 192.0.2.1", "10.0.0.1"),
        ("for=\"192.0.2.1", "10.0.0.1"),
        ("for", "10.0.0.1"),
        ("=192.0.2.1", "10.0.0.1"),
        ("for=192.0.2.1 for=192.0.2.2", "10.0.0.1"),
        (", for=192.0.2.1", "192.0.2.1, 10.0.0.1"),
        ("broken\", for=192.0.2.1", "10.0.0.1"),
        ("", "10.0.0.1"),
    ] {
        assert_eq!(path(&[("forwarded", value)]), expected, "{value}");
    }
    let told = heard(&[(
        "forwarded",
        "for=6.6.6.6;proto=http, for=192.0.2.1;proto=https;host=\"shop.test:8443\", for=10.0.0.2;proto=http;host=inner",
    )]);
    assert_eq!(
        (told.scheme, told.host),
        (
            Some(Scheme::Https),
            Some(HeaderValue::from_static("shop.test:8443"))
        )
    );
}

#[test]
fn one_story_is_believed_and_not_two() {
    let (list, forwarded, real) = (
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.2;proto=https;host=b.test"),
        ("x-real-ip", "192.0.2.3"),
    );
    assert_eq!(path(&[list, forwarded, real]), "192.0.2.1, 10.0.0.1");
    assert_eq!(heard(&[list, forwarded]).scheme, None);
    assert_eq!(path(&[forwarded, real]), "192.0.2.2, 10.0.0.1");
    assert_eq!(path(&[real]), "192.0.2.3, 10.0.0.1");
    assert_eq!(
        path(&[("x-forwarded-for", "unknown"), forwarded, real]),
        "10.0.0.1"
    );
    assert_eq!(path(&[]), "10.0.0.1");
}

#[test]
fn scheme_and_host_count_if_they_are_such() {
    let scheme = |value| heard(&[("x-forwarded-proto", value)]).scheme;
    assert_eq!(scheme("https"), Some(Scheme::Https));
    assert_eq!(scheme("HTTP"), Some(Scheme::Http));
    assert_eq!(scheme("http, https"), Some(Scheme::Https));
    for value in ["", "wss", "https:", "https, javascript"] {
        assert_eq!(scheme(value), None, "{value}");
    }
    let host = |value| heard(&[("x-forwarded-host", value)]).host;
    assert_eq!(
        host("a.test:80"),
        Some(HeaderValue::from_static("a.test:80"))
    );
    assert_eq!(
        host("b.test, a.test"),
        Some(HeaderValue::from_static("a.test"))
    );
    for value in ["", "a b", "u@a", "a/b"] {
        assert_eq!(host(value), None, "{value}");
    }
}

proptest! {
    #[test]
    fn no_header_makes_it_panic_or_forget_the_peer(
        list in "[0-9a-f.:,\\[\\] _x]{0,60}",
        forwarded in "(for|proto|host|=|\"|\\\\|;|,| |[0-9.:a]{1,9}|\\[|\\]){0,30}",
    ) {
        for fields in [[("x-forwarded-for", &*list)], [("forwarded", &*forwarded)]] {
            prop_assert!(path(&fields).ends_with("10.0.0.1"));
        }
    }
}
