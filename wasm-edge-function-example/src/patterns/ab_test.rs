//! A/B test: each visitor gets one of two variants, and keeps it by a cookie.

use aegis_guest::{Error, entry, random, request, response};

entry!(ab_test);

/// The upstream is told in `x-variant`, and asked for `/b/…` in place of `/…` for variant b.
fn ab_test() -> Result<(), Error> {
    // Cookies of others may be of any bytes.
    let cookies = request::header_bytes("cookie")?.unwrap_or_default();
    let variant = match kept(&String::from_utf8_lossy(&cookies)) {
        Some(variant) => variant,
        None => choose()?,
    };
    request::set_header("x-variant", variant)?;
    if variant == "b" {
        request::set_uri(&format!("/b{}", request::uri()?))?;
    }
    // Caches on the way must not give one visitor's page to another.
    response::add_header("vary", "cookie")
}

fn kept(cookies: &str) -> Option<&'static str> {
    let mut pairs = cookies
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='));
    match pairs.find(|(name, _)| *name == "variant")?.1 {
        "a" => Some("a"),
        "b" => Some("b"),
        _ => None,
    }
}

fn choose() -> Result<&'static str, Error> {
    let mut byte = [0];
    random::fill(&mut byte)?;
    let variant = if byte[0] < 128 { "a" } else { "b" };
    let cookie = format!("variant={variant}; Path=/; Max-Age=2592000; SameSite=Lax");
    response::add_header("set-cookie", &cookie)?;
    Ok(variant)
}

#[cfg(test)]
mod tests {
    use aegis_guest::testing::Host;

    use super::{ab_test, kept};

    #[test]
    fn a_visitor_keeps_the_variant() {
        for (cookie, variant, uri) in [
            ("variant=a", "a", "/shop?item=3"),
            ("theme=dark; variant=b", "b", "/b/shop?item=3"),
        ] {
            let mut host = Host::new().uri("/shop?item=3").header("cookie", cookie);
            let outcome = host.run(ab_test);
            outcome.assert_ok();
            assert!(!outcome.is_terminated());
            assert_eq!(outcome.request_header("x-variant"), Some(variant));
            assert_eq!(outcome.request_uri(), uri);
            assert_eq!(outcome.header("set-cookie"), None);
        }
    }

    #[test]
    fn a_new_visitor_gets_one_and_a_cookie_for_it() {
        let outcome = Host::new().header("cookie", "variant=c").run(ab_test);
        outcome.assert_ok();
        let cookie = outcome.header("set-cookie").and_then(kept);
        assert!(cookie.is_some());
        assert_eq!(outcome.request_header("x-variant"), cookie);
        assert_eq!(outcome.header("vary"), Some("cookie"));
    }
}
