//! The node's code under input made by chance: modules that call the host, mutated modules,
//! configurations, paths, hosts and URLs.
//!
//! Every run is repeatable. `AEGIS_FUZZ_SEED` chooses another one, `AEGIS_FUZZ_FACTOR` multiplies
//! the number of cases, `AEGIS_FUZZ_CASE` runs a single one; what fails says which.
#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

mod abi;
mod campaign;
mod configurations;
mod modules;
mod mutants;
mod names;
mod sandbox;
mod sequence;
mod smith;
mod spans;
mod verdict;
mod witness;
