//! `aegis check`: everything a start would find, without serving.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use tokio::runtime::Builder;

use super::build::{self, Built};
use super::listing;
use crate::config::{self, Config, Problem};
use crate::edge::Compiler;

/// Prints every problem of the file and its modules. The exit code is 0 for a good file,
/// else 1.
pub fn check(path: &Path) -> ExitCode {
    report(path, &|_, _| String::new())
}

/// Like [`check`]; of a good file it also lists routes and modules.
pub fn check_and_list(path: &Path) -> ExitCode {
    report(path, &listing::listing)
}

fn report(path: &Path, listing: &dyn Fn(&Config, &Built) -> String) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let (text, code) = match examine(path) {
        Ok((config, built)) => {
            let list = listing(&config, &built);
            (
                format!("{list}{}: good\n", path.display()),
                ExitCode::SUCCESS,
            )
        }
        Err(lines) => (lines, ExitCode::FAILURE),
    };
    // A reader that has seen enough is no reason to fail.
    out.write_all(text.as_bytes()).ok();
    code
}

fn examine(path: &Path) -> Result<(Config, Built), String> {
    let at = |line: &dyn std::fmt::Display| format!("{}: {line}\n", path.display());
    let mut parsed = config::load(path).map_err(|error| at(&error))?;
    // Looking must leave nothing behind, least of all files of another user.
    parsed.config.edge.cache_dir = None;
    let compiler = Compiler::launcher();
    // Nobody drives it, so nothing that is started on it runs: looking reaches out to nobody.
    let io = Builder::new_current_thread().enable_all().build();
    let io = io.map_err(|error| at(&error))?;
    let built = build::build(&parsed.config, None, io.handle(), &compiler);
    io.shutdown_background();
    match (parsed.problems.is_empty(), built) {
        (true, Ok(built)) => Ok((parsed.config, built)),
        (_, built) => {
            let later = built.err().unwrap_or_default();
            Err(sorted(parsed.problems, later)
                .iter()
                .map(|problem| at(problem))
                .collect())
        }
    }
}

/// Problems of both stages in the order of the file.
pub(super) fn sorted(mut problems: Vec<Problem>, later: Vec<Problem>) -> Vec<Problem> {
    problems.extend(later);
    problems.sort_by_key(|problem| problem.line);
    problems
}
