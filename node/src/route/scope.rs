//! The routes of one host, by path.

use std::{collections::HashMap, iter};

use regex::Regex;

use super::{PathPattern, prefixes::Prefixes, table::RouteId};

/// The routes of one host pattern, or those of any host.
#[derive(Debug, Default)]
pub(super) struct Scope {
    exact: HashMap<Box<str>, Vec<RouteId>>,
    /// Each expression once, in the order in which the file first has it.
    regexes: Vec<(Regex, Vec<RouteId>)>,
    prefixes: Prefixes,
}

// === impl Scope ===

impl Scope {
    /// Of routes with the same path pattern, those that come first here come first.
    pub(super) fn new<'p>(routes: impl IntoIterator<Item = (RouteId, &'p PathPattern)>) -> Self {
        let mut scope = Self::default();
        let mut regexes = HashMap::<&str, (Regex, Vec<RouteId>)>::new();
        for (route, pattern) in routes {
            match pattern {
                PathPattern::Exact(path) => {
                    let routes = scope.exact.entry(path.as_str().into()).or_default();
                    routes.push(route);
                }
                PathPattern::Regex(regex) => {
                    let same = regexes.entry(regex.as_str());
                    let (_, routes) = same.or_insert_with(|| (regex.clone(), Vec::new()));
                    routes.push(route);
                }
                PathPattern::Prefix(prefix) => scope.prefixes.insert(prefix, route),
            }
        }
        scope.regexes = regexes.into_values().collect();
        scope
            .regexes
            .sort_by_key(|(_, routes)| routes.iter().min().copied());
        scope
    }

    /// The routes whose path pattern matches, in precedence order. Exact paths and prefixes take
    /// the same time however many there are; expressions are tried one after the other.
    pub(super) fn matching(&self, path: &str) -> impl Iterator<Item = RouteId> {
        let exact = self.exact.get(path).into_iter().flatten().copied();
        let regexes = self
            .regexes
            .iter()
            .filter(move |(regex, _)| regex.is_match(path))
            .flat_map(|(_, routes)| routes.iter().copied());
        let prefixes = iter::once_with(move || self.prefixes.covering(path)).flatten();
        exact.chain(regexes).chain(prefixes)
    }
}
