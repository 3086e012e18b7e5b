//! Why the last call answered -1.

use aegis_abi::{MODULE, import};
use bytes::Bytes;
use wasmtime::{Caller, Linker};

use super::frame::with_guest;
use crate::edge::guest::Guest;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        import::LAST_ERROR,
        |mut caller: Caller<'_, Guest>| {
            with_guest(&mut caller, |guest| {
                let text = guest.last_error.as_ref().map_or("", |error| &error.text);
                let text = Bytes::copy_from_slice(text.as_bytes());
                guest.share(text)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        import::LAST_ERROR_CODE,
        |mut caller: Caller<'_, Guest>| {
            with_guest(&mut caller, |guest| {
                let error = guest.last_error.as_ref();
                Ok(error.map_or(0, |error| error.code as i32))
            })
        },
    )?;
    Ok(())
}
