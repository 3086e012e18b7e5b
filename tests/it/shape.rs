//! The shape of the node's sources: who may name what, and how large a file may grow.

use std::fs;
use std::path::{Path, PathBuf};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
const LONGEST: usize = 450;

/// A crate, and the modules of `node/src` that may name it.
const OWNERS: [(&str, &[&str]); 15] = [
    ("pingora", &["proxy", "listener", "upstream", "server"]),
    ("h2", &["listener", "proxy"]),
    ("wasmtime", &["edge"]),
    ("fred", &["cache"]),
    ("reqwest", &["egress"]),
    ("landlock", &["sandbox"]),
    ("seccompiler", &["sandbox"]),
    ("libc", &["sandbox"]),
    ("bcrypt", &["auth"]),
    ("brotli", &["coding"]),
    ("flate2", &["coding"]),
    ("zstd", &["coding"]),
    ("mime_guess", &["files"]),
    ("tokio_rustls", &["listener", "egress"]),
    ("x509_parser", &["listener", "upstream", "trust"]),
];

const CONFIG_READERS: [&str; 5] = ["config", "main", "lib", "server", "cli"];
const VAGUE: [&str; 7] = [
    "mod", "utils", "util", "helper", "helpers", "common", "misc",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The top-level module a file belongs to.
fn module(file: &Path) -> String {
    let first = file
        .strip_prefix(SOURCES)
        .unwrap()
        .components()
        .next()
        .unwrap();
    Path::new(first.as_os_str())
        .file_stem()
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

/// Whether code uses `word` as a path: `word::`, `word_more::`, `use word`; comments and strings do not count.
fn names(text: &str, word: &str) -> bool {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .any(|line| {
            let code: Vec<&str> = line.split('"').step_by(2).collect();
            let code = code.join("\"\"");
            code.match_indices(word).any(|(at, _)| {
                let (before, after) = (&code[..at], &code[at + word.len()..]);
                let starts =
                    !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
                let path = after.starts_with("::") || after.starts_with('_');
                starts && (path || (before.ends_with("use ") && after.starts_with(';')))
            })
        })
}

fn violations(of: impl Fn(&Path, &str) -> Option<String>) -> Vec<String> {
    let files = sources(Path::new(SOURCES));
    assert!(files.len() > 30, "only {} sources found", files.len());
    files
        .iter()
        .filter_map(|file| of(file, &fs::read_to_string(file).unwrap()))
        .collect()
}

#[test]
fn each_large_dependency_is_named_only_where_it_belongs() {
    let found = violations(|file, text| {
        let owner = |(word, owners): &&(&str, &[&str])| {
            names(text, word) && !owners.contains(&module(file).as_str())
        };
        OWNERS
            .iter()
            .find(owner)
            .map(|(word, _)| format!("{} names {word}", file.display()))
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_main_server_and_cli_see_the_configuration() {
    let found = violations(|file, text| {
        let reads = names(text, "crate::config")
            || names(text, "aegis_node::config")
            || text.contains("crate::{config");
        (reads && !CONFIG_READERS.contains(&module(file).as_str()))
            .then(|| file.display().to_string())
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn files_are_short_and_named_for_what_they_hold() {
    let found = violations(|file, text| {
        let lines = text.lines().count();
        let vague = VAGUE.contains(&file.file_stem().unwrap().to_str().unwrap());
        (lines > LONGEST || vague || !text.starts_with("//!"))
            .then(|| format!("{}: {lines} lines", file.display()))
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_rule_itself_tells_names_from_mentions() {
    assert!(
        names("use wasmtime::Engine;", "wasmtime")
            && names("    let e = wasmtime::Engine::new();", "wasmtime")
    );
    assert!(names("use pingora_core::x;", "pingora") && names("use reqwest;", "reqwest"));
    assert!(
        !names("// wasmtime::Engine", "wasmtime") && !names("let my_fred = 1; // fred", "fred")
    );
    assert!(!names("let x = \"pingora::y\";", "pingora") && !names("alfred::x()", "fred"));
}
