//! The ABI as a guest meets it: what links, and what each call answers.

mod additions;
mod bounds;
mod headers;
mod linking;
mod log;
mod original_set;
mod shared_buffer;
mod values;
