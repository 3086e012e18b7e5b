//! The functions of a route, run in order until one answers or fails.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::budget::Hold;
use super::edits::{Edits, RequestEdits};
use super::error::Fault;
use super::function::Function;
use super::guest::Call;
use super::invocation::{Failure, Success, invoke};
use super::policy::{FailurePolicy, OnFailure};
use super::record::{Phase, Record, RecordOutcome, Report};
use super::request::{Forwarded, Request};
use super::response::Response;
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
    /// The request goes to an upstream, or what is in its place.
    ToUpstream,
    /// Nothing: the functions must answer.
    Nowhere,
}

/// What became of a request in its chain.
#[derive(Debug)]
pub enum Outcome {
    /// This is the answer: its status, and body, with the header edits on no headers.
    Respond(Answer),
    /// On to the upstream.
    Forward(Forwarded),
    /// A function failed and may not be bypassed.
    Fail(Fault),
    /// A limit on what runs at once is reached.
    Overloaded,
}

/// What became of a response in the chain of its request.
#[derive(Debug, PartialEq, Eq)]
pub enum ResponseOutcome {
    /// On to the client, with these edits.
    Pass(Edits),
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
        let asks = |function: &&Arc<Function>| function.program.body.of_request();
        let asking = self.functions().filter(asks);
        asking.map(|function| function.limits().body_size).min()
    }

    /// Whether a function runs when the upstream's response is there.
    pub fn has_response_phase(&self) -> bool {
        self.links.iter().any(Link::runs_on_response)
    }

    /// Largest response body that each function of the response phase takes; `None` when none
    /// asks for it.
    pub fn response_body_limit(&self) -> Option<usize> {
        let links = self.links.iter().filter(|link| link.runs_on_response());
        let functions = links.flat_map(Link::functions);
        let asks = |function: &&Arc<Function>| {
            function.runs_in(Phase::Response) && function.program.body.of_response()
        };
        let asking = functions.filter(asks);
        asking.map(|function| function.limits().body_size).min()
    }

    fn functions(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.links.iter().flat_map(Link::functions)
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
        let mut request_edits = RequestEdits::default();
        let mut yielded = None;
        let mut call = Call {
            request: Arc::clone(request),
            response: None,
        };
        for link in &self.links {
            match self.step(link, &call, hold, records).await {
                Step::Done(success) => {
                    edits.merge(success.edits);
                    if success.terminated {
                        return respond(edits, None);
                    }
                    request_edits.merge(success.request_edits);
                    call.request = success.request;
                    yielded = success.yielded;
                }
                Step::Bypass(_) => yielded = None,
                Step::Fail(fault) => return Outcome::Fail(fault),
                Step::Overloaded => return Outcome::Overloaded,
            }
        }
        match self.forwards {
            Forwards::ToUpstream => Outcome::Forward(Forwarded {
                request: call.request,
                request_edits,
                edits,
            }),
            Forwards::Nowhere => respond(edits, yielded),
        }
    }

    /// Runs the functions that want to see the response, the last of the chain first, as
    /// [`Chain::run`] does. `request` is what was forwarded; `response` has the edits of the
    /// request phase already. Each function sees the edits of those before it; a function
    /// without a response entry is passed over, and so is a fallback without one.
    pub async fn respond_phase(
        &self,
        request: &Arc<Request>,
        response: Response,
        hold: &Hold,
        records: &mut Vec<Record>,
    ) -> ResponseOutcome {
        let mut edits = Edits::default();
        let mut response = Arc::new(response);
        for link in self.links.iter().rev().filter(|l| l.runs_on_response()) {
            let call = Call {
                request: Arc::clone(request),
                response: Some(Arc::clone(&response)),
            };
            match self.step(link, &call, hold, records).await {
                Step::Done(success) => {
                    drop(call);
                    Arc::make_mut(&mut response).apply(&success.edits);
                    edits.merge(success.edits);
                }
                Step::Bypass(_) => {}
                Step::Fail(fault) => return ResponseOutcome::Fail(fault),
                Step::Overloaded => return ResponseOutcome::Overloaded,
            }
        }
        ResponseOutcome::Pass(edits)
    }

    /// One function, or its fallback if it failed.
    async fn step(&self, link: &Link, call: &Call, hold: &Hold, records: &mut Vec<Record>) -> Step {
        let step = self.try_function(&link.function, call, hold, records);
        match (step.await, &link.fallback) {
            (Step::Fail(_), Some(fallback)) if fallback.runs_in(call.phase()) => {
                self.try_function(fallback, call, hold, records).await
            }
            (step, _) => step,
        }
    }

    async fn try_function(
        &self,
        function: &Arc<Function>,
        call: &Call,
        hold: &Hold,
        records: &mut Vec<Record>,
    ) -> Step {
        let mut report = Report::new(records, function, call.phase());
        let result = invoke(&self.runtime, function, call, &mut report).await;
        if let Ok(success) = &result {
            hold.absorb(&success.charge);
        }
        let step = Step::of(result, &function.on_failure);
        report.end(step.record(call.phase()));
        step
    }
}

impl Link {
    fn functions(&self) -> impl Iterator<Item = &Arc<Function>> {
        std::iter::once(&self.function).chain(&self.fallback)
    }

    fn runs_on_response(&self) -> bool {
        self.function.runs_in(Phase::Response)
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
    Done(Box<Success>),
    Fail(Fault),
    Bypass(Fault),
    Overloaded,
}

impl Step {
    fn of(result: Result<Success, Failure>, on_failure: &FailurePolicy) -> Self {
        match result {
            Ok(success) => Self::Done(Box::new(success)),
            Err(Failure::Fault(fault)) => match on_failure.of(fault) {
                OnFailure::Fail => Self::Fail(fault),
                OnFailure::Bypass => Self::Bypass(fault),
            },
            // Never bypassed: a flood must not switch off a function that guards a route.
            Err(Failure::Overloaded) => Self::Overloaded,
        }
    }

    fn record(&self, phase: Phase) -> RecordOutcome {
        match self {
            Self::Done(_) if phase == Phase::Response => RecordOutcome::Pass,
            Self::Done(success) if success.terminated => RecordOutcome::Respond,
            Self::Done(_) => RecordOutcome::Forward,
            Self::Fail(fault) => RecordOutcome::Fail(*fault),
            Self::Bypass(fault) => RecordOutcome::Bypass(*fault),
            Self::Overloaded => RecordOutcome::Overloaded,
        }
    }
}
