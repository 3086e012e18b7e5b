//! `[functions]` made ready to run, with every module that cannot be reported.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Config, Function as FunctionConfig, Problem};
use crate::edge::{
    Capacity, CompileError, Compiled, Function, FunctionSettings, LoadError, PAGE_SIZE, Runtime,
    Services,
};

/// Functions by name.
pub(super) type Functions = BTreeMap<String, Arc<Function>>;

/// What the runtime must have room for.
pub(super) fn capacity(config: &Config) -> Capacity {
    let limits = config.functions.values().map(|function| &function.limits);
    let idle = config
        .functions
        .values()
        .map(|function| function.instance.most_idle(&function.limits));
    let memory = limits.clone().map(|limits| limits.memory).max();
    let table_elements = limits.map(|limits| limits.table_elements).max();
    Capacity {
        // During a reload there are idle ones of the old functions and of the new.
        instances: config.edge.max_in_flight + 2 * idle.sum::<usize>(),
        memory: memory.unwrap_or(PAGE_SIZE).next_multiple_of(PAGE_SIZE),
        table_elements: table_elements.unwrap_or(0),
    }
}

/// Loads every function; modules in `compiled` are not compiled again.
pub(super) fn load(
    config: &Config,
    runtime: &Runtime,
    services: &Services,
    compiled: &mut Compiled,
    problems: &mut Vec<Problem>,
) -> Functions {
    let mut functions = Functions::new();
    for (name, function) in &config.functions {
        let settings = settings(name, function);
        match runtime.load(settings, services.clone(), compiled) {
            Ok(loaded) => {
                functions.insert(name.clone(), Arc::new(loaded));
            }
            Err(error) => problems.push(problem(config, name, &error)),
        }
    }
    functions
}

fn settings(name: &str, function: &FunctionConfig) -> FunctionSettings {
    let function = function.clone();
    FunctionSettings {
        name: name.to_owned(),
        module: function.module,
        sha256: function.sha256,
        entry: function.entry,
        response_entry: function.response_entry,
        body: function.body,
        on_failure: function.on_failure,
        breaker: function.breaker,
        instance: function.instance,
        egress: function.egress,
        namespace: function.cache_namespace,
        config: function.config,
        limits: function.limits,
    }
}

const BUILD: &str = "build a core module, for instance with --target wasm32-unknown-unknown";

fn compile_remedy(cause: &CompileError) -> &'static str {
    match cause {
        CompileError::Invalid(_) | CompileError::Refused(_) => BUILD,
        CompileError::Time(_) => {
            "make the module smaller, or raise compile_time in [edge.module_limits]"
        }
        CompileError::Busy(_) => {
            "try again when there is less load, or raise compile_time in [edge.module_limits], of which it is ten times"
        }
        CompileError::Memory(_) => {
            "make the module smaller, or raise compile_memory in [edge.module_limits]"
        }
        CompileError::Code(_) => "make the module smaller",
        CompileError::Crashed(_) => {
            "change the module; if the system killed the compiler, give it more memory"
        }
        CompileError::Launcher(_) => "try again, or restart the node",
    }
}

fn problem(config: &Config, name: &str, error: &LoadError) -> Problem {
    let (key, remedy) = match error {
        LoadError::Read { .. } | LoadError::NotAFile(_) => {
            ("module", "build the module first, or correct its path")
        }
        LoadError::Digest { .. } => ("sha256", "pin the hash of the module you mean to run"),
        LoadError::Limit { .. } => (
            "module",
            "make the module smaller, or raise the limit in [edge.module_limits] or the function's limits",
        ),
        LoadError::Invalid(_) => ("module", BUILD),
        LoadError::Compile(cause) => ("module", compile_remedy(cause)),
        LoadError::Import(_) => (
            "module",
            "import only the functions of the guide, with their signatures",
        ),
        LoadError::Export { name: export, .. } => (
            key_of(config, name, export),
            "export `memory` and entry functions () -> i32 or () -> ()",
        ),
    };
    config.problem(&format!("functions.{name}.{key}"), error, remedy)
}

/// The key that names an export.
fn key_of(config: &Config, name: &str, export: &str) -> &'static str {
    let names = config.functions.get(name).is_some_and(|function| {
        function.entry != export && function.response_entry.as_deref() == Some(export)
    });
    match names {
        true => "response_entry",
        false => "entry",
    }
}
