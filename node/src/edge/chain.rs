//! The functions of a route, run in order until one answers or fails.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::budget::Hold;
use super::edits::Edits;
use super::error::Fault;
use super::function::{BodyAccess, Function, OnFailure};
use super::invocation::{Failure, Spent, Success, invoke};
use super::request::Request;
use super::runtime::Runtime;

/// The functions of one route.
#[derive(Clone, Debug)]
pub struct Chain {
    runtime: Arc<Runtime>,
    functions: Vec<Arc<Function>>,
    /// Whether there is an upstream to forward to after the last function.
    forwards: Forwards,
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

/// One invocation of the chain, for the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The function's name.
    pub function: Arc<str>,
    /// How it ended.
    pub outcome: RecordOutcome,
    /// What it used.
    pub spent: Spent,
}

/// How one invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It answered.
    Respond,
    /// The request went on.
    Forward,
    /// It failed, and so did the request.
    Fail(Fault),
    /// It failed and was passed over.
    Bypass(Fault),
    /// It was not run.
    Overloaded,
}

impl Chain {
    /// A chain over `functions`, in the order in which they run.
    pub fn new(runtime: Arc<Runtime>, functions: Vec<Arc<Function>>, forwards: Forwards) -> Self {
        Self {
            runtime,
            functions,
            forwards,
        }
    }

    /// Names of its functions, in the order in which they run.
    pub fn names(&self) -> Vec<&str> {
        self.functions
            .iter()
            .map(|function| function.name())
            .collect()
    }

    /// An account for what is held for these functions outside of them.
    pub fn hold(&self) -> Hold {
        Hold::new(Arc::clone(&self.runtime.budget))
    }

    /// Largest body that each of its functions takes; `None` when none asks for it.
    pub fn body_limit(&self) -> Option<usize> {
        self.functions
            .iter()
            .filter(|function| function.body == BodyAccess::Request)
            .map(|function| function.limits.body_size)
            .min()
    }

    /// Runs the functions, pushing one record for each that was tried.
    pub async fn run(&self, request: &Arc<Request>, records: &mut Vec<Record>) -> Outcome {
        let mut edits = Edits::default();
        let mut yielded = None;
        for function in &self.functions {
            let (result, spent) = invoke(&self.runtime, function, request).await;
            let step = Step::of(result, function.on_failure);
            records.push(Record {
                function: Arc::clone(&function.name),
                outcome: step.record(),
                spent,
            });
            match step {
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
    fn of(result: Result<Success, Failure>, on_failure: OnFailure) -> Self {
        match (result, on_failure) {
            (Ok(success), _) if success.terminated => Self::Respond(success.edits),
            (Ok(success), _) => Self::Forward(success.edits, success.yielded),
            (Err(Failure::Fault(fault)), OnFailure::Fail) => Self::Fail(fault),
            (Err(Failure::Fault(fault)), OnFailure::Bypass) => Self::Bypass(fault),
            // Never bypassed: a flood must not switch off a function that guards a route.
            (Err(Failure::Overloaded), _) => Self::Overloaded,
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
