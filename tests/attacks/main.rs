//! Hostile guests and clients against the running node, row by row of its threat model, while a control route is measured.
//!
//! Each test is named for its row and ends the same way: requests to other routes were all served, about as quickly as
//! before, and what the attack took was given back.
#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

mod cpu;
mod egress;
mod forwarding;
mod framing;
mod loading;
mod logs;
mod machine;
mod memory;
mod names;
mod output;
mod pointers;
mod secrets;
mod siege;
mod state;
mod tenants;
mod waiting;
mod worlds;

/// The harness of `tests/it`, where its own modules are found.
#[path = "../it"]
mod it {
    #![allow(
        dead_code,
        unused_imports,
        reason = "the harness serves two binaries, and each uses a part of it"
    )]
    pub(crate) mod harness;
}

use it::harness;
