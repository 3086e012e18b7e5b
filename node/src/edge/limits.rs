//! What one function may use: every limit has a default, a unit and a reason.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// One page of WebAssembly memory, in bytes.
pub const PAGE_SIZE: usize = 64 * KIB;

/// Limits of each invocation of one function (`[functions.NAME.limits]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fuel for the entry, and the same again for the start section and `_initialize`.
    pub fuel: u64,
    /// Time the guest itself runs on a processor; waiting in host calls is not counted.
    pub execution_time: Duration,
    /// From admission to the end, waiting included.
    pub wall_time: Duration,
    /// Linear memory, in bytes; a multiple of [`PAGE_SIZE`] is what can be used.
    pub memory: usize,
    /// Largest body handed to the guest, of a request or a response, in bytes.
    pub body_size: usize,
    /// Invocations of this function at once.
    pub max_in_flight: usize,
    /// HTTPS calls per invocation.
    pub subrequests: u32,
    /// HTTPS calls of one invocation under way at once; the others wait for their turn.
    pub parallel_subrequests: u32,
    /// Cache calls per invocation.
    pub cache_calls: u32,
    /// Elements of the guest's table.
    pub table_elements: usize,
    /// Response header edits per invocation, and as many of the request.
    pub response_headers: usize,
    /// Bytes of names and values of those edits, for each of the two.
    pub response_header_size: usize,
    /// Largest content of the shared buffer, and of a body that the guest sets, in bytes.
    pub shared_buffer: usize,
    /// Log text per invocation, in bytes; the rest is counted and dropped.
    pub log_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 5_000_000,
            execution_time: Duration::from_millis(50),
            wall_time: Duration::from_secs(10),
            memory: 50 * MIB,
            body_size: MIB,
            max_in_flight: 2048,
            subrequests: 32,
            parallel_subrequests: 8,
            cache_calls: 1000,
            table_elements: 10_000,
            response_headers: 64,
            response_header_size: 16 * KIB,
            shared_buffer: 10 * MIB,
            log_size: 64 * KIB,
        }
    }
}

/// What a module may be to be compiled at all (`[edge.module_limits]`): compiling
/// costs time and memory that grow with these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleLimits {
    /// Bytes of the module file.
    pub size: usize,
    /// Functions defined in it.
    pub functions: u32,
    /// Bytes of the largest function body.
    pub function_size: usize,
    /// Processor time of compiling it, of all threads together; whole seconds, rounded up.
    pub compile_time: Duration,
    /// Address space of the process that compiles it, in bytes.
    pub compile_memory: usize,
}

impl Default for ModuleLimits {
    fn default() -> Self {
        Self {
            size: 16 * MIB,
            functions: 20_000,
            function_size: 256 * KIB,
            compile_time: Duration::from_secs(30),
            compile_memory: 2048 * MIB,
        }
    }
}

/// Node-wide settings of the edge runtime (`[edge]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Threads that run guests; 0 is one per core.
    pub threads: usize,
    /// Invocations at once, of all functions together.
    pub max_in_flight: usize,
    /// Bytes that guests and the host buffers of all invocations hold together.
    pub memory: usize,
    /// How long an invocation waits for its place before it is refused.
    pub queue_timeout: Duration,
    /// Where compiled modules are kept; absent: nowhere.
    pub cache_dir: Option<std::path::PathBuf>,
    /// What a module may be to be compiled.
    pub module_limits: ModuleLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: 0,
            max_in_flight: 4096,
            memory: 1024 * MIB,
            queue_timeout: Duration::from_millis(100),
            cache_dir: None,
            module_limits: ModuleLimits::default(),
        }
    }
}
