//! All routes, compiled for lookup.

use http::Method;

use super::{Criteria, Lookup, Request, host::RequestHost, hosts::Hosts, precedence::FirstUses};
use crate::scheme::Scheme;

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
    http: Hosts,
    https: Hosts,
    any_scheme: Hosts,
}

// === impl Table ===

impl<T> Table<T> {
    /// Compiles routes given in file order.
    pub fn new(routes: impl IntoIterator<Item = (Criteria, T)>) -> Self {
        let routes = Vec::from_iter(routes);
        let criteria = Vec::from_iter(routes.iter().map(|(criteria, _)| criteria));
        let hosts = |scheme| Hosts::new(&criteria, scheme);
        Self {
            http: hosts(Some(Scheme::Http)),
            https: hosts(Some(Scheme::Https)),
            any_scheme: hosts(None),
            routes,
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
        let own = match request.scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        [own, &self.any_scheme]
            .into_iter()
            .flat_map(move |hosts| hosts.scopes(host))
            .flat_map(|scope| scope.matching(request.path))
            .map(|id| {
                let (criteria, target) = &self.routes[id];
                (criteria, target)
            })
            .filter(|(criteria, _)| criteria.agrees_with(request.headers))
    }
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
