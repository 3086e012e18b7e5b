//! From a file to a compiled module, checked before the compiler sees it.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wasmtime::{Engine, Module};

use super::error::LoadError;
use super::limits::ModuleLimits;

/// Content hash of a module file.
pub type Sha = [u8; 32];

/// A module file, read and hashed.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) bytes: Vec<u8>,
    pub(super) sha256: Sha,
}

/// Reads a regular file of at most `limits.size`. It is opened once and without
/// blocking, so neither a pipe nor a file swapped half-way can hold a load up.
pub(super) fn read(path: &Path, limits: &ModuleLimits) -> Result<Source, LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(LoadError::NotAFile(path.to_owned()));
    }
    check_limit("bytes", metadata.len(), limits.size as u64)?;
    let mut bytes = Vec::new();
    file.take(limits.size as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    check_limit("bytes", bytes.len() as u64, limits.size as u64)?;
    let sha256 = Sha256::digest(&bytes).into();
    Ok(Source { bytes, sha256 })
}

/// Refuses what is no module, and what would cost too much to compile.
pub(super) fn check(bytes: &[u8], limits: &ModuleLimits) -> Result<(), LoadError> {
    check_format(bytes)?;
    check_sizes(bytes, limits)
}

/// Validates and compiles a module that was checked.
pub(super) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Module, LoadError> {
    Validator::new_with_features(features())
        .validate_all(bytes)
        .map_err(|error| invalid(&error))?;
    Module::from_binary(engine, bytes).map_err(|error| LoadError::Compile(format!("{error:#}")))
}

/// Hexadecimal text of a hash.
pub(super) fn hex(sha: &Sha) -> String {
    sha.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says what the commonest wrong files are.
fn check_format(bytes: &[u8]) -> Result<(), LoadError> {
    let problem = if Parser::is_component(bytes) {
        "it is a component; build a core module, for instance for wasm32-unknown-unknown"
    } else if !bytes.starts_with(b"\0asm") {
        "it does not start with the WebAssembly magic number; text modules must be compiled first"
    } else {
        return Ok(());
    };
    Err(LoadError::Invalid(problem.to_owned()))
}

/// One pass over the section headers.
fn check_sizes(bytes: &[u8], limits: &ModuleLimits) -> Result<(), LoadError> {
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| invalid(&error))? {
            Payload::FunctionSection(section) => {
                check_limit("functions", section.count().into(), limits.functions.into())?;
            }
            Payload::CodeSectionEntry(body) => {
                let size = body.range().len() as u64;
                let limit = limits.function_size as u64;
                check_limit("a function body of bytes", size, limit)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// WebAssembly 2.0 without what `engine` turns off.
fn features() -> WasmFeatures {
    WasmFeatures::WASM2.difference(WasmFeatures::GC_TYPES)
}

fn check_limit(what: &'static str, found: u64, limit: u64) -> Result<(), LoadError> {
    if found > limit {
        return Err(LoadError::Limit { what, found, limit });
    }
    Ok(())
}

fn invalid(error: &wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8], limits: &ModuleLimits) -> String {
        check(bytes, limits)
            .and_then(|()| compile(&Engine::default(), bytes))
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
}
