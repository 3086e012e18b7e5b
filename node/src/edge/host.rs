//! What guests can import: one file per capability, all of them in module `env`.

mod cache;
mod clock;
mod errors;
mod fetch;
mod forward;
mod frame;
mod headers;
mod log;
mod request;
mod response;
mod shared;
mod toll;
mod upstream_response;

use wasmtime::{Engine, Linker};

use super::guest::Guest;

/// The linker of every function: linking happens once, at load.
pub(super) fn link(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    log::link(&mut linker)?;
    shared::link(&mut linker)?;
    errors::link(&mut linker)?;
    request::link(&mut linker)?;
    forward::link(&mut linker)?;
    response::link(&mut linker)?;
    upstream_response::link(&mut linker)?;
    cache::link(&mut linker)?;
    fetch::link(&mut linker)?;
    clock::link(&mut linker)?;
    Ok(linker)
}
