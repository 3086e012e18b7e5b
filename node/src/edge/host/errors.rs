//! Why the last call answered -1.

use aegis_abi::{MODULE, import};
use bytes::Bytes;
use wasmtime::{Caller, Linker};

use super::frame::answer;
use crate::edge::guest::Guest;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        import::LAST_ERROR,
        |mut caller: Caller<'_, Guest>| {
            let guest = caller.data_mut();
            let text = guest.last_error.as_ref().map_or("", |error| &error.text);
            let text = Bytes::copy_from_slice(text.as_bytes());
            let result = guest.share(text);
            answer(guest, result)
        },
    )?;
    linker.func_wrap(
        MODULE,
        import::LAST_ERROR_CODE,
        |caller: Caller<'_, Guest>| -> i32 {
            caller
                .data()
                .last_error
                .as_ref()
                .map_or(0, |error| error.code as i32)
        },
    )?;
    Ok(())
}
