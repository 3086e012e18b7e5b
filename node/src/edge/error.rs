//! How an invocation fails, and why a module is refused.

use std::fmt;
use std::path::PathBuf;

use super::compile::CompileError;

/// Why an invocation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The guest trapped: unreachable code, a bad access, stack overflow…
    Trap,
    /// The entry returned a negative number.
    Error,
    /// The fuel ran out.
    Fuel,
    /// The guest ran longer than `execution_time`.
    Time,
    /// The guest trapped after it was refused more memory or table elements.
    Memory,
    /// The invocation took longer than `wall_time`.
    Deadline,
    /// It was not run: the function failed too often of late, and its breaker is open.
    Unavailable,
}

/// What every code begins with.
const PREFIX: &str = "function-";

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 7] = [
        Self::Trap,
        Self::Error,
        Self::Fuel,
        Self::Time,
        Self::Memory,
        Self::Deadline,
        Self::Unavailable,
    ];

    /// The word for it in the configuration: its code without `function-`.
    pub fn cause(self) -> &'static str {
        let code = self.code();
        code.strip_prefix(PREFIX).unwrap_or(code)
    }

    /// The stable code that clients and logs see.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Trap => "function-trap",
            Self::Error => "function-error",
            Self::Fuel => "function-fuel",
            Self::Time => "function-time",
            Self::Memory => "function-memory",
            Self::Deadline => "function-deadline",
            Self::Unavailable => "function-unavailable",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why a module cannot become a function.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{0} is not a regular file")]
    NotAFile(PathBuf),
    /// The `sha256` pin does not hold.
    #[error("the module's sha256 is {found}, not the pinned {pinned}")]
    Digest {
        /// Of the file, in hexadecimal.
        found: String,
        /// Of the configuration, in hexadecimal.
        pinned: String,
    },
    /// Past one of `[edge.module_limits]` or of the function's limits.
    #[error("the module has {what} {found}, the limit is {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// In this module.
        found: u64,
        /// At most.
        limit: u64,
    },
    /// Not a valid core module.
    #[error("not a valid core WebAssembly module: {0}")]
    Invalid(String),
    /// An import the host does not have, or has with another signature.
    #[error("{0}")]
    Import(String),
    /// An export that is missing or of another type.
    #[error("export `{name}`: {problem}")]
    Export {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The compiler refused it, or was stopped.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// Why the edge runtime cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Wasmtime refused the settings, or the address space is too small.
    #[error("cannot set up the sandbox engine: {0}")]
    Engine(String),
    /// `cache_dir` cannot be used.
    #[error("cannot keep compiled modules in {folder}: {source}")]
    CacheDir {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// No thread could be started.
    #[error("cannot start a thread of the edge pool: {0}")]
    Thread(#[from] std::io::Error),
}
