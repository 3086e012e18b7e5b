//! HTTPS calls of guests: what succeeds, and what is refused before a connection is opened.

mod allowed;
mod audit;
mod concurrent;
mod connections;
mod refused;
mod requests;

use crate::harness::{EGRESS, Https, Node, answers, report};

/// A guest that gets each of `urls` in turn; answers a line each, the body's length or -1 and the code.
fn getting(urls: &[String]) -> String {
    report(
        &urls
            .iter()
            .map(|url| format!("(call $tried (call $http_get {{{url}}}))\n"))
            .collect::<String>(),
    )
}

/// A node whose guest gets `urls`, with `keys` in the function's table.
fn fetching(https: &Https, keys: &str, urls: &[String]) -> Node {
    https
        .reachable_from(answers(&format!("{keys}\n{EGRESS}"), &getting(urls)))
        .start()
}
