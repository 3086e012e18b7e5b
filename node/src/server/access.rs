//! What access rules of routes need besides their settings, and what of it outlives a reload.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::{self, Cache, StoreSettings};
use crate::config::{Config, Problem, Route};
use crate::proxy::{Counters, Counting, InFlight, Ledger, RateLimit};

/// What this node remembers of clients, in bytes: a rate takes about 300. Past it the addresses
/// that were not seen for longest are forgotten; what functions keep is elsewhere.
const MEMORY: u64 = 32 * 1024 * 1024;

/// The part of a store in which rate limits of routes are counted.
const LIMITS: &str = "@limits";

/// Counts and memories of all routes.
pub(super) struct Access {
    memory: Cache,
    /// By the route's name.
    in_flight: BTreeMap<String, Arc<InFlight>>,
}

impl Access {
    /// What these routes need, going on with what is counted already.
    pub(super) fn build(
        config: &Config,
        previous: Option<&Self>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let memory = match previous {
            Some(previous) => previous.memory.clone(),
            None => memory(config, problems)?,
        };
        let counted = |route: &&Route| route.rules.max_in_flight.is_some();
        let in_flight = config.routes.iter().filter(counted).map(|route| {
            let old = previous.and_then(|previous| previous.in_flight.get(&route.name));
            let counter = old.map_or_else(Arc::default, Arc::clone);
            (route.name.clone(), counter)
        });
        Some(Self {
            in_flight: in_flight.collect(),
            memory,
        })
    }

    /// The places of a route, if these are limited.
    pub(super) fn in_flight(&self, route: &Route) -> Option<(usize, Arc<InFlight>)> {
        let limit = route.rules.max_in_flight?;
        Some((limit, Arc::clone(self.in_flight.get(&route.name)?)))
    }

    /// The rate limit of a route, if it has one; `cache` is the store that nodes may share.
    pub(super) fn rate_limit(&self, route: &Route, cache: &Cache) -> Option<RateLimit> {
        let settings = route.rules.rate_limit.clone()?;
        let is_shared = settings.per == Counting::Shared;
        let counters = Counters {
            own: Ledger::new(self.memory.clone(), LIMITS),
            shared: is_shared.then(|| Ledger::new(cache.clone(), LIMITS)),
        };
        Some(RateLimit::new(&route.name, settings, counters))
    }
}

fn memory(config: &Config, problems: &mut Vec<Problem>) -> Option<Cache> {
    let settings = cache::Settings {
        store: StoreSettings::Embedded {
            capacity: MEMORY,
            namespace_capacity: MEMORY,
        },
        default_ttl: Duration::from_secs(60),
        ..cache::Settings::default()
    };
    Cache::new(&settings)
        .inspect_err(|error| problems.push(config.problem("routes", error, "report this")))
        .ok()
}
