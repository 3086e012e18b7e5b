//! What is refused before the compiler, and that nothing malformed gets past or breaks anything.

mod specification;

use std::time::{Duration, Instant};

use wasmtime::Engine;

use super::*;
use crate::edge::compile::job::compile;
use crate::edge::engine;

fn refused(bytes: &[u8], limits: &ModuleLimits) -> String {
    let engine = engine::compiling(1 << 20).expect("an engine");
    check(bytes, limits)
        .and_then(|_| Ok(compile(&engine, bytes)?))
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

#[test]
fn what_is_not_a_core_module_is_refused_with_the_reason() {
    let limits = ModuleLimits::default();
    assert!(refused(b"(module)", &limits).contains("text modules"));
    assert!(refused(b"\x7fELF\x02\x01\x01", &limits).contains("magic number"));
    assert!(refused(b"\0asm\x0d\0\x01\0", &limits).contains("component"));
    let good = wat::parse_str("(module (func (export \"f\") i32.const 1 drop))").expect("wat");
    for end in 1..good.len() {
        let cut = good.get(..end).expect("a prefix");
        if cut.len() > 8 {
            refused(cut, &limits);
        } else if cut.len() < 8 {
            assert!(!refused(cut, &limits).is_empty(), "{end} bytes");
        }
    }
}

#[test]
fn compile_bombs_are_refused_before_the_compiler() {
    let many = format!("(module {})", "(func)".repeat(11));
    let bytes = wat::parse_str(many).expect("wat");
    let limits = ModuleLimits {
        functions: 10,
        ..ModuleLimits::default()
    };
    assert!(refused(&bytes, &limits).contains("functions 11, the limit is 10"));
    let long = format!("(module (func {}))", "i32.const 1 drop ".repeat(100));
    let bytes = wat::parse_str(long).expect("wat");
    let limits = ModuleLimits {
        function_size: 100,
        ..ModuleLimits::default()
    };
    assert!(refused(&bytes, &limits).contains("function body"));
}

#[test]
fn proposals_that_are_off_are_refused() {
    let limits = ModuleLimits::default();
    for text in [
        "(module (memory 1) (memory 1))",
        "(module (memory i64 1))",
        "(module (memory 1 1 shared))",
        "(module (func $f return_call $f))",
        "(module (func (param externref)))",
        "(module (memory 1) (data (offset (i32.add (i32.const 0) (i32.const 0))) \"\"))",
    ] {
        let bytes = wat::parse_str(text).expect("wat");
        assert!(!refused(&bytes, &limits).is_empty(), "{text}");
    }
}

/// A module with something of every kind that guests have.
fn rich() -> Vec<u8> {
    let text = r#"(module
        (type $t (func (param i32 i64) (result i32)))
        (import "env" "log" (func $log (param i32 i32)))
        (table 2 funcref) (memory (export "memory") 1 4)
        (global $g (mut i32) (i32.const 7))
        (func $f (type $t) (local f64 i32)
            local.get 0 (block (param i32) br_if 0 br 0) local.get 0
            if (result i32) i32.const 1 else global.get $g end)
        (func (export "handle_request") (result i32)
            i32.const 0 i64.const 5 i32.const 1 call_indirect (type $t)
            (block (loop $l (br_table $l 1 (i32.const 1))))
            (call $log (i32.const 0) (i32.const 4)) i32.load offset=8)
        (elem (i32.const 0) $f $f) (data (i32.const 16) "text") (data "passive"))"#;
    wat::parse_str(text).expect("wat")
}

/// Loads as far as the code; whatever comes of it, it must come back.
fn attempt(engine: &Engine, bytes: &[u8]) -> Result<(), LoadError> {
    check(bytes, &ModuleLimits::default())?;
    compile(engine, bytes)?;
    Ok(())
}

