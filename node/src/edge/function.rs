//! A function: a configured module, compiled, checked and linked, ready to be invoked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::{ExternType, FuncType, InstancePre, Module, ModuleExport};

use super::error::LoadError;
use super::guest::Guest;
use super::limits::{Limits, PAGE_SIZE};
use super::module::{Sha, hex};
use crate::cache::{Cache, Namespace};
use crate::egress::{AllowList, Client};

/// Whether a function gets the request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyAccess {
    /// Bodies stream past it.
    #[default]
    None,
    /// The request body is buffered for it.
    Request,
}

/// What a failed invocation means for its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The client gets the error.
    #[default]
    Fail,
    /// The request goes on as if the function were not there.
    Bypass,
}

/// What the configuration says of a function.
#[derive(Clone, Debug)]
pub struct FunctionSettings {
    /// Its name in `[functions]`.
    pub name: String,
    /// The module file.
    pub module: PathBuf,
    /// The hash the file must have.
    pub sha256: Option<Sha>,
    /// The exported function to call.
    pub entry: String,
    /// Which bodies it gets.
    pub body: BodyAccess,
    /// What a failure means.
    pub on_failure: OnFailure,
    /// Hosts it may call.
    pub egress: AllowList,
    /// Where its cache keys live.
    pub namespace: Namespace,
    /// Read by `config_get`.
    pub config: BTreeMap<String, String>,
    /// What each invocation may use.
    pub limits: Limits,
}

/// What host calls reach outside the process through.
#[derive(Clone)]
pub struct Services {
    /// The cache of all functions.
    pub cache: Cache,
    /// The HTTPS client.
    pub egress: Arc<Client>,
}

/// A pre-linked function. Nothing about it is looked up again per request.
pub struct Function {
    pub(super) name: Arc<str>,
    pub(super) pre: InstancePre<Guest>,
    pub(super) entry: EntryExport,
    pub(super) memory: ModuleExport,
    pub(super) initialize: Option<EntryExport>,
    pub(super) places: Arc<Semaphore>,
    pub(super) body: BodyAccess,
    pub(super) on_failure: OnFailure,
    pub(super) egress: AllowList,
    pub(super) namespace: Namespace,
    pub(super) config: BTreeMap<String, String>,
    pub(super) limits: Limits,
    pub(super) services: Services,
    sha256: Sha,
    size: usize,
}

/// Where a function comes from.
pub(super) struct Origin {
    pub(super) sha256: Sha,
    pub(super) size: usize,
    /// Its invocations at once; kept over a reload that does not change their number.
    pub(super) places: Arc<Semaphore>,
}

/// What a module's exports must be.
pub(super) struct Exports {
    entry: EntryExport,
    memory: ModuleExport,
    initialize: Option<EntryExport>,
}

/// A function that the host calls, and what it returns.
#[derive(Clone, Copy)]
pub(super) struct EntryExport {
    pub(super) index: ModuleExport,
    pub(super) returns: Returns,
}

/// What an entry returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returns {
    /// Negative for a failure.
    I32,
    /// Taken as 0.
    Nothing,
}

impl Exports {
    /// Checks the entry, `memory` and `_initialize` of `module`.
    pub(super) fn of(module: &Module, entry: &str) -> Result<Self, LoadError> {
        Ok(Self {
            entry: entry_export(module, entry)?,
            memory: memory_export(module)?,
            initialize: match module.get_export(aegis_abi::EXPORT_INITIALIZE) {
                None => None,
                Some(_) => Some(entry_export(module, aegis_abi::EXPORT_INITIALIZE)?),
            },
        })
    }
}

fn entry_export(module: &Module, name: &str) -> Result<EntryExport, LoadError> {
    let returns = match module.get_export(name) {
        Some(ExternType::Func(func)) => returns(&func),
        Some(_) => None,
        None => return Err(missing(name)),
    };
    match (module.get_export_index(name), returns) {
        (Some(index), Some(returns)) => Ok(EntryExport { index, returns }),
        _ => Err(wrong(name, "it must be a function () -> i32 or () -> ()")),
    }
}

/// `None` for a function that cannot be an entry.
fn returns(func: &FuncType) -> Option<Returns> {
    let mut results = func.results();
    match (func.params().len(), results.next(), results.next()) {
        (0, None, _) => Some(Returns::Nothing),
        (0, Some(result), None) if result.is_i32() => Some(Returns::I32),
        _ => None,
    }
}

fn memory_export(module: &Module) -> Result<ModuleExport, LoadError> {
    let name = aegis_abi::EXPORT_MEMORY;
    let is_memory = match module.get_export(name) {
        Some(exported) => matches!(exported, ExternType::Memory(_)),
        None => return Err(missing(name)),
    };
    match module.get_export_index(name) {
        Some(index) if is_memory => Ok(index),
        _ => Err(wrong(name, "it must be a memory")),
    }
}

fn missing(name: &str) -> LoadError {
    wrong(name, "the module does not export it")
}

fn wrong(name: &str, problem: &str) -> LoadError {
    LoadError::Export {
        name: name.to_owned(),
        problem: problem.to_owned(),
    }
}

/// Refuses a module whose smallest memory or table is past the function's limits.
pub(super) fn check_minimums(module: &Module, limits: &Limits) -> Result<(), LoadError> {
    let required = module.resources_required();
    let pages = required.max_initial_memory_size.unwrap_or(0);
    let page_limit = (limits.memory / PAGE_SIZE) as u64;
    check("an initial memory of pages", pages, page_limit)?;
    let elements = required.max_initial_table_size.unwrap_or(0);
    check(
        "an initial table of elements",
        elements,
        limits.table_elements as u64,
    )
}

fn check(what: &'static str, found: u64, limit: u64) -> Result<(), LoadError> {
    if found > limit {
        return Err(LoadError::Limit { what, found, limit });
    }
    Ok(())
}

impl Function {
    pub(super) fn new(
        settings: FunctionSettings,
        pre: InstancePre<Guest>,
        exports: &Exports,
        services: Services,
        origin: Origin,
    ) -> Self {
        let Origin {
            sha256,
            size,
            places,
        } = origin;
        Self {
            name: settings.name.into(),
            pre,
            entry: exports.entry,
            memory: exports.memory,
            initialize: exports.initialize,
            places,
            body: settings.body,
            on_failure: settings.on_failure,
            egress: settings.egress,
            namespace: settings.namespace,
            config: settings.config,
            limits: settings.limits,
            services,
            sha256,
            size,
        }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What each invocation may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// SHA-256 of the module file, in hexadecimal.
    pub fn sha256(&self) -> String {
        hex(&self.sha256)
    }

    /// Content hash of the module file.
    pub(super) fn digest(&self) -> &Sha {
        &self.sha256
    }

    /// Bytes of the module file.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Names of what the module imports, in its order.
    pub fn imports(&self) -> Vec<String> {
        let module = self.pre.module();
        module
            .imports()
            .map(|import| import.name().to_owned())
            .collect()
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .field("sha256", &self.sha256())
            .finish_non_exhaustive()
    }
}
