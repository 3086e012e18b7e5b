//! What access rules of routes need besides their settings, and what of it outlives a reload.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::auth::{
    BasicAuth, Jwt, KeyLocation, KeySource, KeySourceError, Login, Users, UsersError, Verifier,
};
use crate::cache::{self, Cache, StoreSettings};
use crate::config::{Config, LoginSettings, Problem, Route, UserList};
use crate::proxy::{Counters, Counting, InFlight, Ledger, RateLimit};
use crate::trust;

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
    /// There once a route has passwords.
    verifier: Option<Arc<Verifier>>,
    key_sources: KeySources,
}

type KeySources = Vec<(KeyOrigin, Arc<KeySource>)>;

/// Where keys are from: they go on being asked for in the same way while all of it is the same.
#[derive(PartialEq)]
struct KeyOrigin {
    location: KeyLocation,
    nameservers: Vec<SocketAddr>,
    /// What is in the `ca_file`.
    authorities: Option<Vec<u8>>,
}

/// Why nobody could log in.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    #[error(transparent)]
    Users(#[from] UsersError),
    #[error(transparent)]
    Keys(#[from] KeySourceError),
    #[error("cannot start a thread for passwords: {0}")]
    Thread(#[from] io::Error),
}

impl LoginError {
    /// Of the route's table: where it stands, and what to do about it.
    pub(super) fn place(&self) -> (&'static str, &'static str) {
        match self {
            Self::Users(_) => (
                "basic_auth",
                "name a file of lines NAME:HASH, as `htpasswd -B` makes them",
            ),
            Self::Keys(KeySourceError::Client(_)) => {
                ("jwt.ca_file", "name a file of certificates in PEM")
            }
            Self::Keys(_) => ("jwt.jwks_file", "name a file with the issuer's public keys"),
            Self::Thread(_) => ("basic_auth", "raise the limits of the process"),
        }
    }
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
        let mut access = Self {
            in_flight: BTreeMap::new(),
            verifier: previous.and_then(|previous| previous.verifier.clone()),
            key_sources: Vec::new(),
            memory,
        };
        let in_flight = config.routes.iter().filter(counted).map(|route| {
            let old = previous.and_then(|previous| previous.in_flight.get(&route.name));
            let counter = old.map_or_else(Arc::default, Arc::clone);
            (route.name.clone(), counter)
        });
        access.in_flight = in_flight.collect();
        Some(access)
    }

    /// How clients of each route log in, in the order of the file.
    pub(super) fn logins(
        &mut self,
        config: &Config,
        (previous, io): (Option<&Self>, &Handle),
        problems: &mut Vec<Problem>,
    ) -> Vec<Option<Login>> {
        let routes = config.routes.iter().enumerate();
        let logins = routes.map(|(position, route)| {
            self.login((config, route), previous, io)
                .unwrap_or_else(|error| {
                    let (key, remedy) = error.place();
                    let path = format!("routes[{position}].{key}");
                    problems.push(config.problem(&path, error, remedy));
                    None
                })
        });
        logins.collect()
    }

    /// How clients of a route log in, or what is wrong with the files that it names for that.
    fn login(
        &mut self,
        (config, route): (&Config, &Route),
        previous: Option<&Self>,
        io: &Handle,
    ) -> Result<Option<Login>, LoginError> {
        Ok(match &route.rules.login {
            None => None,
            Some(LoginSettings::Basic { realm, users }) => {
                let users = match users {
                    UserList::Here(users) => Users::new(users.iter().cloned())?,
                    UserList::File(file) => Users::of_file(file)?,
                };
                let verifier = self.verifier()?;
                Some(Login::Basic(BasicAuth::new(realm, users, verifier)))
            }
            Some(LoginSettings::Jwt(settings)) => {
                let keys = self.keys(&settings.keys, config, previous, io)?;
                Some(Login::Jwt(Jwt::new(settings.clone(), keys)))
            }
        })
    }

    fn verifier(&mut self) -> io::Result<Arc<Verifier>> {
        if let Some(verifier) = &self.verifier {
            return Ok(Arc::clone(verifier));
        }
        let verifier = Arc::new(Verifier::start(self.memory.clone())?);
        Ok(Arc::clone(self.verifier.insert(verifier)))
    }

    fn keys(
        &mut self,
        location: &KeyLocation,
        config: &Config,
        previous: Option<&Self>,
        io: &Handle,
    ) -> Result<Arc<KeySource>, KeySourceError> {
        let origin = KeyOrigin {
            location: location.clone(),
            nameservers: config.egress.nameservers.clone(),
            authorities: location.ca_file().and_then(|file| trust::text(file).ok()),
        };
        let known = self.key_sources.iter();
        let known = known.chain(previous.into_iter().flat_map(|p| &p.key_sources));
        // What a file says is read anew.
        let url = location.url();
        let known = known.filter(|(own, _)| url.is_some() && own.location.url() == url);
        let source = match known.clone().find(|(own, _)| *own == origin) {
            Some((_, source)) => Arc::clone(source),
            None => {
                let known = known.map(|(_, source)| &**source).next();
                KeySource::open(location, (&config.egress, io), known)?
            }
        };
        self.key_sources.push((origin, Arc::clone(&source)));
        Ok(source)
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
