//! From a configuration to everything that serves it.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::access::Access;
use super::functions::{self, Functions};
use super::routes::{self, Parts};
use super::sites::{self, Sites};
use super::upstreams::{self, Upstreams};
use crate::auth::Login;
use crate::cache::Cache;
use crate::coding::Places;
use crate::config::{Config, Listener, Problem};
use crate::edge::{Compiled, Compiler, Runtime, RuntimeError, Services};
use crate::egress::{self, BuildError, Client, OwnAddresses};
use crate::listener::{Arrival, Entrance, TlsProblem};
use crate::proxy::Snapshot;

/// What one configuration becomes.
pub(super) struct Built {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) resources: Resources,
    /// One for each entrance, to be changed to when all of this is to count.
    pub(super) arrivals: Vec<Arc<Arrival>>,
}

/// What a reload keeps if its settings have not changed: connections, cached entries,
/// compiled modules, threads.
pub(super) struct Resources {
    cache: Cache,
    egress: (egress::Settings, Arc<Client>),
    /// Announced when the listeners are open.
    pub(super) own: OwnAddresses,
    /// `None` without functions.
    runtime: Option<Arc<Runtime>>,
    pub(super) functions: Functions,
    pub(super) upstreams: Upstreams,
    /// One for each listener, in their order.
    pub(super) entrances: Vec<Entrance>,
    access: Access,
    sites: Sites,
    /// For bodies that are being encoded.
    places: Places,
}

