//! Write AEGIS edge functions in Rust.
//!
//! An edge function is a Rust function taking nothing and returning a `Result`, made callable by
//! [`entry!`]. It looks at the request, and then answers it, changes it, changes the response that
//! will come from the upstream, or does nothing:
//!
//! ```
//! use aegis_guest::{Error, request, respond};
//!
//! aegis_guest::entry!(hello);
//!
//! fn hello() -> Result<(), Error> {
//!     let name = request::query_value("name")?.unwrap_or("world".into());
//!     respond(200, "text/plain; charset=utf-8", format!("hello, {name}\n"))
//! }
//!
//! # use aegis_guest::testing::Host;
//! let outcome = Host::new().uri("/hello?name=Ada").run(hello);
//! assert_eq!(outcome.status(), Some(200));
//! assert_eq!(outcome.text(), "hello, Ada\n");
//! ```
//!
//! Build it as a `cdylib` for `wasm32-unknown-unknown`. Built for any other target, the same code
//! talks to the [`testing::Host`] instead, so that plain `cargo test` tests it.
//!
//! # What to know
//!
//! - Each invocation is a fresh instance: statics start anew each time, and what must outlive the
//!   invocation goes into the [`cache`].
//! - Nothing here panics. What can fail returns [`Error`], whose [`Code`] says why; what may be
//!   absent returns an `Option` inside the `Result`.
//! - An entry that returns `Err` fails the invocation: the client gets the node's error document,
//!   and none of the function's changes take effect. So does a panic, which traps.
//! - The limits named here are part of the contract; others (fuel, time, memory, number of calls)
//!   are the operator's to set.

#[cfg(any(test, all(target_arch = "wasm32", feature = "allocator")))]
mod allocator;
mod buffer;
pub mod cache;
pub mod config;
#[doc(hidden)]
pub mod entry;
mod error;
pub mod fetch;
mod header_names;
pub mod log;
mod query;
pub mod random;
pub mod request;
pub mod response;
mod sys;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;

pub use aegis_abi::Code;
pub use error::Error;
pub use response::respond;

/// Holds the guide's examples to what the crate offers.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/WASM_EDGE_FUNCTIONS.md")]
struct Guide;
