//! What `aegis check` refuses before a module ever runs.

use crate::harness::guest::ORIGINAL;
use crate::harness::{answers, node};

const ENTRY: &str = r#"(func (export "handle_request") (result i32) (i32.const 0))"#;
const MEMORY: &str = r#"(memory (export "memory") 1)"#;

/// Exit code and print of `check` for a module with these parts.
fn check(parts: &str) -> (Option<i32>, String) {
    answers("", &format!("(module {parts})")).check(&[])
}

fn refused_naming(parts: &str, name: &str) {
    let (code, printed) = check(parts);
    assert_eq!(code, Some(1), "accepted: {parts}");
    assert!(printed.contains(name), "{name} is not named:\n{printed}");
}

#[test]
fn every_original_import_is_refused_by_name_when_its_signature_differs() {
    let mut toml = String::new();
    for (name, ..) in ORIGINAL {
        toml += &format!(
            "[functions.{name}]\nmodule = \"{name}.wasm\"\n[[routes]]\nname = \"{name}\"\nfunctions = [\"{name}\"]\n"
        );
    }
    let mut setup = node(&toml);
    for (name, parameters, _) in ORIGINAL {
        let parameters = "i32 ".repeat(parameters);
        let import = format!(r#"(import "env" "{name}" (func (param {parameters} f64)))"#);
        setup = setup.wasm(name, format!("(module {import} {MEMORY} {ENTRY})"));
    }
    let (code, printed) = setup.check(&[]);
    assert_eq!(code, Some(1));
    for (name, ..) in ORIGINAL {
        let quoted = printed
            .lines()
            .any(|line| line.contains("functions.") && line.matches(name).count() >= 2);
        assert!(quoted, "the import {name} is not named:\n{printed}");
    }
}

#[test]
fn an_unknown_import_is_refused_by_name() {
    refused_naming(
        &format!(r#"(import "env" "open_the_door" (func)) {MEMORY} {ENTRY}"#),
        "open_the_door",
    );
    refused_naming(
        &format!(r#"(import "wasi_snapshot_preview1" "fd_write" (func)) {MEMORY} {ENTRY}"#),
        "fd_write",
    );
    refused_naming(
        &format!(r#"(import "other" "log" (func (param i32 i32))) {MEMORY} {ENTRY}"#),
        "other",
    );
}

#[test]
fn a_module_needs_a_memory_of_its_own_and_the_entry() {
    refused_naming(ENTRY, "memory");
    refused_naming(&format!(r#"(func (export "memory")) {ENTRY}"#), "memory");
    refused_naming(
        &format!(r#"(import "env" "memory" (memory 1)) (export "memory" (memory 0)) {ENTRY}"#),
        "memory",
    );
    refused_naming(MEMORY, "handle_request");
    refused_naming(
        &format!(r#"{MEMORY} (func (export "handle_request") (param i32))"#),
        "handle_request",
    );
    refused_naming(
        &format!(r#"{MEMORY} (global (export "handle_request") i32 (i32.const 0))"#),
        "handle_request",
    );
}

#[test]
fn the_entry_may_be_named_and_may_return_nothing() {
    let guest = format!(r#"(module {MEMORY} (func (export "go")))"#);
    let node = answers("entry = \"go\"", &guest).start();
    let response = node.get("/");
    assert_eq!((response.status, response.body.len()), (200, 0));
}

#[test]
fn what_a_guest_may_not_use_is_refused() {
    for parts in [
        r#"(memory (export "memory") 1) (memory 1)"#,
        r#"(memory (export "memory") 900)"#,
        r#"(memory (export "memory") i64 1)"#,
        r#"(memory (export "memory") 1) (table 1000000 funcref)"#,
    ] {
        let (code, printed) = check(&format!("{parts} {ENTRY}"));
        assert_eq!(code, Some(1), "accepted: {parts}");
        assert!(printed.contains("functions.f"), "{printed}");
    }
    assert_eq!(
        check(&format!(r#"(memory (export "memory") 800) {ENTRY}"#)).0,
        Some(0)
    );
}

#[test]
fn files_that_are_not_core_modules_are_refused() {
    let good = wat::parse_str(format!("(module {MEMORY} {ENTRY})")).unwrap();
    let files: [&[u8]; 6] = [
        b"",
        b"\x7fELF\x02\x01\x01",
        b"(module)",
        b"\0asm\x0d\0\x01\0",
        &good[..good.len() - 1],
        &[&good[..], b"x"].concat(),
    ];
    for content in files {
        let setup = answers("", &format!("(module {MEMORY} {ENTRY})")).file("f.wasm", content);
        let (code, printed) = setup.check(&[]);
        assert_eq!(code, Some(1), "accepted: {content:?}");
        assert!(printed.contains("functions.f"), "{printed}");
    }
}

#[test]
fn a_pinned_hash_that_differs_is_refused() {
    let pin = format!("sha256 = \"{}\"", "0".repeat(64));
    let (code, printed) = answers(&pin, &format!("(module {MEMORY} {ENTRY})")).check(&[]);
    assert_eq!(code, Some(1));
    assert!(printed.contains("sha256"), "{printed}");
}
