//! Edge functions: untrusted WebAssembly, loaded, run and held to its limits.
//!
//! Knows nothing of the proxy: a request goes in, an [`Outcome`] comes out.

mod admission;
mod artifacts;
mod budget;
mod chain;
mod edits;
mod engine;
mod error;
mod function;
mod guest;
mod host;
mod invocation;
mod limits;
mod meter;
mod module;
mod pool;
mod request;
mod residency;
mod runtime;

pub use budget::Hold;
pub use chain::{Answer, Chain, Forwards, Outcome, Record, RecordOutcome};
pub use edits::{Edits, HeaderEdit};
pub use engine::Capacity;
pub use error::{Fault, LoadError, RuntimeError};
pub use function::{BodyAccess, Function, FunctionSettings, OnFailure, Services};
pub use invocation::Spent;
pub use limits::{Limits, ModuleLimits, PAGE_SIZE, Settings};
pub use module::Sha;
pub use request::Request;
pub use runtime::{Compiled, Runtime};
