//! The node from outside: every test starts the `aegis` binary and talks to it over sockets and the command line.
#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

mod abi;
mod access_log;
mod access_rules;
mod admission;
mod answers;
mod balancing;
mod basic_auth;
mod bodies;
mod cache;
mod cancellation;
mod chains;
mod cli;
mod compression;
mod connections;
mod cors;
mod downstream_limits;
mod edge_limits;
mod egress;
mod failures;
mod files;
mod floods;
mod harness;
mod header_edits;
mod health;
mod http2;
mod http2_upstreams;
mod identity;
mod interop;
mod jwt;
mod loading;
mod names;
mod paths;
mod patterns;
mod proxying;
mod reload;
mod request_edits;
mod response_bodies;
mod response_phase;
mod retries;
mod reuse;
mod rewrites;
mod routing;
mod sandbox;
mod shape;
mod shipped;
mod shutdown;
mod smuggling;
mod streaming;
mod telling;
mod tls;
mod upstream_faults;
mod upstream_tls;
mod upstreams;
mod websocket;
