//! The paths a route names.

use std::fmt;

use regex::{Regex, RegexBuilder};

use super::normal::{PathError, normalise};

/// The memory one compiled `path_regex` may take, in bytes: an expression for a path needs a few
/// KiB, while counted repetitions of Unicode classes grow without end.
const REGEX_SIZE: usize = 1 << 20;

/// The path or paths a route names. The default is the prefix `/`, which covers every path.
#[derive(Debug, Clone)]
pub enum PathPattern {
    /// This path and no other.
    Exact(NormalText),
    /// This path and everything below it: `/a` covers `/a`, `/a/` and `/a/b`, not `/ab`.
    Prefix(NormalText),
    /// Every path in which the expression is found; it is not anchored.
    Regex(Regex),
}

/// A path in normal form. Only the constructors of [`PathPattern`] make one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NormalText(Box<str>);

/// Why a text is not a [`PathPattern`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// No request ever has such a path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Requests are matched by their normal form, so this would never match.
    #[error("path is not in its normal form: write {0:?}")]
    NotNormal(String),
    /// The expression does not compile, or needs too much memory.
    #[error(transparent)]
    Regex(#[from] regex::Error),
}

// === impl PathPattern ===

impl PathPattern {
    /// The path `path` and no other.
    ///
    /// # Errors
    ///
    /// A path that no normal path of a request can equal.
    pub fn exact(path: &str) -> Result<Self, PatternError> {
        normal(path).map(Self::Exact)
    }

    /// The path `path` and everything below it. A trailing slash makes no difference, as in the
    /// Gateway API: the prefix `/a/` is the prefix `/a`.
    ///
    /// # Errors
    ///
    /// A path that no normal path of a request can equal.
    pub fn prefix(path: &str) -> Result<Self, PatternError> {
        let NormalText(text) = normal(path)?;
        Ok(Self::Prefix(match text.strip_suffix('/') {
            Some(shorter) if !shorter.is_empty() => NormalText(shorter.into()),
            _ => NormalText(text),
        }))
    }

    /// Every path in which `expression` is found. It is not anchored; matching takes linear time.
    ///
    /// # Errors
    ///
    /// What the `regex` crate refuses, and an expression whose compiled form exceeds 1 MiB.
    pub fn regex(expression: &str) -> Result<Self, PatternError> {
        Self::compile(expression).map(Self::Regex)
    }

    /// An expression for paths.
    ///
    /// # Errors
    ///
    /// Those of [`Self::regex`].
    pub fn compile(expression: &str) -> Result<Regex, PatternError> {
        let regex = RegexBuilder::new(expression)
            .size_limit(REGEX_SIZE)
            .dfa_size_limit(REGEX_SIZE)
            .build()?;
        Ok(regex)
    }

    /// The path or the expression.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(path) | Self::Prefix(path) => path.as_str(),
            Self::Regex(regex) => regex.as_str(),
        }
    }
}

impl Default for PathPattern {
    fn default() -> Self {
        Self::Prefix(NormalText("/".into()))
    }
}

/// The configuration's key, then its value.
impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match self {
            Self::Exact(_) => "path",
            Self::Prefix(_) => "path_prefix",
            Self::Regex(_) => "path_regex",
        };
        write!(f, "{key} {}", self.as_str())
    }
}

fn normal(path: &str) -> Result<NormalText, PatternError> {
    let normal = normalise(path)?.path;
    if normal == path {
        Ok(NormalText(path.into()))
    } else {
        Err(PatternError::NotNormal(normal.into_owned()))
    }
}

// === impl NormalText ===

impl NormalText {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests;
