//! One run of one function, under its three clocks: fuel, running time, wall time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use tracing::{error, warn};
use wasmtime::{PoolConcurrencyLimitError, Trap};

use super::admission::Overloaded;
use super::backtrace;
use super::breaker::Open;
use super::budget::Charge;
use super::edits::{Edits, RequestEdits};
use super::error::Fault;
use super::function::Function;
use super::guest::{Call, Guest, MemorySpent};
use super::meter::{Meter, Metered};
use super::record::Report;
use super::request::Request;
use super::residency::Pagemap;
use super::runtime::Runtime;
use super::sandbox::{Sandbox, TimeSpent};

/// What a successful invocation leaves.
#[derive(Debug)]
pub(super) struct Success {
    pub(super) edits: Edits,
    pub(super) request_edits: RequestEdits,
    /// With these edits.
    pub(super) request: Arc<Request>,
    pub(super) terminated: bool,
    pub(super) yielded: Option<Bytes>,
    /// Of these.
    pub(super) charge: Charge,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Fault(Fault),
    Overloaded,
}

impl From<Overloaded> for Failure {
    fn from(_: Overloaded) -> Self {
        Self::Overloaded
    }
}

impl From<MemorySpent> for Result<Success, Failure> {
    fn from(_: MemorySpent) -> Self {
        Err(Failure::Overloaded)
    }
}

impl From<Open> for Failure {
    fn from(_: Open) -> Self {
        Self::Fault(Fault::Unavailable)
    }
}

/// Runs `function` on the pool and waits for it, at most its wall time. Dropped half-way,
/// it takes the guest with it, whatever that is doing.
pub(super) async fn invoke(
    runtime: &Runtime,
    function: &Arc<Function>,
    call: &Call,
    report: &mut Report<'_>,
) -> Result<Success, Failure> {
    let governors = &function.governors;
    let permit = governors.breaker.as_ref().map(|breaker| breaker.enter());
    let permit = permit.transpose()?;
    let place = runtime
        .admission
        .enter(&governors.places, &function.memory)
        .await?;
    let meter = Arc::new(Meter::new(Charge::new(Arc::clone(&function.memory))));
    report.begin(&meter);
    let own = Charge::new(Arc::clone(&function.memory));
    let guest = Guest::new(&function.program, call.clone(), own, &meter);
    let pagemap = runtime.pagemap.clone();
    let run = run(Arc::clone(function), guest, pagemap.clone());
    let metered = Metered::new(run, Arc::clone(&meter), pagemap, Some(place));
    let task = function
        .lane
        .spawn(AssertUnwindSafe(metered).catch_unwind());
    // Dropping the task at the deadline unwinds the guest and gives its place back.
    let result = match tokio::time::timeout(function.limits().wall_time, task).await {
        Ok(result) => result.unwrap_or_else(|_panic| {
            error!("a host call panicked; the invocation counts as a trap");
            Err(Failure::Fault(Fault::Trap))
        }),
        Err(_elapsed) => {
            let cause = || "wall_time is over".to_owned();
            Err(fail(function, call, Fault::Deadline, cause))
        }
    };
    match (permit, &result) {
        (Some(permit), Ok(_)) => permit.settle(function.name(), false),
        (Some(permit), Err(Failure::Fault(_))) => permit.settle(function.name(), true),
        (Some(_), Err(Failure::Overloaded)) | (None, _) => {}
    }
    result
}

async fn run(
    function: Arc<Function>,
    guest: Guest,
    pagemap: Option<Arc<Pagemap>>,
) -> Result<Success, Failure> {
    let call = guest.call();
    let mut sandbox = match &function.idle {
        Some(idle) => idle.wake(guest),
        None => Sandbox::new(guest),
    };
    let result = sandbox.run(&function.program).await;
    let guest = sandbox.guest_mut();
    report_dropped_logs(&function, guest);
    match result {
        Ok(value) if value >= 0 => {}
        // It failed for want of what it was entitled to: not its fault, and no reason
        // to go on without it.
        _ if guest.limiter.starved => return Err(Failure::Overloaded),
        Ok(value) => {
            let cause = || format!("the entry returned {value}");
            return Err(fail(&function, &call, Fault::Error, cause));
        }
        Err(error) => return Err(classify(&error, &function, (guest, &call))),
    }
    let success = Success {
        charge: guest.split_answer(),
        edits: std::mem::take(&mut guest.edits),
        request_edits: std::mem::take(&mut guest.request_edits),
        request: Arc::clone(&guest.request),
        terminated: guest.terminated,
        yielded: guest.yielded.take(),
    };
    if let Some(idle) = &function.idle {
        idle.keep(sandbox, pagemap.as_deref());
    }
    Ok(success)
}

fn classify(
    error: &wasmtime::Error,
    function: &Function,
    (guest, call): (&Guest, &Call),
) -> Failure {
    if error.is::<MemorySpent>() || error.is::<PoolConcurrencyLimitError>() {
        return Failure::Overloaded;
    }
    let fault = if error.is::<TimeSpent>() {
        Fault::Time
    } else if matches!(error.downcast_ref::<Trap>(), Some(Trap::OutOfFuel)) {
        Fault::Fuel
    } else if guest.limiter.refused {
        Fault::Memory
    } else {
        Fault::Trap
    };
    fail(function, call, fault, || backtrace::describe(error))
}

/// A guest's fault, for whoever wrote it. Only a cause that is told of is put into words.
fn fail(function: &Function, call: &Call, fault: Fault, cause: impl FnOnce() -> String) -> Failure {
    if let Some(withheld) = function.complaints.due(fault) {
        warn!(
            function = function.name(),
            request_id = call.request.id,
            phase = call.phase().word(),
            code = fault.code(),
            withheld,
            cause = cause(),
            "a function failed"
        );
    }
    Failure::Fault(fault)
}

fn report_dropped_logs(function: &Function, guest: &Guest) {
    if guest.usage.log_dropped > 0
        && let Some(withheld) = function.complaints.logs_due()
    {
        warn!(
            function = &*guest.program.name,
            request_id = guest.request.id,
            dropped = guest.usage.log_dropped,
            limit = guest.program.limits.log_size,
            withheld,
            "log records past log_size were dropped"
        );
    }
}
