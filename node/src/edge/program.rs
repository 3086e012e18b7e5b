//! What a guest runs as: compiled code, linked once, with what it may use.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::{ExternType, InstancePre, Module, ModuleExport};

use super::error::LoadError;
use super::function::{BodyAccess, FunctionSettings, Services};
use super::guest::Guest;
use super::interface::missing;
use super::limits::Limits;
use super::record::Phase;
use crate::cache::Namespace;
use crate::egress::Caller;

/// A pre-linked module and its grants. Nothing about it is looked up again per request.
pub(super) struct Program {
    /// The function's.
    pub(super) name: Arc<str>,
    pub(super) pre: InstancePre<Guest>,
    pub(super) exports: Exports,
    pub(super) body: BodyAccess,
    /// Within its grant.
    pub(super) egress: Arc<Caller>,
    pub(super) namespace: Namespace,
    pub(super) config: BTreeMap<String, String>,
    pub(super) limits: Limits,
    pub(super) services: Services,
}

/// What a module's exports must be.
#[derive(Clone, Copy)]
pub(super) struct Exports {
    pub(super) entry: EntryExport,
    /// Of the response phase.
    pub(super) response_entry: Option<EntryExport>,
    pub(super) memory: ModuleExport,
    pub(super) initialize: Option<EntryExport>,
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

impl Program {
    pub(super) fn new(
        settings: FunctionSettings,
        pre: InstancePre<Guest>,
        exports: Exports,
        services: Services,
    ) -> Self {
        let name = settings.name.into();
        Self {
            egress: services.egress.caller(&name, &settings.egress),
            name,
            pre,
            exports,
            body: settings.body,
            namespace: settings.namespace,
            config: settings.config,
            limits: settings.limits,
            services,
        }
    }
}

impl Exports {
    /// What is called in this phase; functions without an entry for it are not run in it.
    pub(super) fn entry_of(&self, phase: Phase) -> &EntryExport {
        match (phase, &self.response_entry) {
            (Phase::Response, Some(entry)) => entry,
            (Phase::Response, None) | (Phase::Request, _) => &self.entry,
        }
    }

    /// Finds the entries, `memory` and `_initialize` of a module that was checked to have them.
    pub(super) fn of(module: &Module, settings: &FunctionSettings) -> Result<Self, LoadError> {
        let response_entry = settings.response_entry.as_ref();
        Ok(Self {
            entry: entry_export(module, &settings.entry)?,
            response_entry: response_entry
                .map(|name| entry_export(module, name))
                .transpose()?,
            memory: export(module, aegis_abi::EXPORT_MEMORY)?,
            initialize: match module.get_export(aegis_abi::EXPORT_INITIALIZE) {
                None => None,
                Some(_) => Some(entry_export(module, aegis_abi::EXPORT_INITIALIZE)?),
            },
        })
    }
}

fn entry_export(module: &Module, name: &str) -> Result<EntryExport, LoadError> {
    let index = export(module, name)?;
    let returns = match module.get_export(name) {
        Some(ExternType::Func(func)) if func.results().len() > 0 => Returns::I32,
        _ => Returns::Nothing,
    };
    Ok(EntryExport { index, returns })
}

fn export(module: &Module, name: &str) -> Result<ModuleExport, LoadError> {
    module.get_export_index(name).ok_or_else(|| missing(name))
}
