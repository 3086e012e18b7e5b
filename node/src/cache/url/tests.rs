//! Addresses that are understood, and those that are not.

use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    text.parse::<StoreUrl>().unwrap().to_string()
}

#[test]
fn port_and_database_have_defaults() {
    for (text, same) in [
        ("redis://store", "redis://store:6379"),
        ("redis://127.0.0.1:7000/3", "redis://127.0.0.1:7000/3"),
        ("redis://[::1]:7000/", "redis://[::1]:7000"),
        ("rediss://[::1]", "rediss://[::1]:6379"),
        ("rediss://Store.example/0", "rediss://store.example:6379/0"),
        ("redis-cluster://a,b:7", "redis-cluster://a:6379,b:7"),
        ("redis-cluster://a:1/0", "redis-cluster://a:1"),
        ("rediss-cluster://a?node=b:7", "rediss-cluster://a:6379,b:7"),
        (
            "redis-sentinel://a,b:7/2?sentinelServiceName=main",
            "redis-sentinel://a:26379,b:7/2?sentinelServiceName=main",
        ),
        ("unix:///run/store.sock", "unix:///run/store.sock"),
        ("redis+unix:///run/a%20b?db=4", "unix:///run/a b?db=4"),
    ] {
        assert_eq!(shown(text), same, "{text}");
    }
}

#[test]
fn credentials_are_decoded_and_never_shown() {
    let url: StoreUrl = "redis://us%3Aer:s%23cret@h".parse().unwrap();
    assert_eq!(url.user.as_deref(), Some("us:er"));
    assert_eq!(url.password, Some(Secret::new("s#cret".to_owned())));
    assert_eq!(
        format!("{url} {url:?}"),
        "redis://h:6379 StoreUrl(redis://h:6379)"
    );
    assert_ne!(url, "redis://us%3Aer:other@h".parse().unwrap());
}

#[test]
fn of_credentials_either_part_may_be_missing() {
    let parts = |text: &str| {
        let url: StoreUrl = text.parse().unwrap();
        let password = url.password.map(|secret| secret.reveal().to_owned());
        (url.user, password)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(parts("redis://h"), (None, None));
    assert_eq!(parts("redis://:p@h"), (None, some("p")));
    assert_eq!(parts("redis://u@h"), (some("u"), None));
    assert_eq!(parts("redis://u:@h"), (some("u"), None));
    assert_eq!(parts("unix://u:p@/run/s"), (some("u"), some("p")));
    assert_eq!(parts("redis-cluster://u:p@a,b"), (some("u"), some("p")));
    assert_eq!(parts("redis://u:p@ss:@h"), (some("u"), some("p@ss:")));
}

#[test]
fn sentinels_have_credentials_of_their_own() {
    let text =
        "redis-sentinel://u:p@a?sentinelServiceName=m&sentinelUsername=v&sentinelPassword=%71";
    let url: StoreUrl = text.parse().unwrap();
    let Place::Sentinels(sentinels) = &url.place else {
        panic!("{url}");
    };
    assert_eq!(sentinels.user.as_deref(), Some("v"));
    assert_eq!(sentinels.password, Some(Secret::new("q".to_owned())));
    assert_eq!(
        shown(text),
        "redis-sentinel://a:26379?sentinelServiceName=m"
    );
}

#[test]
fn what_is_not_an_address_is_refused_with_its_reason() {
    for (text, reason) in [
        ("", UrlError::Scheme),
        ("store:6379", UrlError::Scheme),
        ("http://store", UrlError::Scheme),
        ("redis+sentinel://store", UrlError::Scheme),
        ("redis://a,b", UrlError::Hosts),
        ("redis://store?node=other:1", UrlError::Query),
        ("redis://:pass#word@store", UrlError::Query),
        ("redis-cluster://store#1", UrlError::Query),
        ("redis-cluster://store?db=1", UrlError::Parameter),
        ("redis-cluster://store?node", UrlError::Parameter),
        ("redis-cluster://store/1", UrlError::Database),
        ("redis-sentinel://store", UrlError::Service),
        (
            "redis-sentinel://s?sentinelServiceName=",
            UrlError::Parameter,
        ),
        ("redis-sentinel://s?service=m", UrlError::Parameter),
        ("redis-cluster://u:p@a,u:p@b", UrlError::Logins),
        (
            "rediss-sentinel://:p@ss@a?sentinelServiceName=m",
            UrlError::Logins,
        ),
        ("unix://run/store", UrlError::Socket),
        ("unix://", UrlError::Socket),
        ("unix:///", UrlError::Socket),
        ("unix:///run/store?db=x", UrlError::Parameter),
        ("unix:///run/store?db=1&db=2", UrlError::Parameter),
        ("unix:///run/%00", UrlError::Malformed),
        ("redis://", UrlError::Malformed),
        ("redis:///0", UrlError::Malformed),
        ("redis://:6379", UrlError::Malformed),
        ("redis://store:0", UrlError::Malformed),
        ("redis://store:70000", UrlError::Malformed),
        ("redis://store:+1", UrlError::Malformed),
        ("redis://store/zero", UrlError::Malformed),
        ("redis://store/256", UrlError::Malformed),
        ("redis://store/0/1", UrlError::Malformed),
        ("redis://sto re", UrlError::Malformed),
        ("redis://sto\nre", UrlError::Malformed),
        ("redis://::1", UrlError::Malformed),
        ("redis://[::g]", UrlError::Malformed),
        ("redis://%ff:x@store/", UrlError::Malformed),
        ("redis-cluster://a,,b", UrlError::Malformed),
    ] {
        assert_eq!(text.parse::<StoreUrl>(), Err(reason), "{text:?}");
    }
}

#[test]
fn no_reason_repeats_a_password() {
    for text in [
        "http://:hunter2@store",
        "redis://:hunter2@a,b",
        "redis://:hunter2#@a",
        "redis-sentinel://:hunter2@a?sentinelPassword=hunter2",
        "redis://:hunter2@store:99999",
    ] {
        let error = text.parse::<StoreUrl>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

proptest! {
    #[test]
    fn no_text_is_too_odd_to_be_looked_at(text in "(redis|rediss-cluster|redis-sentinel|unix)://\\PC*") {
        if let Ok(url) = text.parse::<StoreUrl>() {
            prop_assert!(url.to_string().contains("://"));
        }
    }

    #[test]
    fn no_password_is_shown(user in "[a-z]{0,3}", password in "[A-Z]{4,20}") {
        for rest in ["@host", "@a,b", "@/run/s", "@host/1?sentinelServiceName=s"] {
            for scheme in ["redis", "rediss", "redis-cluster", "redis-sentinel", "unix"] {
                let parsed = format!("{scheme}://{user}:{password}{rest}").parse::<StoreUrl>();
                let shown = format!("{parsed:?}");
                prop_assert!(!shown.contains(&password));
            }
        }
    }
}
