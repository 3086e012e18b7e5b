//! Guests written as a few lines of WebAssembly text.
//!
//! In a body, `{text}` stands for a pointer and a length (with the text format's escapes), every import of the ABI is there
//! by its name, `$i`, `$n` and `$t` (`i64`) are locals, and these write lines a `report` answers with: `$note` and `$note64`
//! a number, `$tried` a result and, after -1, `/` and the code, `$text` the shared buffer's first bytes (or a negative length).

use std::collections::BTreeSet;
use std::fmt::Write;

use super::node::{Setup, node};

/// The ABI's original imports: name, number of `i32` parameters, result.
pub(crate) const ORIGINAL: [(&str, usize, &str); 19] = [
    ("log", 2, ""),
    ("cache_get", 2, "i32"),
    ("cache_set", 5, "i32"),
    ("http_get", 2, "i32"),
    ("http_post", 6, "i32"),
    ("http_put", 6, "i32"),
    ("http_delete", 2, "i32"),
    ("get_shared_buffer", 3, "i32"),
    ("request_get_method", 0, "i32"),
    ("request_get_uri", 0, "i32"),
    ("request_get_body", 0, "i32"),
    ("request_get_header", 2, "i32"),
    ("request_get_header_names", 0, "i32"),
    ("response_set_status", 1, "i32"),
    ("response_set_header", 4, "i32"),
    ("response_add_header", 4, "i32"),
    ("response_remove_header", 2, "i32"),
    ("response_set_body", 2, "i32"),
    ("request_terminate", 1, "i32"),
];

/// What came later; the same.
const ADDED: &[(&str, usize, &str)] = &[
    ("last_error", 0, "i32"),
    ("last_error_code", 0, "i32"),
    ("config_get", 2, "i32"),
    ("time_now", 0, "i64"),
    ("random_bytes", 2, "i32"),
    ("cache_delete", 2, "i32"),
    ("rate_limit", 4, "i32"),
    ("http_request", 8, "i32"),
    ("http_request_start", 8, "i32"),
    ("http_request_wait", 1, "i32"),
    ("http_request_wait_any", 2, "i32"),
    ("http_response_status", 0, "i32"),
    ("http_response_header", 2, "i32"),
    ("request_set_header", 4, "i32"),
    ("request_add_header", 4, "i32"),
    ("request_remove_header", 2, "i32"),
    ("request_set_uri", 2, "i32"),
    ("request_set_body", 2, "i32"),
    ("request_get_client_address", 0, "i32"),
    ("response_get_status", 0, "i32"),
    ("response_get_header", 2, "i32"),
    ("response_get_header_names", 0, "i32"),
    ("response_get_body", 0, "i32"),
];

/// `cache_increment` alone takes another type than `i32`.
const INCREMENT: &str = r#"(import "env" "cache_increment" (func $cache_increment (param i32 i32 i64 i32) (result i64)))"#;

/// Pages of a generated guest's memory; 1 MiB to its end is free for a test's use.
pub(crate) const PAGES: usize = 40;

const LITERALS: usize = 0x400;
const LIBRARY: &str = include_str!("../../fixtures/wat/library.wat");

/// A guest that runs `body` and answers with what it noted.
pub(crate) fn report(body: &str) -> String {
    module(&format!("{body}\n(call $answer) (i32.const 0)"))
}

/// A guest whose entry is `body`, which leaves the result.
pub(crate) fn module(body: &str) -> String {
    exporting(&entry("handle_request", body))
}

/// A guest with an entry for each phase: `response_entry = "handle_response"` names the second.
pub(crate) fn phases(request: &str, response: &str) -> String {
    exporting(
        &[
            entry("handle_request", request),
            entry("handle_response", response),
        ]
        .concat(),
    )
}

fn entry(name: &str, body: &str) -> String {
    let locals = "(local $i i32) (local $n i32) (local $t i64)";
    format!("(func (export \"{name}\") (result i32) {locals}\n{body})\n")
}

fn exporting(entries: &str) -> String {
    let (entries, literals) = place_literals(entries);
    let mut text = String::from("(module\n");
    let used: BTreeSet<&str> = words(&entries).chain(words(LIBRARY)).collect();
    if used.contains("$cache_increment") {
        writeln!(text, "{INCREMENT}").unwrap();
    }
    for (name, parameters, result) in ORIGINAL.iter().chain(ADDED) {
        if used.contains(format!("${name}").as_str()) {
            let (parameters, result) = (" i32".repeat(*parameters), result_clause(result));
            writeln!(
                text,
                r#"(import "env" "{name}" (func ${name} (param{parameters}) {result}))"#
            )
            .unwrap();
        }
    }
    writeln!(
        text,
        r#"(memory (export "memory") {PAGES}) (data (i32.const {LITERALS}) "{literals}")"#
    )
    .unwrap();
    writeln!(text, "{LIBRARY}\n{entries})").unwrap();
    text
}

/// A guest kept as a file of its own: `tests/fixtures/wat/NAME.wat`.
pub(crate) fn fixture(name: &str) -> String {
    let path = format!(
        "{}/../tests/fixtures/wat/{name}.wat",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A node where the guest `text`, configured with `keys`, answers everything but `/control`.
pub(crate) fn answers(keys: &str, text: &str) -> Setup {
    let toml = format!(
        r#"
        [functions.f]
        module = "f.wasm"
        {keys}
        [[routes]]
        functions = ["f"]
        [[routes]]
        path = "/control"
        respond = {{ status = 200, body = "fine" }}"#
    );
    node(&toml).wasm("f", text)
}

fn result_clause(result: &str) -> String {
    if result.is_empty() {
        String::new()
    } else {
        format!("(result {result})")
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c == '(' || c == ')')
}

/// Puts every `{text}` into one data segment.
fn place_literals(body: &str) -> (String, String) {
    let (mut placed, mut literals, mut next) = (String::new(), String::new(), LITERALS);
    let mut rest = body;
    while let Some((before, (literal, after))) = rest
        .split_once('{')
        .and_then(|(b, r)| Some((b, r.split_once('}')?)))
    {
        let length = literal.len() - 2 * literal.matches('\\').count();
        write!(placed, "{before}(i32.const {next}) (i32.const {length})").unwrap();
        literals.push_str(&literal.replace('"', "\\22"));
        next += length;
        rest = after;
    }
    placed.push_str(rest);
    (placed, literals)
}
