//! The configuration file: text in, types that cannot be wrong out, and every problem of the file
//! at once, each with its TOML path, its line and what would be accepted.
//!
//! The document is read through `section::Section` and not through serde, which stops at its
//! first error: here each key that is wrong is reported and takes its default, so that reading goes
//! on. A problem is reported where it is and not again where it shows.

use std::{
    collections::BTreeMap,
    fmt::Display,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

mod answer;
mod cache;
mod context;
mod criteria;
mod edge;
mod egress;
mod environment;
mod failure;
mod file;
mod files;
mod function;
mod headers;
mod health;
mod hsts;
mod limits;
mod listener;
mod name;
mod nearest;
mod networks;
mod paths;
mod places;
mod problem;
mod quantity;
mod route;
mod section;
mod server;
mod statement;
mod syntax;
#[cfg(test)]
mod tests;
mod upstream;
mod value;

pub use answer::Answer;
pub use file::ReadError;
pub use function::Function;
pub use hsts::Hsts;
pub use listener::Listener;
pub use paths::PathUse;
pub use problem::Problem;
pub use route::{LoginSettings, Route, Rules, UserList};
pub use server::Server;

use context::{Context, Document, Spot};
use function::Bounds;
use places::{Lines, Places};
use route::Targets;
use section::Section;

/// A configuration. Without problems it is what the file says; with problems it is what could be
/// made of the rest, good for looking for further problems and nothing else.
#[derive(Debug)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[[listeners]]`, at least one.
    pub listeners: Vec<Listener>,
    /// `[upstreams.NAME]`.
    pub upstreams: BTreeMap<String, crate::upstream::Settings>,
    /// `[cache]`.
    pub cache: crate::cache::Settings,
    /// `[egress]`.
    pub egress: crate::egress::Settings,
    /// `[edge]`.
    pub edge: crate::edge::Settings,
    /// `[functions.NAME]`.
    pub functions: BTreeMap<String, Function>,
    /// `[[routes]]`, in the order of the file.
    pub routes: Vec<Route>,
    places: Places,
}

/// What was read, and what is wrong with it.
#[derive(Debug)]
pub struct Parsed {
    /// Broken parts have their defaults or are left out.
    pub config: Config,
    /// In the order of the file; empty for a good one.
    pub problems: Vec<Problem>,
}

/// Reads the file at `path`. Relative paths in it start from its folder, variables come from the
/// environment of the process.
///
/// # Errors
///
/// When there is no text to look for problems in.
pub fn load(path: &Path) -> Result<Parsed, ReadError> {
    let text = file::read(path)?;
    let base = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    Ok(parse(&text, &base, &|name| std::env::var(name).ok()))
}

/// Reads a text. Relative paths in it start from `base`, variables come from `env`.
pub fn parse(text: &str, base: &Path, env: &dyn Fn(&str) -> Option<String>) -> Parsed {
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (sound, errors) = syntax::repair(text);
    let (document, _) = DeTable::parse_recoverable(&sound);
    let lines = Lines::new(text);
    let completeness = match errors.is_empty() {
        true => Document::Whole,
        false => Document::Partial,
    };
    let context = Context::new(base, env, &lines, completeness);
    for error in errors {
        let (path, offset) = (error.path, error.offset);
        context.wrong(&Spot { path, offset }, error.message, error.remedy);
    }
    let top = Spot {
        path: String::new(),
        offset: 0,
    };
    let mut root = Section::new(&context, top, Some(document.get_ref()));
    let places = Places::new(document.get_ref(), &lines);
    let config = read(&mut root, places);
    root.refuse_unknown();
    Parsed {
        config,
        problems: context.into_problems(),
    }
}

/// What later sections may have depends on earlier ones, so the order counts.
fn read(root: &mut Section<'_>, places: Places) -> Config {
    let server = root.table("server", server::read);
    let listeners = listener::read(root);
    let upstreams = upstream::read(root);
    let cache = root.table("cache", cache::read);
    let egress = root.table("egress", egress::read);
    let edge = root.table("edge", edge::read);
    // Nothing is held against a section that has problems of its own.
    let sound = |key| root.context.is_sound(key) && !root.misspells(key);
    let bounds = Bounds {
        memory: if sound("edge") {
            edge.memory
        } else {
            usize::MAX
        },
        allow: sound("egress").then_some(&egress.allow),
    };
    let cache_is_sound = sound("cache");
    let functions = function::read(root, &bounds);
    let targets = Targets {
        functions: &functions,
        upstreams: &upstreams,
        function_names: root.names_in("functions"),
        upstream_names: root.names_in("upstreams"),
        cache: cache_is_sound.then_some(&cache),
    };
    let routes = route::read(root, &targets);
    Config {
        server,
        listeners,
        upstreams,
        cache,
        egress,
        edge,
        functions,
        routes,
        places,
    }
}

// === impl Config ===

impl Config {
    /// A problem found later, such as a module that does not compile: with the line of `path`, or
    /// of its nearest parent in the file.
    pub fn problem(&self, path: &str, message: impl Display, remedy: &str) -> Problem {
        Problem {
            path: path.to_owned(),
            line: self.places.line(path),
            message: message.to_string(),
            remedy: remedy.to_owned(),
        }
    }
}
