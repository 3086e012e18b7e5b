//! Time, randomness and configuration.

use std::time::{SystemTime, UNIX_EPOCH};

use aegis_abi::{Code, MODULE, import};
use bytes::Bytes;
use wasmtime::{Caller, Linker};

use super::frame::{Frame, Span, with_frame};
use super::toll;
use crate::edge::guest::{Guest, HostError};

/// Longest key of `config_get`, in bytes: what is longer is not even looked at.
const MAX_CONFIG_KEY: usize = 4 * 1024;

/// Bytes of randomness one call may ask for.
const MAX_RANDOM: usize = 64 * 1024;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, import::TIME_NOW, |mut caller: Caller<'_, Guest>| {
        toll::pay(&mut caller)?;
        Ok(unix_millis(caller.data().now))
    })?;
    linker.func_wrap(
        MODULE,
        import::RANDOM_BYTES,
        |mut caller: Caller<'_, Guest>, pointer: i32, length: i32| {
            with_frame(&mut caller, |frame| {
                random(frame, Span::new(pointer, length))
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        import::CONFIG_GET,
        |mut caller: Caller<'_, Guest>, pointer: i32, length: i32| {
            with_frame(&mut caller, |frame| {
                config(frame, Span::new(pointer, length))
            })
        },
    )?;
    Ok(())
}

/// Milliseconds, and standing still while the guest runs: clocks that tell a guest how long
/// it has taken help it to listen for what other guests do.
fn unix_millis(now: SystemTime) -> i64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

fn random(frame: &mut Frame<'_>, span: Span) -> Result<i32, HostError> {
    let destination = span.of_mut(frame.memory)?;
    if destination.len() > MAX_RANDOM {
        return Err(HostError::new(
            Code::TooLarge,
            "at most 64 KiB of random bytes a call",
        ));
    }
    getrandom::fill(destination)
        .map_err(|_| HostError::new(Code::Unavailable, "the system has no randomness"))?;
    Ok(0)
}

fn config(frame: &mut Frame<'_>, span: Span) -> Result<i32, HostError> {
    let key = span.text(frame.memory, MAX_CONFIG_KEY)?;
    let value = frame.guest.program.config.get(key).ok_or(HostError::new(
        Code::NotFound,
        "the function's config has no such key",
    ))?;
    let value = Bytes::copy_from_slice(value.as_bytes());
    frame.guest.share(value)
}
