//! A11, A12, A13, C9: files that are no good modules, offered to `check` and to a reload while the old one serves.

use crate::harness::{answers, module, node};
use crate::siege::{Client, Siege};
use crate::worlds::attacked;

const ENTRY: &str = r#"(func (export "handle_request") (result i32) (i32.const 0))"#;
const MEMORY: &str = r#"(memory (export "memory") 1)"#;

/// Bodies of functions, and whole fields, that the specification calls invalid or that come from proposals that are off.
const INVALID: [&str; 40] = [
    "(func (result i32))",
    "(func (result i32) (i64.const 0))",
    "(func (drop))",
    "(func (i32.const 0))",
    "(func (i32.add (i32.const 0) (f32.const 0)) (drop))",
    "(func (local.get 7) (drop))",
    "(func (local i64) (local.set 0 (i32.const 0)))",
    "(func (global.get 9) (drop))",
    "(global i32 (i32.const 0)) (func (global.set 0 (i32.const 1)))",
    "(global i32 (i64.const 0))",
    "(global i32 (i32.clz (i32.const 0)))",
    "(global i32 (global.get 5))",
    "(func (br 5))",
    "(func (block (br_table 0 9 (i32.const 0))))",
    "(func (call 99))",
    "(func (call_indirect (type 9) (i32.const 0)))",
    "(func (param i32) (call 0))",
    "(func (if (result i32) (i32.const 1) (then (i32.const 0))) (drop))",
    "(func (if (f32.const 1) (then)))",
    "(func (loop (result i32)) (drop))",
    "(func (block (result i64) (i32.const 0)) (drop))",
    "(func (result i32) (return (i64.const 0)))",
    "(func (i32.load align=16 (i32.const 0)) (drop))",
    "(func (i32.store8 align=2 (i32.const 0) (i32.const 0)))",
    "(func (select (i32.const 0) (i64.const 0) (i32.const 0)) (drop))",
    "(func (table.get 0 (i32.const 0)) (drop))",
    "(table 1 funcref) (elem (i64.const 0) func 0)",
    "(elem (i32.const 0) func 0)",
    "(data 5 (i32.const 0) \"x\")",
    "(data (i64.const 0) \"x\")",
    "(func (data.drop 3))",
    "(func (memory.init 3 (i32.const 0) (i32.const 0) (i32.const 0)))",
    "(func $undeclared) (func (ref.func $undeclared) (drop))",
    "(export \"x\" (func 77))",
    "(export \"memory\" (memory 0))",
    "(start 66)",
    "(func $s (param i32)) (start $s)",
    "(func (return_call 0))",
    "(tag) (func (throw 0))",
    "(func (f32x4.relaxed_madd (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0)) (drop))",
];

fn good() -> Vec<u8> {
    wat::parse_str(module(
        "(drop (call $response_set_body {old})) (i32.const 0)",
    ))
    .unwrap()
}

/// Files no node may take.
fn malformed() -> Vec<Vec<u8>> {
    let good = wat::parse_str(format!("(module {MEMORY} {ENTRY})")).unwrap();
    let component = wat::parse_str("(component)").unwrap();
    let mut files: Vec<Vec<u8>> = vec![
        b"\x7fELF\x02\x01\x01\0\0\0\0\0".to_vec(),
        b"MZ\x90\0".to_vec(),
        b"#!/bin/sh\n".to_vec(),
        format!("(module {MEMORY} {ENTRY})").into_bytes(),
        b"\0asm\x0d\0\x01\0".to_vec(),
        b"\0asm\x02\0\0\0".to_vec(),
        b"\0asm\x01\0\0\0".to_vec(),
        b"\0ASM\x01\0\0\0".to_vec(),
        component,
        vec![0; 4096],
        vec![0xff; 4096],
        [&good[..], b"x"].concat(),
        [&good[..], &good].concat(),
    ];
    files.extend((0..good.len()).map(|end| good[..end].to_vec()));
    files.extend(
        INVALID
            .iter()
            .map(|parts| wat::parse_str(format!("(module {MEMORY} {ENTRY} {parts})")).unwrap()),
    );
    files
}

/// Configures each of `files` as a function of its own and runs `check`: exit code and print.
fn check_all(files: &[Vec<u8>]) -> (Option<i32>, String) {
    let functions: String = (0..files.len())
        .map(|n| format!("[functions.n{n}]\nmodule = \"n{n}.wasm\"\n[[routes]]\nname = \"n{n}\"\nfunctions = [\"n{n}\"]\n"))
        .collect();
    let add = |setup: crate::harness::Setup, (n, file): (usize, &Vec<u8>)| {
        setup.file(&format!("n{n}.wasm"), file)
    };
    files
        .iter()
        .enumerate()
        .fold(node(&functions), add)
        .check(&[])
}

