//! The downstream side below HTTP: who may connect, and how slow they may be.

mod clock;
mod connection;
mod gate;
mod guard;
mod limits;
mod stream;

pub use connection::{Connection, current};
pub use gate::Gate;
pub use guard::{Guarded, Refusal, Refusals};
pub use limits::Limits;
