//! Error page: visitors get a page of yours in place of what a failing upstream says.

use aegis_guest::response::{self, received};
use aegis_guest::{Error, config, entry, log, request};

entry!(error_page);

/// Response phase, `response_entry = "error_page"`: the status stays, so that nobody takes the
/// page for the real one. `config = { page = "<h1>…</h1>" }` sets the page.
fn error_page() -> Result<(), Error> {
    let status = received::status()?;
    if status < 500 {
        return Ok(());
    }
    log!("the upstream answered {status} to {}", request::path()?);
    let page = config::value("page")?.unwrap_or("<h1>Back in a minute</h1>\n".into());
    response::set_header("content-type", "text/html; charset=utf-8")?;
    response::set_header("cache-control", "no-store")?;
    response::set_body(page)
}

#[cfg(test)]
mod tests {
    use aegis_guest::testing::{Host, Reply};

    use super::error_page;

    #[test]
    fn only_errors_of_the_upstream_are_replaced() {
        for (status, replaced) in [(200, false), (404, false), (500, true), (503, true)] {
            let mut host = Host::new()
                .config("page", "sorry")
                .received(Reply::new(status));
            let outcome = host.run_response(error_page);
            outcome.assert_ok();
            assert_eq!(
                outcome.text(),
                if replaced { "sorry" } else { "" },
                "{status}"
            );
            assert_eq!(outcome.status(), None);
        }
    }
}
