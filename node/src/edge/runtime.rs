//! What every function shares: engine, pool, admission, memory account.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use wasmtime::{Engine, Linker, Module, UnknownImportError};

use super::admission::Admission;
use super::artifacts::{self, Artifacts};
use super::budget::Budget;
use super::compile::{self, CompileError, Compiler};
use super::engine::{self, Capacity};
use super::error::{LoadError, RuntimeError};
use super::function::{Function, FunctionSettings, Governors, Services, Share, Source};
use super::guest::Guest;
use super::host;
use super::limits::Settings;
use super::module::{self, Sha};
use super::pool::Pool;
use super::program::{Exports, Program};
use super::residency::Pagemap;
use super::ticker;

/// The edge runtime. It outlives reloads unless its settings change.
pub struct Runtime {
    settings: Settings,
    capacity: Capacity,
    engine: Engine,
    linker: Linker<Guest>,
    compiler: Compiler,
    /// `None` without `cache_dir`.
    artifacts: Option<Artifacts>,
    pub(super) pool: Pool,
    pub(super) admission: Admission,
    budget: Arc<Budget>,
    pub(super) bodies: Arc<Budget>,
    pub(super) pagemap: Option<Arc<Pagemap>>,
}

/// Modules compiled so far, by content. A reload starts from the ones in use, so what
/// has not changed is not compiled again.
#[derive(Debug, Default)]
pub struct Compiled {
    modules: HashMap<Sha, Module>,
    /// Of functions that serve now: what of theirs goes on.
    governors: HashMap<String, Governors>,
}

impl Runtime {
    /// Host calls do their input and output on `io`.
    ///
    /// # Errors
    /// When the address space cannot hold the pool, or no thread can be started.
    pub fn start(
        settings: Settings,
        capacity: Capacity,
        io: &tokio::runtime::Handle,
        compiler: Compiler,
    ) -> Result<Self, RuntimeError> {
        let artifacts = settings.cache_dir.as_deref().map(open_artifacts);
        let engine = engine::start(capacity)?;
        let linker =
            host::link(&engine).map_err(|error| RuntimeError::Engine(format!("{error:#}")))?;
        let budget = Budget::new(settings.memory);
        let pool = Pool::start(settings.threads, io)?;
        ticker::start(&engine, pool.watch())?;
        Ok(Self {
            pool,
            admission: Admission::new(settings.max_in_flight, settings.queue_timeout),
            bodies: budget.of_bodies(),
            budget,
            artifacts: artifacts.transpose()?,
            pagemap: Pagemap::open().map(Arc::new),
            settings,
            capacity,
            engine,
            linker,
            compiler,
        })
    }

    /// Bytes of `[edge] memory` that are held now.
    pub fn memory_held(&self) -> usize {
        self.budget.held()
    }

    /// Whether this runtime can serve these settings as it is.
    pub fn suits(&self, settings: &Settings, capacity: Capacity) -> bool {
        self.settings == *settings && self.capacity == capacity
    }

    /// Reads, checks, compiles and links one function.
    ///
    /// # Errors
    /// Whatever would otherwise come up at the first request.
    pub fn load(
        &self,
        settings: FunctionSettings,
        services: Services,
        compiled: &mut Compiled,
    ) -> Result<Function, LoadError> {
        let limits = &self.settings.module_limits;
        let source = module::read(&settings.module, limits)?;
        check_pin(&settings, &source.sha256)?;
        let outline = module::check(&source.bytes, limits)?;
        outline.check_minimums(&settings.limits)?;
        outline.check_interface(&settings.entry)?;
        if let Some(name) = &settings.response_entry {
            outline.check_entry(name)?;
        }
        let module = self.module(&source, compiled)?;
        let exports = Exports::of(&module, &settings)?;
        let pre = self
            .linker
            .instantiate_pre(&module)
            .map_err(|error| refused_import(&error))?;
        let serving = compiled.governors.get(&settings.name);
        let kept = (source.sha256, settings.limits.max_in_flight);
        let share = Share {
            governors: Governors::new(serving, kept, settings.breaker),
            lane: self.pool.lane(),
            memory: self.budget.of_function(settings.limits.memory),
        };
        let source = Source {
            sha256: source.sha256,
            size: source.bytes.len(),
        };
        let (on_failure, instance) = (settings.on_failure.clone(), settings.instance);
        let program = Program::new(settings, pre, exports, services);
        Ok(Function::new(program, on_failure, instance, share, source))
    }

    fn module(
        &self,
        source: &module::Source,
        compiled: &mut Compiled,
    ) -> Result<Module, LoadError> {
        if let Some(module) = compiled.modules.get(&source.sha256) {
            return Ok(module.clone());
        }
        let kept = |artifacts: &Artifacts| {
            let most = compile::most_code(source.bytes.len());
            artifacts.load(&self.engine, &source.sha256, most)
        };
        let module = match self.artifacts.as_ref().and_then(kept) {
            Some(module) => module,
            None => self.compile(source)?,
        };
        compiled.modules.insert(source.sha256, module.clone());
        Ok(module)
    }

    fn compile(&self, source: &module::Source) -> Result<Module, LoadError> {
        let code = self.compiler.compile(
            &source.bytes,
            &self.engine,
            self.capacity.memory,
            &self.settings.module_limits,
        )?;
        let module = artifacts::deserialize(&self.engine, &code)
            .map_err(|error| CompileError::Refused(format!("{error:#}")))?;
        if let Some(artifacts) = &self.artifacts {
            artifacts.store(&self.engine, &source.sha256, &code);
        }
        Ok(module)
    }

    /// Removes compiled modules from `cache_dir` that nobody has used for long; those in
    /// `compiled` are in use.
    pub fn prune(&self, compiled: &Compiled) {
        if let Some(artifacts) = &self.artifacts {
            artifacts.prune(|sha| compiled.modules.contains_key(sha));
        }
    }
}

fn open_artifacts(folder: &Path) -> Result<Artifacts, RuntimeError> {
    Artifacts::open(folder).map_err(|source| RuntimeError::CacheDir {
        folder: folder.to_owned(),
        source,
    })
}

fn check_pin(settings: &FunctionSettings, found: &Sha) -> Result<(), LoadError> {
    match &settings.sha256 {
        Some(pinned) if pinned != found => Err(LoadError::Digest {
            found: module::hex(found),
            pinned: module::hex(pinned),
        }),
        _ => Ok(()),
    }
}

/// Wasmtime names the import; this says whose side each type is.
fn refused_import(error: &wasmtime::Error) -> LoadError {
    LoadError::Import(match error.downcast_ref::<UnknownImportError>() {
        Some(unknown) => format!(
            "import {}.{}: the host has no such function",
            unknown.module(),
            unknown.name()
        ),
        None => format!("{error:#} (expected: by the module, found: in the host)"),
    })
}

impl Compiled {
    /// The modules of these functions, and what counts their invocations.
    pub fn of<'f>(functions: impl IntoIterator<Item = &'f Arc<Function>>) -> Self {
        let mut compiled = Self::default();
        for function in functions {
            let module = function.program.pre.module().clone();
            compiled.modules.insert(*function.digest(), module);
            let governors = function.governors.clone();
            compiled
                .governors
                .insert(function.name().to_owned(), governors);
        }
        compiled
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
