//! The routes of one scheme, or those of any, by host.

use std::{collections::HashMap, iter};

use super::{
    Criteria, HostPattern, host::RequestHost, precedence::TieBreak, scope::Scope, table::RouteId,
};
use crate::scheme::Scheme;

/// Routes by the host they are for.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: HashMap<Box<[u8]>, Scope>,
    /// By the part after `*.`.
    wildcard: HashMap<Box<[u8]>, Scope>,
    any: Scope,
}

// === impl Hosts ===

impl Hosts {
    /// Those of `routes` that name `scheme`, or name none.
    pub(super) fn new(routes: &[&Criteria], scheme: Option<Scheme>) -> Self {
        let mut hosts = Self::default();
        for (host, ids) in by_host(routes, scheme) {
            let scope = Scope::new(ids.into_iter().map(|id| (id, &routes[id].path)));
            match host {
                Some(HostPattern::Exact(name)) => insert(&mut hosts.exact, name.as_str(), scope),
                Some(HostPattern::Wildcard(name)) => {
                    insert(&mut hosts.wildcard, name.as_str(), scope);
                }
                None => hosts.any = scope,
            }
        }
        hosts
    }

    /// From the most specific host that matches to the least.
    pub(super) fn scopes<'t>(
        &'t self,
        host: Option<&RequestHost>,
    ) -> impl Iterator<Item = &'t Scope> {
        let exact = host.and_then(|host| self.exact.get(host.as_bytes()));
        let wildcard = host
            .into_iter()
            .flat_map(RequestHost::parents)
            .filter_map(|parent| self.wildcard.get(parent));
        exact
            .into_iter()
            .chain(wildcard)
            .chain(iter::once(&self.any))
    }
}

fn insert(scopes: &mut HashMap<Box<[u8]>, Scope>, name: &str, scope: Scope) {
    scopes.insert(name.as_bytes().into(), scope);
}

/// The routes of each host pattern, and under `None` those of any host; each list in the order in
/// which routes with the same path are to be tried.
fn by_host<'c>(
    routes: &[&'c Criteria],
    scheme: Option<Scheme>,
) -> HashMap<Option<&'c HostPattern>, Vec<RouteId>> {
    let all = 0..routes.len();
    let mut order = Vec::from_iter(all.filter(|&id| routes[id].scheme == scheme));
    order.sort_by_key(|&id| TieBreak::new(routes[id], id));

    let mut by_host = HashMap::<_, Vec<_>>::new();
    for id in order {
        let hosts = &routes[id].hosts;
        for host in hosts {
            by_host.entry(Some(host)).or_default().push(id);
        }
        if hosts.is_empty() {
            by_host.entry(None).or_default().push(id);
        }
    }
    by_host
}
