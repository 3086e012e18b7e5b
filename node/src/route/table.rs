//! All routes, compiled for lookup.

use std::{collections::HashMap, iter};

use http::Method;

use super::{
    Criteria, HostPattern, Lookup, Request,
    host::RequestHost,
    precedence::{FirstUses, TieBreak},
    scope::Scope,
};

/// A route's position in the file.
pub(super) type RouteId = usize;

/// The routes of a configuration, compiled once and never changed.
///
/// A lookup takes about the same time however many hosts, exact paths and prefixes there are. It
/// tries one after the other only what cannot be told apart by host and path: a host's regular
/// expressions, and routes of the same host and path that differ in methods or headers.
#[derive(Debug)]
pub struct Table<T> {
    /// In file order.
    routes: Vec<(Criteria, T)>,
    exact: HashMap<Box<[u8]>, Scope>,
    /// By the part after `*.`.
    wildcard: HashMap<Box<[u8]>, Scope>,
    any: Scope,
}

// === impl Table ===

impl<T> Table<T> {
    /// Compiles routes given in file order.
    pub fn new(routes: impl IntoIterator<Item = (Criteria, T)>) -> Self {
        let routes = Vec::from_iter(routes);
        let (mut exact, mut wildcard, mut any) = Default::default();
        for (host, ids) in by_host(&routes) {
            let scope = Scope::new(ids.into_iter().map(|id| (id, &routes[id].0.path)));
            match host {
                Some(HostPattern::Exact(name)) => insert(&mut exact, name.as_str(), scope),
                Some(HostPattern::Wildcard(name)) => insert(&mut wildcard, name.as_str(), scope),
                None => any = scope,
            }
        }
        Self {
            routes,
            exact,
            wildcard,
            any,
        }
    }

    /// The route that takes precedence among all that match. Allocates only to list the methods of
    /// [`Lookup::MethodNotAllowed`] (and what the `regex` crate keeps for each thread).
    pub fn find<'t>(&'t self, request: &Request<'_>) -> Lookup<'t, T> {
        let host = request.host.and_then(RequestHost::parse);
        let mut refused_method = false;
        for (criteria, target) in self.matching_but_for_method(host.as_ref(), request) {
            if criteria.allows(request.method) {
                return Lookup::Found(target);
            }
            refused_method = true;
        }
        if !refused_method {
            return Lookup::NotFound;
        }
        let refusing = self.matching_but_for_method(host.as_ref(), request);
        Lookup::MethodNotAllowed(methods_of(refusing.map(|(criteria, _)| criteria)))
    }

    /// Every route once, in precedence order, ranked by its most specific host.
    pub fn in_precedence(&self) -> Vec<(&Criteria, &T)> {
        let mut first_uses = FirstUses::default();
        let mut ranked: Vec<_> = self
            .routes
            .iter()
            .enumerate()
            .map(|(id, (criteria, target))| (first_uses.rank(criteria, id), criteria, target))
            .collect();
        ranked.sort_by(|(left, ..), (right, ..)| left.cmp(right));
        ranked
            .into_iter()
            .map(|(_, criteria, target)| (criteria, target))
            .collect()
    }

    /// In precedence order, without regard to methods. A route with several hosts may come again.
    fn matching_but_for_method<'t>(
        &'t self,
        host: Option<&RequestHost>,
        request: &Request<'_>,
    ) -> impl Iterator<Item = (&'t Criteria, &'t T)> {
        self.scopes(host)
            .flat_map(|scope| scope.matching(request.path))
            .map(|id| {
                let (criteria, target) = &self.routes[id];
                (criteria, target)
            })
            .filter(|(criteria, _)| criteria.agrees_with(request.headers))
    }

    /// From the most specific host that matches to the least.
    fn scopes<'t>(&'t self, host: Option<&RequestHost>) -> impl Iterator<Item = &'t Scope> {
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
fn by_host<T>(routes: &[(Criteria, T)]) -> HashMap<Option<&HostPattern>, Vec<RouteId>> {
    let mut order = Vec::from_iter(0..routes.len());
    order.sort_by_key(|&id| TieBreak::new(&routes[id].0, id));

    let mut by_host = HashMap::<_, Vec<_>>::new();
    for id in order {
        let hosts = &routes[id].0.hosts;
        for host in hosts {
            by_host.entry(Some(host)).or_default().push(id);
        }
        if hosts.is_empty() {
            by_host.entry(None).or_default().push(id);
        }
    }
    by_host
}

fn methods_of<'c>(routes: impl Iterator<Item = &'c Criteria>) -> Vec<Method> {
    let mut methods: Vec<_> = routes.flat_map(|route| route.methods.clone()).collect();
    methods.sort_by(|left, right| left.as_str().cmp(right.as_str()));
    methods.dedup();
    methods
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
