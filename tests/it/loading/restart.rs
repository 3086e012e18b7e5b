//! Compiled modules kept in `cache_dir`: a restart compiles none of them again.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::good;
use crate::harness::{Node, Setup, node};

const MODULES: usize = 100;
/// A start with nothing to compile; generous, because tests run beside each other.
const QUICK: Duration = Duration::from_secs(10);

/// A node with as many functions as modules, all of them different.
fn many(cache: &Path) -> Setup {
    let mut toml = format!("[edge]\ncache_dir = \"{}\"\n", cache.display());
    for index in 0..MODULES {
        write!(toml, "[functions.f{index}]\nmodule = \"f{index}.wasm\"\n").unwrap();
    }
    toml += "[[routes]]\nfunctions = [\"f99\"]\n";
    let module = |index: usize| {
        // A custom section without a name, of four bytes.
        let tail = [
            0,
            5,
            0,
            b'0' + (index / 10) as u8,
            b'0' + (index % 10) as u8,
            0,
            0,
        ];
        [good(), tail.to_vec()].concat()
    };
    (0..MODULES).fold(node(&toml), |setup, index| {
        setup.file(&format!("f{index}.wasm"), module(index))
    })
}

/// Name and inode: a file that is written anew gets another one.
fn kept(cache: &Path) -> BTreeMap<String, u64> {
    let entries = std::fs::read_dir(cache).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                entry.metadata().unwrap().ino(),
            )
        })
        .collect()
}

fn started(setup: Setup) -> (Node, Duration) {
    let begun = Instant::now();
    let node = setup.start();
    (node, begun.elapsed())
}

#[test]
fn a_second_start_with_a_hundred_modules_compiles_none() {
    let folder = TempDir::new().unwrap();
    let cache = folder.path().join("cache");
    let (first, _) = started(many(&cache));
    assert_eq!(first.get("/").status, 200);
    drop(first);
    let compiled = kept(&cache);
    assert_eq!(compiled.len(), MODULES);
    let (second, took) = started(many(&cache));
    assert_eq!(second.get("/").status, 200);
    assert_eq!(kept(&cache), compiled);
    assert!(took < QUICK, "{took:?}");
}

#[test]
fn check_keeps_nothing() {
    let folder = TempDir::new().unwrap();
    let cache = folder.path().join("cache");
    assert_eq!(many(&cache).check(&[]).0, Some(0));
    assert!(!cache.exists());
}
