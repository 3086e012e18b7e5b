//! One run of one function, under its three clocks: fuel, running time, wall time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use tracing::{error, warn};
use wasmtime::{Instance, PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

use super::admission::Overloaded;
use super::budget::Charge;
use super::edits::Edits;
use super::error::Fault;
use super::function::{EntryExport, Function, Returns};
use super::guest::{Guest, Limiter, MemorySpent, Usage};
use super::meter::{Meter, Metered};
use super::request::Request;
use super::runtime::Runtime;

/// What a successful invocation leaves.
#[derive(Debug)]
pub(super) struct Success {
    pub(super) edits: Edits,
    pub(super) terminated: bool,
    pub(super) yielded: Option<Bytes>,
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
}

/// A guest that holds less than this is not what overdraws the node's memory.
const SMALL_GUEST: usize = 1024 * 1024;

/// The running time is used up.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the function's execution_time is used up")]
struct TimeSpent;

/// Runs `function` on the pool and waits for it, at most its wall time.
pub(super) async fn invoke(
    runtime: &Runtime,
    function: &Arc<Function>,
    request: &Arc<Request>,
) -> (Result<Success, Failure>, Spent) {
    let place = match runtime.admission.enter(&function.places).await {
        Ok(place) => place,
        Err(overloaded) => return (Err(overloaded.into()), Spent::default()),
    };
    let started = Instant::now();
    let meter = Arc::new(Meter::new(Charge::new(Arc::clone(&runtime.budget))));
    let guest = guest(runtime, function, request, &meter);
    let pagemap = runtime.pagemap.clone();
    let metered = Metered::new(run(guest), Arc::clone(&meter), pagemap, Some(place));
    let task = runtime.pool.spawn(AssertUnwindSafe(metered).catch_unwind());
    // Dropping the task at the deadline unwinds the guest and gives its place back.
    let result = match tokio::time::timeout(function.limits.wall_time, task).await {
        Ok(result) => result.unwrap_or_else(|_panic| {
            error!("a host call panicked; the invocation counts as a trap");
            Err(Failure::Fault(Fault::Trap))
        }),
        Err(_elapsed) => Err(fail(
            function,
            request,
            Fault::Deadline,
            "wall_time is over",
        )),
    };
    let spent = Spent {
        fuel: meter.fuel(),
        running: meter.spent(),
        wall: started.elapsed(),
        memory: meter.memory_peak(),
    };
    (result, spent)
}

/// The host's side of a guest that has not run yet.
fn guest(
    runtime: &Runtime,
    function: &Arc<Function>,
    request: &Arc<Request>,
    meter: &Arc<Meter>,
) -> Guest {
    let own = Charge::new(Arc::clone(&runtime.budget));
    Guest {
        limiter: Limiter::new(function, own, Arc::clone(meter)),
        function: Arc::clone(function),
        request: Arc::clone(request),
        memory: None,
        shared: Bytes::new(),
        yielded: None,
        edits: Edits::default(),
        terminated: false,
        last_error: None,
        usage: Usage::default(),
        meter: Arc::clone(meter),
    }
}

async fn run(guest: Guest) -> Result<Success, Failure> {
    let function = Arc::clone(&guest.function);
    let mut store = Store::new(function.pre.module().engine(), guest);
    let result = execute(&mut store, &function).await;
    let guest = store.data();
    let outcome = match result {
        Ok(value) if value >= 0 => Ok(()),
        // It failed for want of what it was entitled to: not its fault, and no reason
        // to go on without it.
        _ if guest.limiter.starved => Err(Failure::Overloaded),
        Ok(value) => {
            let cause = format!("the entry returned {value}");
            Err(fail(&function, &guest.request, Fault::Error, &cause))
        }
        Err(error) => Err(classify(&error, guest)),
    };
    let guest = store.into_data();
    report_dropped_logs(&guest);
    outcome.map(|()| Success {
        edits: guest.edits,
        terminated: guest.terminated,
        yielded: guest.yielded,
    })
}

/// Start section and `_initialize` with their own fuel, then the entry with the same again.
async fn execute(store: &mut Store<Guest>, function: &Function) -> wasmtime::Result<i32> {
    let fuel = function.limits.fuel;
    store.limiter(|guest| &mut guest.limiter);
    store.set_fuel(fuel)?;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| {
        let guest = context.data();
        if guest.meter.memory.overdraws(SMALL_GUEST) {
            return Err(wasmtime::Error::new(MemorySpent));
        }
        if guest.meter.running() > guest.function.limits.execution_time {
            return Err(wasmtime::Error::new(TimeSpent));
        }
        Ok(UpdateDeadline::Yield(1))
    });
    let started = start(store, function).await;
    count_fuel(store, fuel);
    let instance = started?;
    store.set_fuel(fuel)?;
    let value = call(store, instance, &function.entry).await;
    count_fuel(store, fuel);
    value
}

async fn start(store: &mut Store<Guest>, function: &Function) -> wasmtime::Result<Instance> {
    let instance = function.pre.instantiate_async(&mut *store).await?;
    store.data_mut().limiter.instantiated = true;
    if let Some(memory) = instance
        .get_module_export(&mut *store, &function.memory)
        .and_then(wasmtime::Extern::into_memory)
    {
        let base = memory.data_ptr(&*store) as usize;
        let guest = store.data_mut();
        guest.memory = Some(memory);
        guest.meter.locate_memory(base);
    }
    if let Some(initialize) = &function.initialize {
        call(store, instance, initialize).await?;
    }
    Ok(instance)
}

/// Calls an export that was checked at load to be `() -> i32` or `() -> ()`.
async fn call(
    store: &mut Store<Guest>,
    instance: Instance,
    export: &EntryExport,
) -> wasmtime::Result<i32> {
    let func = instance
        .get_module_export(&mut *store, &export.index)
        .and_then(wasmtime::Extern::into_func)
        .ok_or_else(|| wasmtime::Error::msg("a checked export is missing"))?;
    match export.returns {
        Returns::I32 => func.typed::<(), i32>(&*store)?.call_async(store, ()).await,
        Returns::Nothing => {
            func.typed::<(), ()>(&*store)?.call_async(store, ()).await?;
            Ok(0)
        }
    }
}

/// After an epoch interruption wasmtime reports nothing consumed, so a figure may be low.
fn count_fuel(store: &Store<Guest>, given: u64) {
    let left = store.get_fuel().unwrap_or(given);
    store.data().meter.add_fuel(given.saturating_sub(left));
}

fn classify(error: &wasmtime::Error, guest: &Guest) -> Failure {
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
    fail(
        &guest.function,
        &guest.request,
        fault,
        &format!("{error:?}"),
    )
}

/// A guest's fault, for whoever wrote it.
fn fail(function: &Function, request: &Request, fault: Fault, cause: &str) -> Failure {
    warn!(
        function = function.name(),
        request_id = request.id,
        code = fault.code(),
        cause,
        "a function failed"
    );
    Failure::Fault(fault)
}

fn report_dropped_logs(guest: &Guest) {
    if guest.usage.log_dropped > 0 {
        warn!(
            function = &*guest.function.name,
            request_id = guest.request.id,
            dropped = guest.usage.log_dropped,
            limit = guest.function.limits.log_size,
            "log records past log_size were dropped"
        );
    }
}