#[test]
fn a11_malformed_files_are_refused_each_by_name() {
    let siege = Siege::of(attacked("", &module("(i32.const 0)")));
    let files = malformed();
    assert!(files.len() > 100);
    siege.storm(1, |_| {
        let (code, printed) = check_all(&files);
        assert_eq!(code, Some(1), "{printed}");
        for (n, file) in files.iter().enumerate() {
            let named = printed.contains(&format!("functions.n{n}."));
            assert!(named, "number {n} was taken: {file:02x?}");
        }
        assert!(!printed.contains("panicked"), "{printed}");
    });
}

#[test]
fn a11_every_flipped_bit_is_refused_or_harmless() {
    let siege = Siege::of(attacked("", &module("(i32.const 0)")));
    let good = wat::parse_str(format!("(module {MEMORY} {ENTRY})")).unwrap();
    let flipped = |bit: usize| {
        let mut file = good.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        file
    };
    let files: Vec<_> = (0..8 * good.len()).map(flipped).collect();
    siege.storm(1, |_| {
        let (code, printed) = check_all(&files);
        assert_eq!(code, Some(1), "{printed}");
        assert!(!printed.contains("panicked"), "{printed}");
    });
}

#[test]
fn a11_malformed_files_offered_by_reload_leave_the_old_module_serving() {
    let siege = Siege::of(attacked("", &module("(i32.const 0)")));
    siege.node.replace("f", good());
    siege.node.reload_files().unwrap();
    let files: Vec<_> = malformed().into_iter().step_by(5).collect();
    siege.attack(1, |client| {
        for file in &files {
            client.node.replace("f", file);
            let line = client.node.reload_files().expect_err("a malformed file");
            assert!(line.contains("functions.f."), "{line}");
            assert_eq!(client.get("/").text(), "old");
        }
    });
    siege.node.replace("f", good());
    siege.node.reload_files().unwrap();
}

/// Modules made to cost their compiler as much as they can.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let text = |parts: String| wat::parse_str(format!("(module {parts})")).unwrap();
    let plain = |parts: &str| text(format!("{MEMORY} {ENTRY} {parts}"));
    let sums = "(local.set 0 (i64.mul (i64.add (local.get 0) (i64.const 99)) (local.get 0)))";
    vec![
        ("100,000 empty functions", plain(&"(func)".repeat(100_000))),
        (
            "one function of a megabyte",
            plain(&format!("(func (local i64) {})", sums.repeat(90_000))),
        ),
        (
            "one function of 250 kB",
            plain(&format!("(func (local i64) {})", sums.repeat(22_000))),
        ),
        (
            "a data segment of 10 MB",
            text(format!(
                "(memory (export \"memory\") 160) {ENTRY} (data (i32.const 0) \"{}\")",
                "x".repeat(10_000_000)
            )),
        ),
        (
            "50,000 locals",
            plain(&format!("(func {})", "(local i64)".repeat(50_000))),
        ),
        (
            "a table of 500,000 branches",
            plain(&format!(
                "(func (block (br_table {} (i32.const 0))))",
                "0 ".repeat(500_000)
            )),
        ),
        (
            "a table of 200,000 branches",
            plain(&format!(
                "(func (block (br_table {} (i32.const 0))))",
                "0 ".repeat(200_000)
            )),
        ),
        ("60,000 nested blocks", nested(60_000)),
    ]
}

