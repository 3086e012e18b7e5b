//! Good modules gone wrong: by `wasm-mutate`, and by what happens to files.

use std::fs;
use std::path::Path;

use fastrand::Rng;
use wasm_mutate::WasmMutate;

use super::{sequence, smith};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Built by `make example`; without it there is one module less to mutate.
const EXAMPLE: &str = "wasm-edge-function-example/target/wasm32-unknown-unknown/release/aegis_edge_function_example.wasm";

/// Work `wasm-mutate` may put into one mutation.
const EFFORT: u64 = 200;

/// The modules kept as files.
pub(crate) fn originals() -> Vec<Vec<u8>> {
    let folder = Path::new(ROOT).join("tests/fixtures/wat");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    // Some are only parts of a module.
    let mut modules: Vec<_> = files
        .iter()
        .filter_map(|file| wat::parse_file(file).ok())
        .collect();
    assert!(modules.len() > 5, "only {} modules found", modules.len());
    modules.extend(fs::read(Path::new(ROOT).join(EXAMPLE)));
    modules
}

/// A mutant of one of `originals`, or of a generated module.
pub(crate) fn generate(rng: &mut Rng, originals: &[Vec<u8>]) -> Vec<u8> {
    let mut module = match rng.u8(..8) {
        0 | 1 => smith::generate(rng).unwrap_or_else(|| b"\0asm\x01\0\0\0".to_vec()),
        2 | 3 => sequence::generate(rng, 20).module,
        _ => originals[rng.usize(..originals.len())].clone(),
    };
    if rng.u8(..3) == 0 {
        damage(rng, &mut module);
    } else {
        for _ in 0..rng.u8(1..=3) {
            module = mutate(rng, &module).unwrap_or(module);
        }
        if rng.u8(..4) == 0 {
            damage(rng, &mut module);
        }
    }
    module
}

/// Valid as the original was, most often; `None` where there is nothing to mutate.
fn mutate(rng: &mut Rng, module: &[u8]) -> Option<Vec<u8>> {
    let mut mutate = WasmMutate::default();
    mutate
        .seed(rng.u64(..))
        .fuel(EFFORT)
        .preserve_semantics(false);
    let mut mutants = mutate.run(module).ok()?;
    mutants.find_map(Result::ok)
}

/// What bad disks, cut downloads and editors do.
fn damage(rng: &mut Rng, module: &mut Vec<u8>) {
    let at = rng.usize(..module.len().max(1));
    match rng.u8(..6) {
        0 => module.truncate(at),
        1 => {
            for _ in 0..rng.usize(1..16) {
                let at = rng.usize(..module.len());
                module[at] ^= 1 << rng.u8(..8);
            }
        }
        2 => {
            let end = (at + rng.usize(1..64)).min(module.len());
            rng.fill(&mut module[at..end]);
        }
        3 => {
            let end = (at + rng.usize(1..64)).min(module.len());
            module.drain(at..end);
        }
        4 => {
            // Counts and lengths are LEB128: these are the largest.
            let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
            let length = huge.len().min(module.len() - at);
            module[at..at + length].copy_from_slice(&huge[..length]);
        }
        _ => {
            let end = (at + rng.usize(1..256)).min(module.len());
            let piece = module[at..end].to_vec();
            let to = rng.usize(..=module.len());
            module.splice(to..to, piece);
        }
    }
}
