//! What every call into the host costs, whatever it does.
//!
//! A call takes the host far longer than its one instruction takes the guest. Its time on
//! the guest's thread is running time; the fuel keeps a loop of calls as short as a loop
//! of as much computing.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::SystemTime;

use wasmtime::{Caller, Trap};

use crate::edge::guest::{Guest, HostError};

/// Fuel of one host call; its cheapest ones take about as long as so much computing.
const CALL_FUEL: u64 = 500;

/// Takes the toll, and counts the call. To be called before anything else.
///
/// # Errors
/// The trap of a guest that has too little fuel left.
pub(super) fn pay(caller: &mut Caller<'_, Guest>) -> wasmtime::Result<()> {
    caller.data().meter.count_host_call();
    let left = caller.get_fuel()?;
    let rest = left.checked_sub(CALL_FUEL);
    caller.set_fuel(rest.unwrap_or(0))?;
    match rest {
        Some(_) => Ok(()),
        None => Err(Trap::OutOfFuel.into()),
    }
}

/// Times a call to the world outside; if it had to wait, the guest sees a new time
/// afterwards. One that was answered in the process is no clock.
pub(super) async fn outside<T>(
    caller: &mut Caller<'_, Guest>,
    wait: impl Future<Output = Result<T, HostError>>,
) -> Result<T, HostError> {
    caller.data().meter.host_waits();
    let mut wait = pin!(wait);
    let mut waited = false;
    let result = poll_fn(|context| {
        let polled = wait.as_mut().poll(context);
        waited |= polled.is_pending();
        polled
    });
    let result = result.await;
    let guest = caller.data_mut();
    guest.meter.host_waited();
    if waited {
        guest.now = SystemTime::now();
    }
    result
}
