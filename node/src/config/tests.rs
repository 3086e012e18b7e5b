//! Tests of whole files.

use std::{fs, path::Path};

use super::{Parsed, parse};

mod example;
mod fixtures;
mod mutations;
mod reading;

/// The root of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn parse_text(text: &str) -> Parsed {
    parse(text, Path::new("/etc/aegis"), &|name| match name {
        "ORIGIN_PORT" => Some("9000".to_owned()),
        "CACHE_PASSWORD" => Some("hunter2".to_owned()),
        _ => None,
    })
}

fn shown(parsed: &Parsed) -> Vec<String> {
    parsed.problems.iter().map(ToString::to_string).collect()
}

fn text_of(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}
