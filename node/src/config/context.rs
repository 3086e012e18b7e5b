//! What every part of a reading shares: where things are, the environment, and what was found.

use std::{cell::RefCell, fmt::Display, path::Path};

use super::{Problem, environment::Environment, places::Lines};

/// One reading of one file.
pub(super) struct Context<'a> {
    /// The folder relative paths start from.
    pub(super) base: &'a Path,
    pub(super) environment: Environment<'a>,
    lines: &'a Lines,
    document: Document,
    found: RefCell<Vec<Found>>,
}

/// Whether all of the file could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    Whole,
    /// Parts are missing because of syntax errors, so nothing can be said about what is not there.
    Partial,
}

/// A place in the file, by TOML path and byte offset.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) path: String,
    pub(super) offset: usize,
}

struct Found {
    offset: usize,
    problem: Problem,
}

// === impl Context ===

impl<'a> Context<'a> {
    pub(super) fn new(
        base: &'a Path,
        environment: Environment<'a>,
        lines: &'a Lines,
        document: Document,
    ) -> Self {
        Self {
            base,
            environment,
            lines,
            document,
            found: RefCell::default(),
        }
    }

    /// Something is wrong at `spot`.
    pub(super) fn wrong(&self, spot: &Spot, message: impl Display, remedy: impl Display) {
        let problem = Problem {
            path: spot.path.clone(),
            line: self.lines.of(spot.offset),
            message: one_line(&message.to_string()),
            remedy: one_line(&remedy.to_string()),
        };
        self.found.borrow_mut().push(Found {
            offset: spot.offset,
            problem,
        });
    }

    /// Something is not there that `spot` needs. It may well be in the part of the file that could
    /// not be read, which has its own problem.
    pub(super) fn lacks(&self, spot: &Spot, message: impl Display, remedy: impl Display) {
        if self.document == Document::Whole {
            self.wrong(spot, message, remedy);
        }
    }

    /// Whether nothing is wrong at `path` so far, nor below it.
    pub(super) fn is_sound(&self, path: &str) -> bool {
        let below = |found: &Found| {
            let rest = found.problem.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        !self.found.borrow().iter().any(below)
    }

    /// Everything found, in the order of the file.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|found| found.offset);
        found.into_iter().map(|found| found.problem).collect()
    }
}

/// Errors of other crates may have several lines and contain any character; a problem is one line.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            _ if character.is_control() => line.extend(character.escape_default()),
            _ => line.push(character),
        }
    }
    line
}
