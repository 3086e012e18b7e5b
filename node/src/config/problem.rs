//! What is wrong with a file.

use std::fmt;

/// One thing wrong with the configuration: where it is, what is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The TOML path, such as `functions.rates.limits.fuel` or `routes[2].path_prefix`.
    pub path: String,
    /// The line in the file; the first is 1.
    pub line: usize,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What would be accepted.
    pub remedy: String,
}

// === impl Problem ===

/// One line: `PATH (line N): MESSAGE; REMEDY`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            message,
            remedy,
        } = self;
        write!(f, "{path} (line {line}): {message}; {remedy}")
    }
}
