//! The `aegis` command.

use std::process::ExitCode;

use aegis_node::cli::{Arguments, Command};
use aegis_node::edge;
use aegis_node::server;
use aegis_node::telemetry::{self, Format, Formats};
use clap::Parser;

/// A request allocates some fifty times; the system's allocator takes twice as long.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let log = arguments.log_format.unwrap_or(Format::Text);
    // Every TLS client of the process uses this one; a second install keeps the first.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    match arguments.command {
        Command::CompileLauncher => edge::serve_compile_tasks(),
        Command::CompileJob => edge::run_compile_job(),
        Command::Run { config } => {
            let access_log = arguments.log_format.unwrap_or(Format::Json);
            server::run(&config, Formats { log, access_log })
        }
        Command::Check { config, verbose } => {
            let _log = telemetry::start(log, server::LIBRARY_LOGS);
            match verbose {
                true => server::check_and_list(&config),
                false => server::check(&config),
            }
        }
    }
}
