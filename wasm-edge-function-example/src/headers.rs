//! Changes the headers of what the upstream answers, and lets the request go on.

use aegis_guest::{Error, entry, response};

entry!(add_headers);

/// Does not answer the request: the edits wait for the upstream's response.
fn add_headers() -> Result<(), Error> {
    response::set_header("x-edge", "aegis")?;
    response::set_header("x-content-type-options", "nosniff")?;
    response::remove_header("x-powered-by")
}

#[cfg(test)]
mod tests {
    use aegis_guest::testing::Host;

    use super::add_headers;

    #[test]
    fn edits_the_response_and_goes_on() {
        let outcome = Host::new().run(add_headers);
        outcome.assert_ok();
        assert!(!outcome.is_terminated());
        assert_eq!(outcome.header("x-edge"), Some("aegis"));
        assert_eq!(outcome.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(outcome.removed_headers(), ["x-powered-by"]);
        assert_eq!(outcome.status(), None);
        assert_eq!(outcome.body(), None);
    }
}
