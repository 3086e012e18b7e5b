//! The shared buffer: how data of any length reaches the guest.

use aegis_abi::{Code, MODULE, import};
use wasmtime::{Caller, Linker};

use super::frame::{Frame, Span, with_frame};
use crate::edge::guest::{Guest, HostError};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        import::GET_SHARED_BUFFER,
        |mut caller: Caller<'_, Guest>, destination: i32, offset: i32, length: i32| {
            with_frame(&mut caller, |frame| {
                copy_out(
                    frame,
                    Span::new(destination, length),
                    Span::new(offset, length),
                )
            })
        },
    )?;
    Ok(())
}

fn copy_out(frame: &mut Frame<'_>, destination: Span, source: Span) -> Result<i32, HostError> {
    let data = source.of(&frame.guest.shared).map_err(|_| {
        HostError::new(
            Code::BadArgument,
            "offset and length run past the end of the shared buffer",
        )
    })?;
    destination.of_mut(frame.memory)?.copy_from_slice(data);
    i32::try_from(data.len())
        .map_err(|_| HostError::new(Code::BadArgument, "the length is past 2 GiB"))
}
