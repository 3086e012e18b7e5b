//! The `aegis` command.

use std::process::ExitCode;

use aegis_node::cli::{Arguments, Command};
use aegis_node::server;
use aegis_node::telemetry::{self, Format};
use clap::Parser;

/// A request allocates some fifty times; the system's allocator takes twice as long.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let _log = telemetry::start(
        arguments.log_format.unwrap_or(Format::Text),
        server::LIBRARY_LOGS,
    );
    // Every TLS client of the process uses this one; a second install keeps the first.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    match arguments.command {
        Command::Run { config } => {
            let access_format = arguments.log_format.unwrap_or(Format::Json);
            server::run(&config, access_format)
        }
        Command::Check { config, verbose } => match verbose {
            true => server::check_and_list(&config),
            false => server::check(&config),
        },
    }
}
