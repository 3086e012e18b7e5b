//! Modules of `wasm-smith` in the shape of a function: any code, our imports, the exports a function
//! has to have.

use aegis_abi::{DEFAULT_ENTRY, EXPORT_MEMORY};
use arbitrary::{Arbitrary, Unstructured};
use fastrand::Rng;
use wasm_smith::{Config, Module};

use super::abi;

/// Of one module, in bytes of chance: what is generated from it is of about that size.
const MOST: usize = 8 * 1024;

/// A module; `None` where chance ran out half-way.
pub(crate) fn generate(rng: &mut Rng) -> Option<Vec<u8>> {
    let mut bytes = vec![0; rng.usize(256..MOST)];
    rng.fill(&mut bytes);
    let mut chance = Unstructured::new(&bytes);
    let mut config = Config::arbitrary(&mut chance).ok()?;
    shape(&mut config, rng);
    let module = Module::new(config, &mut chance).ok()?;
    Some(module.to_bytes())
}

/// Most are such that the node takes them; some use what it refuses.
fn shape(config: &mut Config, rng: &mut Rng) {
    config.available_imports = Some(abi::everything());
    config.exports = Some(exports(rng));
    config.max_imports = 100;
    config.max_funcs = 20;
    // The exported one comes on top.
    config.max_memories = 0;
    config.max_tables = 1;
    config.max_table_elements = 90;
    config.disallow_traps = rng.u8(..4) > 0;
    // Spares the compiler what tells nothing about the host.
    config.max_instructions = config.max_instructions.min(300);
    if rng.u8(..16) == 0 {
        return;
    }
    config.gc_enabled = false;
    // They come with `externref`, which the node has no use for.
    config.reference_types_enabled = false;
    config.exceptions_enabled = false;
    config.threads_enabled = false;
    config.tail_call_enabled = false;
    config.memory64_enabled = false;
    config.relaxed_simd_enabled = false;
    config.custom_page_sizes_enabled = false;
    config.wide_arithmetic_enabled = false;
}

fn exports(rng: &mut Rng) -> Vec<u8> {
    let pages = rng.u8(1..=8);
    let result = ["(result i32) i32.const 0", ""][rng.usize(..2)];
    let text = format!(
        r#"(module (memory (export "{EXPORT_MEMORY}") {pages})
            (func (export "{DEFAULT_ENTRY}") {result}))"#
    );
    wat::parse_str(text).unwrap()
}
