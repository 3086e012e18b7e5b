//! The downstream side below HTTP: who may connect, and how slow they may be.

mod clock;
mod connection;
mod framing;
mod gate;
mod guard;
mod limits;
mod settings;
mod stream;

pub use connection::{Connection, current};
pub use gate::Gate;
pub use guard::{Guarded, Refusal, Refusals, Shared};
pub use limits::Limits;
pub use settings::Settings;
