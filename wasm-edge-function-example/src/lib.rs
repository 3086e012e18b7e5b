//! Edge functions for AEGIS to start from, one per file. Each is an entry of the same module; the
//! node's configuration chooses one with `entry = "…"`.

mod headers;
mod hello;
mod patterns;
mod rates;
mod visits;
