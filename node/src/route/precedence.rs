//! The order of routes among each other.

use std::{cmp::Reverse, collections::HashMap};

use super::{Criteria, HostPattern, PathPattern, table::RouteId};
use crate::scheme::Scheme;

/// How routes with the same host and path rank: the lesser takes precedence.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TieBreak {
    any_method: bool,
    headers: Reverse<usize>,
    route: RouteId,
}

/// How a route ranks among all others by its most specific host: the lesser takes precedence.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    any_scheme: bool,
    host: HostRank,
    path: PathRank,
    tie_break: TieBreak,
}

/// For each scheme and host, the first route that has an expression: the same expression is the same path.
#[derive(Debug, Default)]
pub(super) struct FirstUses<'c>(HashMap<FirstUse<'c>, RouteId>);

/// Scheme, host and expression.
type FirstUse<'c> = (Option<Scheme>, Option<&'c HostPattern>, &'c str);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HostRank {
    Exact,
    Wildcard(Reverse<usize>),
    Any,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    Exact,
    Regex(RouteId),
    Prefix(Reverse<usize>),
}

// === impl TieBreak ===

impl TieBreak {
    pub(super) fn new(criteria: &Criteria, route: RouteId) -> Self {
        Self {
            any_method: criteria.methods.is_empty(),
            headers: Reverse(criteria.headers.len()),
            route,
        }
    }
}

// === impl FirstUses ===

impl<'c> FirstUses<'c> {
    /// Ranks a route; routes are to be given in file order.
    pub(super) fn rank(&mut self, criteria: &'c Criteria, route: RouteId) -> Rank {
        let host = criteria
            .hosts
            .iter()
            .min_by_key(|host| host_rank(Some(host)));
        Rank {
            any_scheme: criteria.scheme.is_none(),
            host: host_rank(host),
            path: match &criteria.path {
                PathPattern::Exact(_) => PathRank::Exact,
                PathPattern::Regex(regex) => {
                    let first = self
                        .0
                        .entry((criteria.scheme, host, regex.as_str()))
                        .or_insert(route);
                    PathRank::Regex(*first)
                }
                PathPattern::Prefix(prefix) => PathRank::Prefix(Reverse(prefix.as_str().len())),
            },
            tie_break: TieBreak::new(criteria, route),
        }
    }
}

fn host_rank(host: Option<&HostPattern>) -> HostRank {
    match host {
        Some(HostPattern::Exact(_)) => HostRank::Exact,
        Some(HostPattern::Wildcard(name)) => HostRank::Wildcard(Reverse(name.as_str().len())),
        None => HostRank::Any,
    }
}
