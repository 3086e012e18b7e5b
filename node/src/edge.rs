//! Edge functions: untrusted WebAssembly, loaded, run and held to its limits.
//!
//! Knows nothing of the proxy: a request goes in, an [`Outcome`] comes out.

mod admission;
mod artifacts;
mod backtrace;
mod breaker;
mod budget;
mod calls;
mod chain;
mod compile;
mod complaints;
mod edits;
mod engine;
mod error;
mod function;
mod guest;
mod host;
mod idle;
mod interface;
mod invocation;
mod limits;
mod meter;
mod module;
mod policy;
mod pool;
mod program;
mod queue;
mod record;
mod request;
mod residency;
mod response;
mod runtime;
mod sandbox;
mod schedule;
mod ticker;

pub use breaker::BreakerSettings;
pub use budget::Hold;
pub use chain::{Answer, Chain, Forwards, Link, Outcome, ResponseOutcome};
pub use compile::{CompileError, Compiler, run as run_compile_job, serve as serve_compile_tasks};
pub use edits::{Edits, HeaderEdit, OF_THE_BODY, RequestEdits};
pub use engine::Capacity;
pub use error::{Fault, LoadError, RuntimeError};
pub use function::{BodyAccess, Function, FunctionSettings, Services};
pub use idle::InstancePolicy;
pub use limits::{Limits, ModuleLimits, PAGE_SIZE, Settings};
pub use module::Sha;
pub use policy::{FailurePolicy, OnFailure};
pub use record::{Phase, Record, RecordOutcome, Spent};
pub use request::{Forwarded, Request, UriRules};
pub use response::{Response, ResponseBody};
pub use runtime::{Compiled, Runtime};
