//! From a file to a module that was checked, before the compiler sees it.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};
use wasmparser::types::Types;
use wasmparser::{FunctionBody, Parser, Payload, ValidPayload, Validator, WasmFeatures};

use super::error::LoadError;
use super::interface;
use super::limits::{Limits, ModuleLimits, PAGE_SIZE};

/// Content hash of a module file.
pub type Sha = [u8; 32];

/// What the standard's limits for engines allow a function.
const LOCALS: u64 = 50_000;
/// Of each kind a module can have; programs have hundreds, generated ones thousands.
const ENTRIES: u32 = 100_000;
/// The pool of instances has one for each.
const TABLES: u32 = 1;

/// What a module declares.
pub(super) struct Outline(Types);

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

/// Refuses what is no module, and what would cost too much to compile: everything but
/// the code itself, in time that grows with the file's length only.
pub(super) fn check(bytes: &[u8], limits: &ModuleLimits) -> Result<Outline, LoadError> {
    check_format(bytes)?;
    let mut parser = Parser::new(0);
    parser.set_features(features());
    let mut validator = Validator::new_with_features(features());
    for payload in parser.parse_all(bytes) {
        let payload = payload.map_err(|error| invalid(&error))?;
        check_counts(&payload, limits)?;
        if let ValidPayload::End(types) = validator
            .payload(&payload)
            .map_err(|error| invalid(&error))?
        {
            return Ok(Outline(types));
        }
    }
    Err(LoadError::Invalid("it ends too early".to_owned()))
}

/// Hexadecimal text of a hash.
pub(super) fn hex(sha: &Sha) -> String {
    sha.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hash from its [`hex`] text.
pub(super) fn unhex(text: &str) -> Option<Sha> {
    let mut sha = Sha::default();
    if text.len() != 2 * sha.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in sha.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(sha)
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

/// Looks at one section's header, or at one function's.
fn check_counts(payload: &Payload<'_>, limits: &ModuleLimits) -> Result<(), LoadError> {
    let (what, count, limit) = match payload {
        Payload::FunctionSection(section) => ("functions", section.count(), limits.functions),
        Payload::TableSection(section) => ("tables", section.count(), TABLES),
        Payload::TypeSection(section) => ("types", section.count(), ENTRIES),
        Payload::ImportSection(section) => ("imports", section.count(), ENTRIES),
        Payload::ExportSection(section) => ("exports", section.count(), ENTRIES),
        Payload::GlobalSection(section) => ("globals", section.count(), ENTRIES),
        Payload::ElementSection(section) => ("element segments", section.count(), ENTRIES),
        Payload::DataSection(section) => ("data segments", section.count(), ENTRIES),
        Payload::CodeSectionEntry(body) => return check_body(body, limits),
        _ => return Ok(()),
    };
    check_limit(what, count.into(), limit.into())
}

fn check_body(body: &FunctionBody<'_>, limits: &ModuleLimits) -> Result<(), LoadError> {
    let size = body.range().len() as u64;
    check_limit(
        "a function body of bytes",
        size,
        limits.function_size as u64,
    )?;
    let mut locals = 0;
    for group in body.get_locals_reader().map_err(|error| invalid(&error))? {
        let (count, _) = group.map_err(|error| invalid(&error))?;
        locals += u64::from(count);
    }
    check_limit("a function with locals", locals, LOCALS)
}

/// WebAssembly 2.0 without what `engine` turns off.
pub(super) fn features() -> WasmFeatures {
    WasmFeatures::WASM2.difference(WasmFeatures::GC_TYPES)
}

// === impl Outline ===

impl Outline {
    /// Refuses a module whose imports or exports are not as the ABI wants them.
    pub(super) fn check_interface(&self, entry: &str) -> Result<(), LoadError> {
        interface::check(self.0.as_ref(), entry)
    }

    /// Refuses a module without a further entry of this name.
    pub(super) fn check_entry(&self, name: &str) -> Result<(), LoadError> {
        interface::check_entry(self.0.as_ref(), name)
    }

    /// Refuses a module whose smallest memory or table is past the function's limits.
    pub(super) fn check_minimums(&self, limits: &Limits) -> Result<(), LoadError> {
        let types = self.0.as_ref();
        let memories = (0..types.memory_count()).map(|index| types.memory_at(index).initial);
        let tables = (0..types.table_count()).map(|index| types.table_at(index).initial);
        let pages = (limits.memory / PAGE_SIZE) as u64;
        let elements = limits.table_elements as u64;
        check_limit(
            "an initial memory of pages",
            memories.max().unwrap_or(0),
            pages,
        )?;
        check_limit(
            "an initial table of elements",
            tables.max().unwrap_or(0),
            elements,
        )
    }
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
mod tests;