#[test]
fn every_truncation_is_refused() {
    let (engine, good) = (engine::compiling(1 << 20).expect("an engine"), rich());
    attempt(&engine, &good).expect("it is good");
    // Between sections a module may end, if nothing is missing then.
    let mut borders = vec![8];
    for section in sections(&good) {
        borders.push(borders[borders.len() - 1] + section.len());
    }
    for end in 0..good.len() {
        let accepted = attempt(&engine, &good[..end]).is_ok();
        assert!(
            !accepted || borders.contains(&end),
            "{end} bytes are accepted"
        );
    }
}

#[test]
fn every_flipped_bit_is_refused_or_compiled() {
    let (engine, mut bytes) = (engine::compiling(1 << 20).expect("an engine"), rich());
    attempt(&engine, &bytes).expect("it is good");
    let mut refused = 0;
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        refused += usize::from(attempt(&engine, &bytes).is_err());
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(refused > bytes.len(), "only {refused} are refused");
}

#[test]
fn sections_out_of_order_twice_or_missing_are_refused_or_compiled() {
    let (engine, good) = (engine::compiling(1 << 20).expect("an engine"), rich());
    let sections = sections(&good);
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..500 {
        let mut bytes = good[..8].to_vec();
        for _ in 0..random.usize(1..=sections.len() + 2) {
            bytes.extend(sections[random.usize(..sections.len())]);
        }
        attempt(&engine, &bytes).ok();
    }
    let reversed: Vec<u8> = sections.iter().rev().copied().flatten().copied().collect();
    assert!(attempt(&engine, &[&good[..8], &reversed].concat()).is_err());
}

/// Each with its header; all of them are shorter than 16 KiB.
fn sections(module: &[u8]) -> Vec<&[u8]> {
    let (mut sections, mut at) = (Vec::new(), 8);
    while at < module.len() {
        let long = module[at + 1] >= 0x80;
        let high = if long {
            usize::from(module[at + 2]) << 7
        } else {
            0
        };
        let length = usize::from(module[at + 1] & 0x7f) + high;
        let end = at + 2 + usize::from(long) + length;
        sections.push(&module[at..end]);
        at = end;
    }
    sections
}

#[test]
fn numbers_past_their_limits_are_refused_at_once() {
    let limits = ModuleLimits::default();
    let locals = "i32 ".repeat(50_001);
    for (parts, words) in [
        (
            "(func)".repeat(100_000),
            "functions 100000, the limit is 20000",
        ),
        (
            format!("(func {})", "nop ".repeat(1_000_000)),
            "a function body of bytes 1000002",
        ),
        (
            format!("(func (local {locals}))"),
            "a function with locals 50001",
        ),
        (
            "(global i32 (i32.const 0))".repeat(100_001),
            "globals 100001",
        ),
        (
            "(import \"a\" \"b\" (func))".repeat(100_001),
            "imports 100001",
        ),
        ("(data \"\")".repeat(100_001), "data segments 100001"),
        ("(table 1 funcref) (table 1 funcref)".to_owned(), "tables 2"),
    ] {
        let bytes = wat::parse_str(format!("(module {parts})")).expect("wat");
        let started = Instant::now();
        let error = check(&bytes, &limits).err().expect(words).to_string();
        let took = started.elapsed();
        assert!(error.contains(words), "{error}");
        assert!(took < Duration::from_millis(50), "{words}: {took:?}");
    }
}

#[test]
fn memories_and_tables_past_the_functions_limits_are_refused_before_compiling() {
    let refused = |text: &str| {
        let bytes = wat::parse_str(text).expect("wat");
        let outline = check(&bytes, &ModuleLimits::default()).expect("it is good");
        outline
            .check_minimums(&Limits::default())
            .err()
            .map(|error| error.to_string())
    };
    let memory = refused("(module (memory 801))").expect("too large");
    assert!(memory.contains("pages 801, the limit is 800"), "{memory}");
    let table = refused("(module (table 10001 funcref))").expect("too large");
    assert!(
        table.contains("elements 10001, the limit is 10000"),
        "{table}"
    );
    assert_eq!(refused("(module (memory 800) (table 10000 funcref))"), None);
}