/// A function of nothing but nested blocks; as bytes, because the text format's own parser gives up on them.
fn nested(depth: usize) -> Vec<u8> {
    let good = wat::parse_str(format!("(module {MEMORY} {ENTRY} (func nop nop nop))")).unwrap();
    let body = [&[0][..], &b"\x02\x40".repeat(depth), &vec![0x0b; depth + 1]].concat();
    let code = good.iter().rposition(|byte| *byte == 10).unwrap();
    let entry = &good[code + 3..good.len() - 6];
    let code_section = [&[2][..], entry, &leb(body.len()), &body].concat();
    [
        &good[..code],
        &[10],
        &leb(code_section.len()),
        &code_section,
    ]
    .concat()
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

#[test]
fn a12_compile_bombs_offered_by_reload_do_not_slow_the_routes_that_serve() {
    let siege = Siege::of(attacked("", &module("(i32.const 0)")));
    for some in bombs().chunks(3) {
        siege.attack(1, |client| {
            for (what, bomb) in some {
                offer(client, what, bomb);
            }
        });
    }
}

/// Elements at an offset that has to be computed become code: 200,000 of them, in 200 kB and in no function's body.
#[test]
fn a12_elements_at_computed_offsets_do_not_hold_a_reload_up() {
    let elements = "0 ".repeat(10_000);
    let segment = format!("(elem (offset (i32.add (i32.const 0) (i32.const 0))) func {elements})");
    let text = format!(
        "(module {MEMORY} (table 10000 funcref) {ENTRY} {})",
        segment.repeat(20)
    );
    let bomb = wat::parse_str(text).unwrap();
    let siege = Siege::of(attacked("", &module("(i32.const 0)")));
    siege.attack(1, |client| offer(client, "elements", &bomb));
}

/// A reload with `bomb`: taken or refused by name, and the route serves.
fn offer(client: &mut Client<'_>, what: &str, bomb: &[u8]) {
    client.node.replace("f", bomb);
    let refused = client.node.reload_files().err();
    let named = refused.is_none_or(|line| line.contains("functions.f.module"));
    assert!(named, "{what}");
    assert_eq!(client.get("/").status, 200, "{what}");
}

/// Parts of modules that load, up to the linker, and what the refusal names.
fn mislinked() -> Vec<(String, &'static str)> {
    let import = |module: &str, name: &str, kind: &str| {
        format!("(import \"{module}\" \"{name}\" {kind}) {MEMORY} {ENTRY}")
    };
    let log = "(func (param i32 i32))";
    vec![
        (import("env", "open_the_door", log), "open_the_door"),
        (
            import("wasi_snapshot_preview1", "fd_write", log),
            "fd_write",
        ),
        (
            import("wasi_snapshot_preview1", "environ_get", log),
            "environ_get",
        ),
        (import("other", "log", log), "other"),
        (import("env", "LOG", log), "LOG"),
        (import("env", "log", "(func (param i32))"), "log"),
        (
            import("env", "log", "(func (param i32 i32) (result i32))"),
            "log",
        ),
        (import("env", "log", "(func (param i64 i64))"), "log"),
        (import("env", "log", "(global i32)"), "log"),
        (
            import("env", "cache_get", "(func (param f32 i32) (result i32))"),
            "cache_get",
        ),
        (import("env", "table", "(table 1 funcref)"), "table"),
        (ENTRY.to_owned(), "memory"),
        (format!("(func (export \"memory\")) {ENTRY}"), "memory"),
        (format!("(memory 1) {ENTRY}"), "memory"),
        (
            format!(
                "(import \"env\" \"memory\" (memory 1)) (export \"memory\" (memory 0)) {ENTRY}"
            ),
            "memory",
        ),
        (MEMORY.to_owned(), "handle_request"),
        (
            format!("{MEMORY} (func (export \"handle_request\") (param i32))"),
            "handle_request",
        ),
        (
            format!("{MEMORY} (func (export \"handle_request\") (result i64) (i64.const 0))"),
            "handle_request",
        ),
        (
            format!("{MEMORY} (global (export \"handle_request\") i32 (i32.const 0))"),
            "handle_request",
        ),
        (
            format!("{MEMORY} {ENTRY} (func (export \"_initialize\") (param i32))"),
            "_initialize",
        ),
    ]
}

#[test]
fn a13_wrong_imports_and_exports_are_refused_by_name_while_the_old_module_serves() {
    let siege = Siege::of(attacked("", &module("(i32.const 0)")));
    siege.node.replace("f", good());
    siege.node.reload_files().unwrap();
    let wrong: Vec<_> = mislinked()
        .into_iter()
        .map(|(parts, name)| {
            (
                wat::parse_str(format!("(module {parts})")).unwrap(),
                parts,
                name,
            )
        })
        .collect();
    for (_, parts, name) in &wrong {
        let (code, printed) = answers("", &format!("(module {parts})")).check(&[]);
        assert!(
            code == Some(1) && printed.contains(name),
            "{parts}: {printed}"
        );
    }
    siege.attack(1, |client| {
        for (file, parts, name) in &wrong {
            client.node.replace("f", file);
            let line = client.node.reload_files().expect_err(parts);
            assert!(line.contains(name), "{name} is not named: {line}");
            assert_eq!(client.get("/").text(), "old");
        }
    });
}

#[test]
fn c9_a_changed_byte_under_a_pin_is_refused_while_the_old_module_serves() {
    use sha2::Digest;
    let text = module("(drop (call $response_set_body {old})) (i32.const 0)");
    let file = wat::parse_str(&text).unwrap();
    let digest = sha2::Sha256::digest(&file);
    let pin: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let siege = Siege::of(attacked(&format!("sha256 = \"{pin}\""), &text));
    assert_eq!(siege.node.get("/").text(), "old");
    let mut changed = file.clone();
    let at = changed
        .windows(3)
        .position(|window| window == b"old")
        .unwrap();
    changed[at] = b'c';
    siege.attack(1, |client| {
        client.node.replace("f", &changed);
        let line = client.node.reload_files().expect_err("another hash");
        assert!(line.contains("sha256") && line.contains(&pin), "{line}");
        assert_eq!(client.get("/").text(), "old");
        client.node.replace("f", &file);
        client.node.reload_files().unwrap();
    });
}
