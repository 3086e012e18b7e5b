//! What a module imports and exports, held against the ABI before it is compiled.

use std::fmt::Write;

use aegis_abi::{EXPORT_INITIALIZE, EXPORT_MEMORY, MODULE, import};
use wasmparser::types::{EntityType, TypesRef};
use wasmparser::{FuncType, ValType};

use super::error::LoadError;

/// An import: its name, parameters and result.
type Signature = (&'static str, &'static [ValType], &'static [ValType]);

/// Characters of a name that are shown.
const LONGEST_NAME: usize = 100;

const I32: ValType = ValType::I32;
const I64: ValType = ValType::I64;
const ANSWER: &[ValType] = &[I32];

/// What the host has. A test holds it against what it links.
const IMPORTS: &[Signature] = &[
    (import::LOG, &[I32; 2], &[]),
    (import::CACHE_GET, &[I32; 2], ANSWER),
    (import::CACHE_SET, &[I32; 5], ANSWER),
    (import::HTTP_GET, &[I32; 2], ANSWER),
    (import::HTTP_POST, &[I32; 6], ANSWER),
    (import::HTTP_PUT, &[I32; 6], ANSWER),
    (import::HTTP_DELETE, &[I32; 2], ANSWER),
    (import::GET_SHARED_BUFFER, &[I32; 3], ANSWER),
    (import::REQUEST_GET_METHOD, &[], ANSWER),
    (import::REQUEST_GET_URI, &[], ANSWER),
    (import::REQUEST_GET_BODY, &[], ANSWER),
    (import::REQUEST_GET_HEADER, &[I32; 2], ANSWER),
    (import::REQUEST_GET_HEADER_NAMES, &[], ANSWER),
    (import::RESPONSE_SET_STATUS, &[I32], ANSWER),
    (import::RESPONSE_SET_HEADER, &[I32; 4], ANSWER),
    (import::RESPONSE_ADD_HEADER, &[I32; 4], ANSWER),
    (import::RESPONSE_REMOVE_HEADER, &[I32; 2], ANSWER),
    (import::RESPONSE_SET_BODY, &[I32; 2], ANSWER),
    (import::REQUEST_TERMINATE, &[I32], ANSWER),
    (import::LAST_ERROR, &[], ANSWER),
    (import::LAST_ERROR_CODE, &[], ANSWER),
    (import::CONFIG_GET, &[I32; 2], ANSWER),
    (import::TIME_NOW, &[], &[I64]),
    (import::RANDOM_BYTES, &[I32; 2], ANSWER),
    (import::CACHE_DELETE, &[I32; 2], ANSWER),
    (import::CACHE_INCREMENT, &[I32, I32, I64, I32], &[I64]),
    (import::RATE_LIMIT, &[I32; 4], ANSWER),
    (import::HTTP_REQUEST, &[I32; 8], ANSWER),
    (import::HTTP_REQUEST_START, &[I32; 8], ANSWER),
    (import::HTTP_REQUEST_WAIT, &[I32], ANSWER),
    (import::HTTP_REQUEST_WAIT_ANY, &[I32; 2], ANSWER),
    (import::HTTP_RESPONSE_STATUS, &[], ANSWER),
    (import::HTTP_RESPONSE_HEADER, &[I32; 2], ANSWER),
    (import::REQUEST_SET_HEADER, &[I32; 4], ANSWER),
    (import::REQUEST_ADD_HEADER, &[I32; 4], ANSWER),
    (import::REQUEST_REMOVE_HEADER, &[I32; 2], ANSWER),
    (import::REQUEST_SET_URI, &[I32; 2], ANSWER),
    (import::REQUEST_SET_BODY, &[I32; 2], ANSWER),
    (import::REQUEST_GET_CLIENT_ADDRESS, &[], ANSWER),
    (import::RESPONSE_GET_STATUS, &[], ANSWER),
    (import::RESPONSE_GET_HEADER, &[I32; 2], ANSWER),
    (import::RESPONSE_GET_HEADER_NAMES, &[], ANSWER),
    (import::RESPONSE_GET_BODY, &[], ANSWER),
];

/// Checks every import, the entry, `memory`, and `_initialize` if it is there.
pub(super) fn check(types: TypesRef<'_>, entry: &str) -> Result<(), LoadError> {
    for (module, name, imported) in types.core_imports().into_iter().flatten() {
        check_import(types, (module, name), imported)?;
    }
    check_entry(types, entry)?;
    match export(types, EXPORT_MEMORY) {
        Some(EntityType::Memory(_)) => {}
        Some(_) => return Err(wrong(EXPORT_MEMORY, "it must be a memory")),
        None => return Err(missing(EXPORT_MEMORY)),
    }
    match export(types, EXPORT_INITIALIZE) {
        Some(_) => check_entry(types, EXPORT_INITIALIZE),
        None => Ok(()),
    }
}

fn check_import(
    types: TypesRef<'_>,
    (module, name): (&str, &str),
    imported: EntityType,
) -> Result<(), LoadError> {
    let known = IMPORTS
        .iter()
        .find(|(known, ..)| module == MODULE && name == *known);
    let Some((_, parameters, results)) = known else {
        let (module, name) = (short(module), short(name));
        let text = format!("import {module}.{name}: the host has no such function");
        return Err(LoadError::Import(text));
    };
    let found = signature(&types, imported);
    match found {
        Some(found) if found.params() == *parameters && found.results() == *results => Ok(()),
        _ => {
            let found = found.map_or_else(
                || "something else than a function".to_owned(),
                |found| shown(found.params(), found.results()),
            );
            let host = shown(parameters, results);
            let text = format!(
                "import {module}.{name}: it is {host}, and the module takes it for {found}"
            );
            Err(LoadError::Import(text))
        }
    }
}

/// Checks that it is exported, and a function that the host can call.
pub(super) fn check_entry(types: TypesRef<'_>, name: &str) -> Result<(), LoadError> {
    let exported = export(types, name).ok_or_else(|| missing(name))?;
    match signature(&types, exported) {
        Some(found) if found.params().is_empty() && matches!(found.results(), [] | [I32]) => Ok(()),
        _ => Err(wrong(name, "it must be a function () -> i32 or () -> ()")),
    }
}

fn export(types: TypesRef<'_>, wanted: &str) -> Option<EntityType> {
    let mut exports = types.core_exports().into_iter().flatten();
    exports
        .find(|(name, _)| *name == wanted)
        .map(|(_, exported)| exported)
}

/// `None` for what is no function.
fn signature<'t>(types: &'t TypesRef<'_>, entity: EntityType) -> Option<&'t FuncType> {
    match entity {
        EntityType::Func(id) | EntityType::FuncExact(id) => Some(types[id].unwrap_func()),
        EntityType::Table(_)
        | EntityType::Memory(_)
        | EntityType::Global(_)
        | EntityType::Tag(_) => None,
    }
}

fn shown(parameters: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| {
        let names: Vec<_> = types.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    let mut text = format!("({}) -> ", list(parameters));
    match results {
        [one] => write!(text, "{one}").ok(),
        more => write!(text, "({})", list(more)).ok(),
    };
    text
}

/// A name of the module's own choice, as a line can have it.
fn short(name: &str) -> String {
    name.escape_debug().take(LONGEST_NAME).collect()
}

pub(super) fn missing(name: &str) -> LoadError {
    wrong(name, "the module does not export it")
}

fn wrong(name: &str, problem: &str) -> LoadError {
    LoadError::Export {
        name: name.to_owned(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::host;
    use crate::edge::limits::ModuleLimits;
    use crate::edge::module;

    /// A module that imports all of them, with these signatures.
    fn importing(imports: &[Signature]) -> Vec<u8> {
        let mut text = "(module ".to_owned();
        let list =
            |types: &[ValType]| -> String { types.iter().map(|kind| format!(" {kind}")).collect() };
        for (name, parameters, results) in imports {
            let (parameters, results) = (list(parameters), list(results));
            text += &format!(
                "(import \"env\" \"{name}\" (func (param{parameters}) (result{results})))"
            );
        }
        text += "(memory (export \"memory\") 1) (func (export \"handle_request\")))";
        wat::parse_str(text).expect("wat")
    }

    fn refused(text: &str) -> String {
        let bytes = wat::parse_str(text).expect("wat");
        let outline = module::check(&bytes, &ModuleLimits::default()).expect("it is valid");
        let refused = outline.check_interface("handle_request");
        refused.expect_err("it is refused").to_string()
    }

    #[test]
    fn the_host_has_what_the_table_says_and_nothing_else() {
        let engine = wasmtime::Engine::default();
        let linker = host::link(&engine).expect("a linker");
        let module = wasmtime::Module::new(&engine, importing(IMPORTS)).expect("a module");
        linker.instantiate_pre(&module).expect("all are there");
        for (name, parameters, results) in IMPORTS {
            let other = [*parameters, &[I32]].concat().leak();
            let module = importing(&[(*name, other, *results)]);
            let module = wasmtime::Module::new(&engine, module).expect("a module");
            assert!(linker.instantiate_pre(&module).is_err(), "{name}");
        }
        let named = import::ORIGINAL.len() + import::ADDITIONS.len();
        assert_eq!(named, IMPORTS.len());
    }

    #[test]
    fn a_good_module_passes() {
        let bytes = importing(IMPORTS);
        let outline = module::check(&bytes, &ModuleLimits::default()).expect("it is valid");
        outline
            .check_interface("handle_request")
            .expect("it is good");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let rest = "(memory (export \"memory\") 1) (func (export \"handle_request\"))";
        let import = |import: &str| refused(&format!("(module {import} {rest})"));
        let unknown = import("(import \"wasi\" \"fd_write\" (func))");
        assert_eq!(
            unknown,
            "import wasi.fd_write: the host has no such function"
        );
        let wrong = import("(import \"env\" \"cache_get\" (func (param i64) (result i32)))");
        assert!(
            wrong.contains("env.cache_get: it is (i32, i32) -> i32"),
            "{wrong}"
        );
        let no_function = import("(import \"env\" \"log\" (global i32))");
        assert!(no_function.contains("something else"), "{no_function}");
        let entry = refused("(module (memory (export \"memory\") 1))");
        assert!(entry.contains("handle_request"), "{entry}");
        let memory =
            refused("(module (func (export \"memory\")) (func (export \"handle_request\")))");
        assert!(memory.contains("it must be a memory"), "{memory}");
        let entry = "(module (memory (export \"memory\") 1) (func (export \"handle_request\") (param i32)))";
        assert!(refused(entry).contains("() -> i32"));
    }
}
