//! A function: a configured module, ready to be invoked, and what governs it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::admission::Places;
use super::breaker::{Breaker, BreakerSettings};
use super::budget::Budget;
use super::complaints::Complaints;
use super::idle::{Idle, InstancePolicy};
use super::limits::Limits;
use super::module::{Sha, hex};
use super::policy::FailurePolicy;
use super::pool::Lane;
use super::program::Program;
use super::record::Phase;
use crate::cache::{Cache, Namespace};
use crate::egress::{AllowList, Client};

/// Which bodies a function gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyAccess {
    /// Bodies stream past it.
    #[default]
    None,
    /// The request body is buffered for it.
    Request,
    /// The body of the upstream's response is buffered for it.
    Response,
    /// Both are.
    Both,
}

impl BodyAccess {
    /// Whether the request body is buffered.
    pub fn of_request(self) -> bool {
        matches!(self, Self::Request | Self::Both)
    }

    /// Whether the response body is.
    pub fn of_response(self) -> bool {
        matches!(self, Self::Response | Self::Both)
    }
}

/// What the configuration says of a function.
#[derive(Clone, Debug)]
pub struct FunctionSettings {
    /// Its name in `[functions]`.
    pub name: String,
    /// The module file.
    pub module: PathBuf,
    /// The hash the file must have.
    pub sha256: Option<Sha>,
    /// The exported function to call.
    pub entry: String,
    /// The exported function to call when the upstream's response is there.
    pub response_entry: Option<String>,
    /// Which bodies it gets.
    pub body: BodyAccess,
    /// What a failure means.
    pub on_failure: FailurePolicy,
    /// When it is not run for a while; absent: it is always run.
    pub breaker: Option<BreakerSettings>,
    /// How many requests an instance serves.
    pub instance: InstancePolicy,
    /// Hosts it may call.
    pub egress: AllowList,
    /// Where its cache keys live.
    pub namespace: Namespace,
    /// Read by `config_get`.
    pub config: BTreeMap<String, String>,
    /// What each invocation may use.
    pub limits: Limits,
}

/// What host calls reach outside the process through.
#[derive(Clone)]
pub struct Services {
    /// The cache of all functions.
    pub cache: Cache,
    /// The HTTPS client.
    pub egress: Arc<Client>,
}

/// A function that can be invoked.
pub struct Function {
    pub(super) program: Arc<Program>,
    pub(super) on_failure: FailurePolicy,
    pub(super) governors: Governors,
    pub(super) lane: Arc<Lane>,
    /// What its invocations hold together.
    pub(super) memory: Arc<Budget>,
    pub(super) idle: Option<Idle>,
    pub(super) complaints: Complaints,
    source: Source,
}

/// What counts a function's invocations; kept over reloads that do not change it.
#[derive(Clone, Debug)]
pub(super) struct Governors {
    pub(super) places: Arc<Places>,
    pub(super) breaker: Option<Arc<Breaker>>,
    /// What the breaker has judged.
    module: Sha,
}

/// The file a function comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) sha256: Sha,
    pub(super) size: usize,
}

/// What a function gets from the runtime.
pub(super) struct Share {
    pub(super) governors: Governors,
    pub(super) lane: Arc<Lane>,
    pub(super) memory: Arc<Budget>,
}

impl Function {
    pub(super) fn new(
        program: Program,
        on_failure: FailurePolicy,
        instance: InstancePolicy,
        share: Share,
        source: Source,
    ) -> Self {
        Self {
            idle: Idle::new(instance, &program.limits),
            program: Arc::new(program),
            on_failure,
            governors: share.governors,
            lane: share.lane,
            memory: share.memory,
            complaints: Complaints::default(),
            source,
        }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// What each invocation may use.
    pub fn limits(&self) -> &Limits {
        &self.program.limits
    }

    /// Whether it has an entry for this phase.
    pub(super) fn runs_in(&self, phase: Phase) -> bool {
        phase == Phase::Request || self.program.exports.response_entry.is_some()
    }

    /// SHA-256 of the module file, in hexadecimal.
    pub fn sha256(&self) -> String {
        hex(&self.source.sha256)
    }

    /// Content hash of the module file.
    pub(super) fn digest(&self) -> &Sha {
        &self.source.sha256
    }

    /// Bytes of the module file.
    pub fn size(&self) -> usize {
        self.source.size
    }

    /// It serves no longer: what it keeps between requests is given back, though requests
    /// under way may hold it for long.
    pub fn retire(&self) {
        if let Some(idle) = &self.idle {
            idle.close();
        }
    }

    /// Names of what the module imports, in its order.
    pub fn imports(&self) -> Vec<String> {
        let module = self.program.pre.module();
        module
            .imports()
            .map(|import| import.name().to_owned())
            .collect()
    }
}

impl Governors {
    /// Those of a function that serves already, as far as they are still as wanted.
    pub(super) fn new(
        serving: Option<&Self>,
        (module, max_in_flight): (Sha, usize),
        breaker: Option<BreakerSettings>,
    ) -> Self {
        let places = serving
            .map(|serving| &serving.places)
            .filter(|places| places.count() == max_in_flight);
        let same = serving
            .filter(|serving| serving.module == module)
            .and_then(|serving| serving.breaker.as_ref())
            .filter(|serving| Some(*serving.settings()) == breaker);
        Self {
            places: places.map_or_else(|| Arc::new(Places::new(max_in_flight)), Arc::clone),
            breaker: same.cloned().or_else(|| breaker.map(Breaker::new)),
            module,
        }
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name())
            .field("sha256", &self.sha256())
            .finish_non_exhaustive()
    }
}
