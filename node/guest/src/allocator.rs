//! The global allocator of a module, for instances that live for one invocation.
//!
//! It hands out memory from one end to the other and takes back only the block it handed out
//! last: nearly no code, nearly no work, and no memory is ever searched. What else is freed comes
//! back when the instance ends, which for a fresh instance is soon. It begins with the memory the
//! module already has, so that a small function never grows it; growing costs the node a system
//! call per invocation, and is what Rust's default allocator begins with.
//!
//! A module whose instances serve many invocations, or one that allocates and frees without end
//! in a single one, is better off with the default allocator: turn the crate's `allocator`
//! feature off.

mod bump;
#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod global;