/// Builds everything, starting from what is already there.
///
/// # Errors
/// Every problem found; nothing that serves is touched.
pub(super) fn build(
    config: &Config,
    previous: Option<&Resources>,
    io: &Handle,
    compiler: &Compiler,
) -> Result<Built, Vec<Problem>> {
    let _entered = io.enter();
    let mut problems = Vec::new();
    let cache = cache_client(config, previous, &mut problems);
    let own = previous.map_or_else(OwnAddresses::default, |previous| previous.own.clone());
    let egress = egress_client(config, (previous, &own), &mut problems);
    let known = previous.map(|previous| &previous.upstreams);
    let upstreams = upstreams::upstreams(config, known, &mut problems);
    let arrivals = arrivals(config, previous, &mut problems);
    let known = previous.map(|previous| &previous.access);
    let mut access = Access::build(config, known, &mut problems);
    let logins = access
        .as_mut()
        .map(|access| access.logins(config, (known, io), &mut problems));
    let known = previous.map(|previous| &previous.sites);
    let sites = sites::sites(config, known, &mut problems);
    let runtime = runtime(config, previous, (io, compiler), &mut problems);
    let services = cache.as_ref().zip(egress.as_ref());
    let functions = match (&runtime, services) {
        (Some(runtime), Some(services)) => {
            load(config, previous, (runtime, services), &mut problems)
        }
        _ => Functions::new(),
    };
    let (Some(cache), Some(egress), Some(access)) = (cache, egress, access) else {
        return Err(problems);
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let resources = Resources {
        cache,
        egress: (config.egress.clone(), egress),
        own,
        runtime,
        functions,
        upstreams,
        entrances: match previous {
            Some(previous) => previous.entrances.clone(),
            None => arrivals.iter().cloned().map(Entrance::new).collect(),
        },
        access,
        sites,
        places: previous.map_or_else(Places::default, |previous| previous.places.clone()),
    };
    Ok(Built {
        snapshot: Arc::new(snapshot(config, &resources, logins.unwrap_or_default())),
        resources,
        arrivals,
    })
}

/// What requests see of all that is there.
fn snapshot(config: &Config, resources: &Resources, logins: Vec<Option<Login>>) -> Snapshot {
    let parts = Parts {
        config,
        runtime: resources.runtime.as_ref(),
        functions: &resources.functions,
        upstreams: &resources.upstreams,
        cache: &resources.cache,
        access: &resources.access,
        sites: &resources.sites,
        places: &resources.places,
    };
    Snapshot {
        routes: routes::table(&parts, logins),
        limits: config.server.limits.clone(),
        trusted_proxies: config.server.trusted_proxies.clone(),
    }
}

/// The functions, compiled where they are not yet.
fn load(
    config: &Config,
    previous: Option<&Resources>,
    (runtime, (cache, egress)): (&Arc<Runtime>, (&Cache, &Arc<Client>)),
    problems: &mut Vec<Problem>,
) -> Functions {
    let services = Services {
        cache: cache.clone(),
        egress: Arc::clone(egress),
    };
    let mut compiled = compiled(previous, runtime);
    let loaded = functions::load(config, runtime, &services, &mut compiled, problems);
    if problems.is_empty() {
        runtime.prune(&compiled);
    }
    loaded
}

/// How connections of each listener begin. Files that are the same are not read again.
fn arrivals(
    config: &Config,
    previous: Option<&Resources>,
    problems: &mut Vec<Problem>,
) -> Vec<Arc<Arrival>> {
    let entrance = |at: usize| previous?.entrances.get(at);
    let listeners = config.listeners.iter().enumerate();
    let arrivals = listeners.filter_map(|(at, listener)| {
        let previous = entrance(at).map(Entrance::arrival);
        let arrival = Arrival::prepare(&listener.settings, previous);
        let found = |found| problems.extend(arrival_problems(config, listener, found));
        arrival.map_err(found).ok()
    });
    arrivals.collect()
}

/// What is wrong with the files of a listener, with their places in the configuration.
pub(super) fn arrival_problems(
    config: &Config,
    listener: &Listener,
    found: Vec<TlsProblem>,
) -> Vec<Problem> {
    let at = |problem: TlsProblem| {
        let path = format!("listeners[{}].{}", listener.position, problem.key);
        config.problem(&path, &problem.error, problem.error.remedy())
    };
    found.into_iter().map(at).collect()
}

/// Modules belong to their engine, so they are kept only with it.
fn compiled(previous: Option<&Resources>, runtime: &Arc<Runtime>) -> Compiled {
    match previous {
        Some(previous)
            if previous
                .runtime
                .as_ref()
                .is_some_and(|r| Arc::ptr_eq(r, runtime)) =>
        {
            Compiled::of(previous.functions.values())
        }
        _ => Compiled::default(),
    }
}

fn cache_client(
    config: &Config,
    previous: Option<&Resources>,
    problems: &mut Vec<Problem>,
) -> Option<Cache> {
    if let Some(cache) = previous.map(|previous| &previous.cache)
        && cache.suits(&config.cache)
    {
        return Some(cache.clone());
    }
    Cache::new(&config.cache)
        .inspect_err(|error| {
            let path = match error.key() {
                Some(key) => format!("cache.{key}"),
                None => "cache".to_owned(),
            };
            problems.push(config.problem(&path, error, "correct the settings of the cache"));
        })
        .ok()
}

fn egress_client(
    config: &Config,
    (previous, own): (Option<&Resources>, &OwnAddresses),
    problems: &mut Vec<Problem>,
) -> Option<Arc<Client>> {
    if let Some((settings, client)) = previous.map(|previous| &previous.egress)
        && *settings == config.egress
    {
        return Some(Arc::clone(client));
    }
    match Client::new(&config.egress, own.clone()) {
        Ok(client) => Some(Arc::new(client)),
        Err(error) => {
            problems.push(egress_problem(config, &error));
            None
        }
    }
}

fn egress_problem(config: &Config, error: &BuildError) -> Problem {
    let path = match error.key() {
        Some(key) => format!("egress.{key}"),
        None => "egress".to_owned(),
    };
    config.problem(&path, error, "correct the settings of egress")
}

fn runtime(
    config: &Config,
    previous: Option<&Resources>,
    (io, compiler): (&Handle, &Compiler),
    problems: &mut Vec<Problem>,
) -> Option<Arc<Runtime>> {
    if config.functions.is_empty() {
        return None;
    }
    let capacity = functions::capacity(config);
    if let Some(runtime) = previous.and_then(|previous| previous.runtime.as_ref())
        && runtime.suits(&config.edge, capacity)
    {
        return Some(Arc::clone(runtime));
    }
    match Runtime::start(config.edge.clone(), capacity, io, compiler.clone()) {
        Ok(runtime) => Some(Arc::new(runtime)),
        Err(error) => {
            let (path, remedy) = match error {
                RuntimeError::CacheDir { .. } => (
                    "edge.cache_dir",
                    "name a folder that only the node's user can write to",
                ),
                RuntimeError::Engine(_) | RuntimeError::Thread(_) => (
                    "edge",
                    "lower max_in_flight or the functions' memory limits",
                ),
            };
            problems.push(config.problem(path, error, remedy));
            None
        }
    }
}
