//! What an AEGIS node and its edge functions both compile against: the names of the imports,
//! the codes a failed call leaves behind, the limits that are part of the contract, and which
//! response headers belong to the node.
//!
//! A function is a core WebAssembly module. It exports its [memory](EXPORT_MEMORY) and an entry
//! of type `() -> i32` (negative: failed) or `() -> ()`; everything it imports is in [`MODULE`].
//! Pointers and lengths are `i32` read as unsigned.
#![no_std]

mod code;
mod header;
pub mod import;
mod limit;

pub use code::{Code, UnknownCode};
pub use header::is_reserved_header;
pub use limit::{
    MAX_KEY, MAX_LOG_RECORD, MAX_REQUEST_BODY, MAX_REQUEST_HEADER_SIZE, MAX_REQUEST_HEADERS,
    MAX_RESPONSE, MAX_STATUS, MAX_TTL_SECONDS, MAX_URL, MAX_VALUE, MIN_STATUS,
};

/// The module name of every import.
pub const MODULE: &str = "env";

/// What every import returning `i32` returns on any failure; [`import::LAST_ERROR_CODE`] tells why.
pub const FAILURE: i32 = -1;

/// What [`import::CACHE_INCREMENT`] returns on any failure.
pub const INCREMENT_FAILURE: i64 = i64::MIN;

/// The export holding the guest's linear memory; a module without it is refused at load.
pub const EXPORT_MEMORY: &str = "memory";

/// The export that, where present, runs once before the entry.
pub const EXPORT_INITIALIZE: &str = "_initialize";

/// The entry called where the configuration names none.
pub const DEFAULT_ENTRY: &str = "handle_request";
