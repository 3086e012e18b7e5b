//! The downstream side below HTTP: who may connect, and how slow they may be.

mod arrival;
mod clock;
mod connection;
mod framing;
mod gate;
mod guard;
mod http1;
mod http2;
mod limits;
mod multiplexed;
mod proxy_protocol;
mod settings;
mod stream;
mod tls;

pub use arrival::{Arrival, Entrance};
pub use connection::{Connection, current};
pub use gate::Gate;
pub use guard::{Guarded, Refusal, Refusals, Shared};
pub use limits::Limits;
pub use multiplexed::Multiplexed;
pub use settings::{CertificateFiles, Settings, TlsSettings};
pub use tls::{Marks, TlsError, TlsProblem};
