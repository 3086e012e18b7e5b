//! Compiling modules, which costs time and memory that hostile ones can drive up: in this
//! process, or in a child process that the system holds to its bounds.

pub(super) mod job;
mod launcher;
mod link;
mod message;
mod process;

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Engine;

use self::link::Launcher;
use self::message::Task;
use super::limits::ModuleLimits;

pub use self::job::run;
pub use self::launcher::serve;

/// Wall-clock time for each second of processor time: a busy machine leaves that little.
const PATIENCE: u32 = 10;
/// And this much in any case.
const LEAST_WALL_TIME: Duration = Duration::from_secs(60);

/// Bytes of code that a module of so many bytes may compile to.
pub(super) fn most_code(module: usize) -> usize {
    link::most_code(module)
}

/// Who compiles.
#[derive(Clone, Debug)]
pub struct Compiler(Kind);

#[derive(Clone, Debug)]
enum Kind {
    InProcess,
    Launcher(Arc<Launcher>),
}

/// Why a module was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A function body breaks the rules.
    #[error("not a valid core WebAssembly module: {0}")]
    Invalid(String),
    /// The compiler does not take it.
    #[error("cannot compile the module: {0}")]
    Refused(String),
    /// Past `compile_time`.
    #[error("compiling the module takes more than {0:?} of processor time, which is compile_time")]
    Time(Duration),
    /// Not done in a multiple of `compile_time` on the clock.
    #[error("compiling the module did not end within {0:?}: the machine is too busy")]
    Busy(Duration),
    /// Past `compile_memory`.
    #[error("compiling the module takes more than {} MiB of address space, which is compile_memory", .0 >> 20)]
    Memory(usize),
    /// Out of proportion to the module.
    #[error("the module compiles to more than {0} bytes of code")]
    Code(usize),
    /// Abort, stack overflow, panic.
    #[error("the compiler failed over the module: {0}")]
    Crashed(String),
    /// The process that compiles is gone, or cannot be started.
    #[error("the compile launcher {0}")]
    Launcher(String),
}

// === impl Compiler ===

impl Compiler {
    /// Compiles on the thread that asks, without bounds of time and memory: for tests and
    /// for modules one trusts.
    pub fn in_process() -> Self {
        Self(Kind::InProcess)
    }

    /// Starts the process that compiles. It must be called before there is any thread, by
    /// a program whose arguments `compile-launcher` and `compile-job` lead to [`serve`] and
    /// [`run`]. If the process cannot be started, compiling will say so.
    pub fn launcher() -> Self {
        Self(Kind::Launcher(Arc::new(Launcher::start())))
    }

    /// From now on compiling takes the lowest priority.
    pub fn yield_to_traffic(&self) {
        if let Kind::Launcher(launcher) = &self.0 {
            launcher.yield_to_traffic();
        }
    }

    /// Machine code of a module that was checked, for engines with memories of
    /// `reservation` bytes, of which `engine` is one.
    pub(super) fn compile(
        &self,
        module: &[u8],
        engine: &Engine,
        reservation: usize,
        limits: &ModuleLimits,
    ) -> Result<Vec<u8>, CompileError> {
        match &self.0 {
            Kind::InProcess => job::compile(engine, module),
            Kind::Launcher(launcher) => launcher.ask(&task(reservation, limits), module),
        }
    }
}

fn task(reservation: usize, limits: &ModuleLimits) -> Task {
    let wall_time = limits.compile_time.saturating_mul(PATIENCE);
    Task {
        reservation,
        processor_time: limits.compile_time,
        wall_time: wall_time.max(LEAST_WALL_TIME),
        address_space: limits.compile_memory,
        lowest_priority: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::artifacts::deserialize;
    use crate::edge::engine::{self, Capacity};

    const PAGE: usize = 65_536;

    /// An engine as it serves, with memories of so many pages.
    fn serving(pages: usize) -> Engine {
        let capacity = Capacity {
            instances: 8,
            memory: pages * PAGE,
            table_elements: 10,
        };
        engine::start(capacity).expect("an engine")
    }

    #[test]
    fn code_of_the_compiling_engine_suits_serving_engines_of_the_same_memory_only() {
        let text =
            "(module (memory 1) (table 1 funcref) (func (export \"f\") i32.const 0 i32.load drop))";
        let module = wat::parse_str(text).expect("wat");
        let compiling = engine::compiling(800 * PAGE).expect("an engine");
        let code = job::compile(&compiling, &module).expect("code");
        deserialize(&serving(800), &code).expect("it suits");
        assert!(deserialize(&serving(801), &code).is_err());
    }

    #[test]
    fn a_module_that_is_not_valid_is_told_from_one_that_cannot_be_compiled() {
        let compiling = engine::compiling(PAGE).expect("an engine");
        let refused = |text: &str| {
            let module = wat::parse_str(text).expect("wat");
            job::compile(&compiling, &module).expect_err("it is refused")
        };
        let invalid = refused("(module (func i32.add))");
        assert!(matches!(invalid, CompileError::Invalid(_)), "{invalid}");
        let arms = "0 ".repeat(70_000);
        let large = refused(&format!("(module (func (br_table {arms} (i32.const 0))))"));
        assert!(matches!(large, CompileError::Refused(_)), "{large}");
    }
}
