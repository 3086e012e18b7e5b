//! The thread that interrupts guests: one per engine, with nothing else to do.

use std::thread;

use wasmtime::Engine;

use super::engine::TICK;
use super::pool::Watch;

/// Starts it; it ends with the engine.
pub(super) fn start(engine: &Engine, mut watch: Watch) -> std::io::Result<()> {
    let engine = engine.weak();
    let thread = thread::Builder::new().name("aegis-ticker".into());
    thread.spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            watch.tick();
            thread::sleep(TICK);
        }
    })?;
    Ok(())
}
