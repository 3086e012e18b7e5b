//! Both phases: the upstream is asked for the whole page, and the page is changed.

use aegis_guest::response::{self, received};
use aegis_guest::{Error, config, entry, log, request};

entry!(ask_for_all);
entry!(rewrite_html);

/// A closing tag is looked for in this many bytes at the end: looking through a page of 1 MiB
/// costs more fuel than a function has.
const TAIL: usize = 4096;

/// Request phase, `entry = "ask_for_all"`: a part of a page could not be read. That it comes
/// uncompressed the node asks for.
fn ask_for_all() -> Result<(), Error> {
    request::remove_header("range")
}

/// Response phase, `response_entry = "rewrite_html"` with `body = "response"`: puts
/// `config = { banner = "<p>…</p>" }` at the end of each HTML page.
fn rewrite_html() -> Result<(), Error> {
    let kind = received::header("content-type")?.unwrap_or_default();
    if !kind.starts_with("text/html") || received::header("content-encoding")?.is_some() {
        return Ok(());
    }
    let page = match received::body() {
        Ok(page) => page,
        // Too large to be held back, for example: it goes to the client as it is.
        Err(error) => {
            log!("not rewritten: {error}");
            return Ok(());
        }
    };
    let Some(end) = closing_tag(&page) else {
        return Ok(());
    };
    let banner = config::value("banner")?.unwrap_or("<p>served at the edge</p>".into());
    response::set_body([&page[..end], banner.as_bytes(), &page[end..]].concat())?;
    response::set_header("x-rewritten", "yes")
}

fn closing_tag(page: &[u8]) -> Option<usize> {
    let tail = page.len().saturating_sub(TAIL);
    let mut windows = page[tail..].windows(b"</body>".len());
    let found = windows.rposition(|window| window.eq_ignore_ascii_case(b"</body>"))?;
    Some(tail + found)
}

#[cfg(test)]
mod tests {
    use aegis_guest::Code;
    use aegis_guest::testing::{Host, Reply};

    use super::{TAIL, ask_for_all, rewrite_html};

    fn html() -> Reply {
        Reply::new(200).header("content-type", "text/html; charset=utf-8")
    }

    #[test]
    fn the_banner_comes_last_on_a_page() {
        let text = "x".repeat(TAIL);
        let page = format!("<body>{text}</BODY></html>");
        let mut host = Host::new()
            .config("banner", "<hr>")
            .received(html().body(page));
        let outcome = host.run_response(rewrite_html);
        outcome.assert_ok();
        assert_eq!(outcome.text(), format!("<body>{text}<hr></BODY></html>"));
        assert_eq!(outcome.header("x-rewritten"), Some("yes"));
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for reply in [
            Reply::new(200)
                .header("content-type", "application/json")
                .body("</body>"),
            html().header("content-encoding", "gzip").body("</body>"),
            html().body("<p>no end"),
            html().body_fails(Code::TooLarge),
        ] {
            let outcome = Host::new().received(reply).run_response(rewrite_html);
            outcome.assert_ok();
            assert_eq!(outcome.body(), None);
            assert_eq!(outcome.header("x-rewritten"), None);
        }
    }

    #[test]
    fn a_page_is_asked_for_as_a_whole() {
        let outcome = Host::new().header("range", "bytes=0-99").run(ask_for_all);
        assert_eq!(outcome.request_header("range"), None);
    }
}
