//! AEGIS, an edge node: a reverse proxy that runs untrusted WebAssembly functions on
//! the routes its operator chooses. The binary `aegis` is a thin shell around this library.

pub mod auth;
pub mod cache;
pub mod cli;
pub mod coding;
pub mod config;
mod cookie;
pub mod edge;
pub mod egress;
mod file;
pub mod files;
pub mod listener;
mod name_server;
pub mod proxy;
pub mod route;
pub mod sandbox;
pub mod scheme;
pub mod server;
pub mod telemetry;
mod trust;
pub mod upstream;
