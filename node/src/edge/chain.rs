//! The functions of a route, run in order until one answers or fails.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::budget::Hold;
use super::edits::Edits;
use super::error::Fault;
use super::function::{BodyAccess, Function};
use super::invocation::{Failure, Success, invoke};
use super::policy::{FailurePolicy, OnFailure};
use super::record::{Record, RecordOutcome, Report};
use super::request::Request;
use super::runtime::Runtime;

/// The functions of one route.
#[derive(Clone, Debug)]
pub struct Chain {
    runtime: Arc<Runtime>,
    links: Vec<Link>,
    /// Whether there is an upstream to forward to after the last function.
    forwards: Forwards,
}

/// One function of a chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// Runs first.
    pub function: Arc<Function>,
    /// Runs instead when it has failed.
    pub fallback: Option<Arc<Function>>,
}

/// What follows the last function of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwards {
    /// The request goes to an upstream.
    ToUpstream,
    /// Nothing: the functions must answer.
    Nowhere,
}

/// What became of a request in its chain.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This is the answer: its status, and body, with the header edits on no headers.
    Respond(Answer),
    /// On to the upstream; the edits are for what comes back.
    Forward(Edits),
    /// A function failed and may not be bypassed.
    Fail(Fault),
    /// A limit on what runs at once is reached.
    Overloaded,
}

/// A function's answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200..=599.
    pub status: StatusCode,
    /// To be applied to an empty header.
    pub edits: Edits,
    /// Dropped where HTTP allows no body.
    pub body: Bytes,
}

impl Chain {
    /// A chain over `links`, in the order in which they run.
    pub fn new(runtime: Arc<Runtime>, links: Vec<Link>, forwards: Forwards) -> Self {
        Self {
            runtime,
            links,
            forwards,
        }
    }

    /// Names of its functions, in the order in which they run.
    pub fn names(&self) -> Vec<&str> {
        self.links.iter().map(|link| link.function.name()).collect()
    }

    /// An account for what is held for these functions outside of them.
    pub fn hold(&self) -> Hold {
        Hold::new(Arc::clone(&self.runtime.bodies))
    }

    /// Largest body that each of its functions takes; `None` when none asks for it.
    pub fn body_limit(&self) -> Option<usize> {
        self.links
            .iter()
            .flat_map(|link| std::iter::once(&link.function).chain(&link.fallback))
            .map(|function| &function.program)
            .filter(|program| program.body == BodyAccess::Request)
            .map(|program| program.limits.body_size)
            .min()
    }

    /// Runs the functions, pushing one record for each that was tried. Dropped half-way,
    /// it cancels the one under way. What the outcome holds is accounted for in `hold`.
    pub async fn run(
        &self,
        request: &Arc<Request>,
        hold: &Hold,
        records: &mut Vec<Record>,
    ) -> Outcome {
        let mut edits = Edits::default();
        let mut yielded = None;
        for link in &self.links {
            match self.step(link, request, hold, records).await {
                Step::Respond(own) => {
                    edits.merge(own);
                    return respond(edits, None);
                }
                Step::Forward(own, data) => {
                    edits.merge(own);
                    yielded = data;
                }
                Step::Bypass(_) => yielded = None,
                Step::Fail(fault) => return Outcome::Fail(fault),
                Step::Overloaded => return Outcome::Overloaded,
            }
        }
        match self.forwards {
            Forwards::ToUpstream => Outcome::Forward(edits),
            Forwards::Nowhere => respond(edits, yielded),
        }
    }

    /// One function, or its fallback if it failed.
    async fn step(
        &self,
        link: &Link,
        request: &Arc<Request>,
        hold: &Hold,
        records: &mut Vec<Record>,
    ) -> Step {
        let step = self.try_function(&link.function, request, hold, records);
        match (step.await, &link.fallback) {
            (Step::Fail(_), Some(fallback)) => {
                self.try_function(fallback, request, hold, records).await
            }
            (step, _) => step,
        }
    }

    async fn try_function(
        &self,
        function: &Arc<Function>,
        request: &Arc<Request>,
        hold: &Hold,
        records: &mut Vec<Record>,
    ) -> Step {
        let mut report = Report::new(records, function);
        let result = invoke(&self.runtime, function, request, &mut report).await;
        if let Ok(success) = &result {
            hold.absorb(&success.charge);
        }
        let step = Step::of(result, &function.on_failure);
        report.end(step.record());
        step
    }
}

/// The body is what the chain set, else what the last function's last call yielded.
fn respond(mut edits: Edits, yielded: Option<Bytes>) -> Outcome {
    let status = edits.status.unwrap_or(StatusCode::OK);
    let body = edits.body.take().or(yielded).unwrap_or_default();
    Outcome::Respond(Answer {
        status,
        edits,
        body,
    })
}

/// What one invocation means for the chain.
enum Step {
    Respond(Edits),
    Forward(Edits, Option<Bytes>),
    Fail(Fault),
    Bypass(Fault),
    Overloaded,
}

impl Step {
    fn of(result: Result<Success, Failure>, on_failure: &FailurePolicy) -> Self {
        match result {
            Ok(success) if success.terminated => Self::Respond(success.edits),
            Ok(success) => Self::Forward(success.edits, success.yielded),
            Err(Failure::Fault(fault)) => match on_failure.of(fault) {
                OnFailure::Fail => Self::Fail(fault),
                OnFailure::Bypass => Self::Bypass(fault),
            },
            // Never bypassed: a flood must not switch off a function that guards a route.
            Err(Failure::Overloaded) => Self::Overloaded,
        }
    }

    fn record(&self) -> RecordOutcome {
        match self {
            Self::Respond(..) => RecordOutcome::Respond,
            Self::Forward(..) => RecordOutcome::Forward,
            Self::Fail(fault) => RecordOutcome::Fail(*fault),
            Self::Bypass(fault) => RecordOutcome::Bypass(*fault),
            Self::Overloaded => RecordOutcome::Overloaded,
        }
    }
}
