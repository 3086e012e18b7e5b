//! Modules made to cost the compiler time and memory: refused by number, or stopped at a limit that the reason names.

use std::time::{Duration, Instant};

use super::{endless_to_compile, good, limited, toml, with};
use crate::harness::Node;

/// How `check` refuses `module` under `limits`; empty if it does not.
fn refusal(limits: &str, module: &[u8]) -> String {
    let (code, printed) = limited(limits).file("f.wasm", module).check(&[]);
    match code {
        Some(0) => String::new(),
        Some(1) => printed,
        other => panic!("exit code {other:?}:\n{printed}"),
    }
}

fn many_functions() -> Vec<u8> {
    with(&"(func)".repeat(100_000))
}

fn one_function(size: usize) -> Vec<u8> {
    with(&format!("(func {})", "i32.const 1 drop ".repeat(size / 3)))
}

/// Replaces the module by `bomb`, which must be refused for `reason` while the old one serves.
fn refused_while_serving(node: &Node, bomb: &[u8], reason: &str) {
    node.replace("f", bomb);
    let seen = node.stderr.count();
    node.signal("HUP");
    while node.stderr.count() == seen {
        let asked = Instant::now();
        assert_eq!(node.get("/").status, 200);
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "a request waits for the compiler"
        );
    }
    let refused = |line: &str| line.contains("reload refused") && line.contains(reason);
    let line = node.stderr.find_from(seen, refused);
    assert!(line.is_some(), "{reason}: {}", node.stderr.all().join("\n"));
    assert_eq!(node.get("/").status, 200);
    node.replace("f", good());
    node.reload_files().unwrap();
}

#[test]
fn numbers_past_their_limits_are_refused_with_the_number() {
    let refused = refusal("", &many_functions());
    assert!(
        refused.contains("functions 100001, the limit is 20000"),
        "{refused}"
    );
    let refused = refusal("", &one_function(1_000_000));
    assert!(
        refused.contains("a function body of bytes 1000001"),
        "{refused}"
    );
    assert!(refused.contains("[edge.module_limits]"), "{refused}");
    let refused = refusal(
        "size = \"1MiB\"",
        &with(&format!("(func) (data \"{}\")", "x".repeat(1 << 20))),
    );
    assert!(refused.contains("bytes 1048"), "{refused}");
}

#[test]
fn a_compilation_past_compile_time_is_stopped_and_the_node_serves_on() {
    let mut node = limited("").start();
    node.reload(&toml("functions = 200_000\ncompile_time = \"1s\""))
        .unwrap();
    refused_while_serving(&node, &endless_to_compile(), "compile_time");
}

#[test]
fn a_compilation_past_compile_memory_is_stopped_and_the_node_serves_on() {
    let mut node = limited("").start();
    node.reload(&toml(
        "function_size = \"8MiB\"\ncompile_memory = \"128MiB\"",
    ))
    .unwrap();
    refused_while_serving(&node, &one_function(7_000_000), "compile_memory");
}

#[test]
fn every_other_bomb_is_compiled_or_refused_within_its_limits() {
    let limits = "functions = 200_000\nfunction_size = \"8MiB\"\ncompile_time = \"1s\"";
    let arms = "0 ".repeat(500_000);
    let nested = |open: &str| format!("(func {} {})", open.repeat(50_000), "end ".repeat(50_000));
    let bombs = [
        ("functions", many_functions()),
        (
            "locals",
            with(&format!("(func (local {}))", "i32 ".repeat(50_000))),
        ),
        (
            "too many locals",
            with(&format!("(func (local {}))", "i32 ".repeat(50_001))),
        ),
        (
            "arms",
            with(&format!("(func block (br_table {arms} (i32.const 0)) end)")),
        ),
        ("blocks", with(&nested("block "))),
        ("conditions", with(&nested("i32.const 0 if "))),
        (
            "globals",
            with(&"(global i32 (i32.const 0))".repeat(100_001)),
        ),
        ("tables", with("(table 1 funcref) (table 1 funcref)")),
    ];
    for (name, bomb) in bombs {
        let started = Instant::now();
        let refused = refusal(limits, &bomb);
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{name} took {:?}",
            started.elapsed()
        );
        for unbounded in ["too many locals", "arms", "globals", "tables"] {
            assert!(
                name != unbounded || !refused.is_empty(),
                "{name} is accepted"
            );
        }
        assert!(
            refused.is_empty() || refused.contains("functions.f.module"),
            "{name}: {refused}"
        );
    }
}

#[test]
fn ten_megabytes_of_data_compile() {
    let data = "x".repeat(10_000_000);
    let module = format!(
        r#"(module (memory (export "memory") 160) (data (i32.const 0) "{data}") (func (export "handle_request")))"#
    );
    assert_eq!(refusal("", &wat::parse_str(module).unwrap()), "");
}
