//! What is told of an invocation: how it ended and what it used.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::Fault;
use super::function::Function;
use super::meter::Meter;

/// One invocation of a chain, for the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The function's name.
    pub function: Arc<str>,
    /// Which of its entries ran.
    pub phase: Phase,
    /// How it ended.
    pub outcome: RecordOutcome,
    /// What it used.
    pub spent: Spent,
}

/// When a function runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Before the request is forwarded.
    #[default]
    Request,
    /// When the upstream's response is there.
    Response,
}

impl Phase {
    /// The word for it in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// How one invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It answered.
    Respond,
    /// The request went on.
    Forward,
    /// The response went on.
    Pass,
    /// It failed, and so did the request unless a fallback answered it.
    Fail(Fault),
    /// It failed and was passed over.
    Bypass(Fault),
    /// It was not run.
    Overloaded,
    /// The client left before it ended.
    Cancelled,
}

/// What an invocation used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Fuel of start section and entry.
    pub fuel: u64,
    /// Time the guest itself ran.
    pub running: Duration,
    /// From admission to the end.
    pub wall: Duration,
    /// The largest linear memory it had, in bytes.
    pub memory: usize,
    /// Calls into the host, of every kind.
    pub host_calls: u64,
    /// Time in those that wait: cache and HTTPS calls.
    pub host: Duration,
}

/// Writes the record of one invocation when dropped, so that one that is given up
/// half-way is told of too.
pub(super) struct Report<'a> {
    records: &'a mut Vec<Record>,
    function: &'a Function,
    phase: Phase,
    started: Option<(Instant, Arc<Meter>)>,
    outcome: RecordOutcome,
}

impl<'a> Report<'a> {
    pub(super) fn new(records: &'a mut Vec<Record>, function: &'a Function, phase: Phase) -> Self {
        Self {
            records,
            function,
            phase,
            started: None,
            outcome: RecordOutcome::Cancelled,
        }
    }

    /// The invocation has its place and begins.
    pub(super) fn begin(&mut self, meter: &Arc<Meter>) {
        self.started = Some((Instant::now(), Arc::clone(meter)));
    }

    /// The invocation ended like this.
    pub(super) fn end(mut self, outcome: RecordOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        let spent = self.started.as_ref().map(|(at, meter)| Spent {
            fuel: meter.fuel(),
            running: meter.spent(),
            wall: at.elapsed(),
            memory: meter.memory_peak(),
            host_calls: meter.host_calls(),
            host: meter.host_time(),
        });
        self.records.push(Record {
            function: Arc::clone(&self.function.program.name),
            phase: self.phase,
            outcome: self.outcome,
            spent: spent.unwrap_or_default(),
        });
    }
}
