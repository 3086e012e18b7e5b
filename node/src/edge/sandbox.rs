//! A sandbox: one instance of a function's module in a store of its own.

use std::sync::Arc;

use wasmtime::{Instance, Store, UpdateDeadline};

use super::budget::IdleHold;
use super::guest::Guest;
use super::program::{EntryExport, Program, Returns};
use super::request::Request;

/// The running time is used up.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the function's execution_time is used up")]
pub(super) struct TimeSpent;

/// Where guests run. Whatever it holds is given back when it is dropped.
pub(super) struct Sandbox {
    store: Store<Guest>,
    /// There is none before the start section has run.
    instance: Option<Instance>,
    /// Requests it has been given.
    served: u32,
    /// While it waits for another request.
    idle: Option<IdleHold>,
}

impl Sandbox {
    /// A sandbox in which nothing has run yet.
    pub(super) fn new(guest: Guest) -> Self {
        let engine = guest.program.pre.module().engine().clone();
        let mut store = Store::new(&engine, guest);
        store.limiter(|guest| &mut guest.limiter);
        store.epoch_deadline_callback(|context| {
            let guest = context.data();
            if guest.meter.running() > guest.program.limits.execution_time {
                return Err(wasmtime::Error::new(TimeSpent));
            }
            Ok(UpdateDeadline::Yield(1))
        });
        Self {
            store,
            instance: None,
            served: 0,
            idle: None,
        }
    }

    /// Start section and `_initialize` with their own fuel, once; then the entry with the
    /// same again. What it returns is the entry's result.
    pub(super) async fn run(&mut self, program: &Program) -> wasmtime::Result<i32> {
        self.served = self.served.saturating_add(1);
        let fuel = program.limits.fuel;
        self.store.set_epoch_deadline(1);
        let instance = match self.instance {
            Some(instance) => instance,
            None => {
                self.store.set_fuel(fuel)?;
                let started = self.start(program).await;
                self.count_fuel(fuel);
                *self.instance.insert(started?)
            }
        };
        self.store.set_fuel(fuel)?;
        let entry = program.exports.entry_of(self.guest().phase());
        let value = call(&mut self.store, instance, entry).await;
        self.count_fuel(fuel);
        value
    }

    async fn start(&mut self, program: &Program) -> wasmtime::Result<Instance> {
        let store = &mut self.store;
        let instance = program.pre.instantiate_async(&mut *store).await?;
        store.data_mut().limiter.instantiated = true;
        if let Some(memory) = instance
            .get_module_export(&mut *store, &program.exports.memory)
            .and_then(wasmtime::Extern::into_memory)
        {
            let base = memory.data_ptr(&*store) as usize;
            let guest = store.data_mut();
            guest.memory = Some(memory);
            guest.meter.locate_memory(base);
        }
        if let Some(initialize) = &program.exports.initialize {
            call(store, instance, initialize).await?;
        }
        Ok(instance)
    }

    /// After an epoch interruption wasmtime reports nothing consumed, so a figure may be low.
    fn count_fuel(&self, given: u64) {
        let left = self.store.get_fuel().unwrap_or(given);
        self.guest().meter.add_fuel(given.saturating_sub(left));
    }

    /// The host's side of it.
    pub(super) fn guest(&self) -> &Guest {
        self.store.data()
    }

    /// The same, to be changed.
    pub(super) fn guest_mut(&mut self) -> &mut Guest {
        self.store.data_mut()
    }

    /// Requests it has been given.
    pub(super) fn served(&self) -> u32 {
        self.served
    }

    /// Lets go of the last request, and waits for the next one with what it holds.
    pub(super) fn rest(&mut self, idle: IdleHold) {
        let guest = self.guest_mut();
        guest.forget_request(Arc::new(Request::default()));
        self.idle = Some(idle);
    }

    /// Gives the sandbox, with its memory as it is, to another invocation.
    pub(super) fn take_over(&mut self, mut guest: Guest) {
        self.idle = None;
        guest.inherit(self.guest());
        *self.guest_mut() = guest;
    }
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
