//! Token check: only requests with the right bearer token reach the upstream.

use std::hint::black_box;

use aegis_guest::{Code, Error, config, entry, request, respond, response};

entry!(token_check);

/// Needs `config = { token = "${API_TOKEN}" }`. Without one it fails, and lets nobody in.
fn token_check() -> Result<(), Error> {
    let expected = config::value("token")?.ok_or(Error::new(Code::NotFound, "no token"))?;
    let given = request::header_bytes("authorization")?.unwrap_or_default();
    if bearer(&given).is_some_and(|given| same(given, expected.as_bytes())) {
        // The token has done its work; the upstream need not know it.
        return request::remove_header("authorization");
    }
    response::set_header("www-authenticate", "Bearer")?;
    respond(401, "text/plain", "a valid token is required\n")
}

/// The token of `Bearer TOKEN`; the scheme's case does not matter.
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// Compares all bytes whatever the first ones are, so that the time it takes tells nothing of
/// where the difference is.
fn same(given: &[u8], expected: &[u8]) -> bool {
    let differences = given
        .iter()
        .zip(expected)
        .fold(0, |all, (a, b)| all | (a ^ b));
    !expected.is_empty() && given.len() == expected.len() && black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use aegis_guest::testing::Host;

    use super::token_check;

    fn host() -> Host {
        Host::new().config("token", "s3cret")
    }

    #[test]
    fn the_right_token_passes_and_stays_here() {
        for right in ["Bearer s3cret", "bearer s3cret"] {
            let outcome = host().header("authorization", right).run(token_check);
            outcome.assert_ok();
            assert!(!outcome.is_terminated());
            assert_eq!(outcome.request_header("authorization"), None);
        }
    }

    #[test]
    fn anything_else_is_answered_here() {
        let wrong = [
            "",
            "Bearer",
            "Bearer ",
            "Bearer S3cret",
            "Bearer s3cret0",
            "Basic s3cret",
        ];
        for wrong in wrong {
            let outcome = host().header("authorization", wrong).run(token_check);
            assert_eq!(outcome.status(), Some(401), "{wrong}");
            assert!(outcome.is_terminated());
            assert_eq!(outcome.header("www-authenticate"), Some("Bearer"));
        }
        assert_eq!(host().run(token_check).status(), Some(401));
    }

    #[test]
    fn without_a_configured_token_nobody_gets_in() {
        let anything = || Host::new().header("authorization", "Bearer ");
        assert!(anything().run(token_check).error().is_some());
        let outcome = anything().config("token", "").run(token_check);
        assert_eq!(outcome.status(), Some(401));
    }
}
