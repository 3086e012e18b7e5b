//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::telemetry::Format;

/// An edge node: a reverse proxy that runs untrusted WebAssembly functions.
///
/// The log goes to stderr (filtered by RUST_LOG), the access log to stdout.
#[derive(Debug, Parser)]
#[command(name = "aegis", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Format of the log and the access log [default: text for the log, json for the access log].
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<Format>,
}

const EXIT_CODES: &str = "\
Signals of `run`: SIGTERM and SIGINT finish what is under way and stop, SIGHUP reloads the file.
Exit codes of `run`: 0 stopped on request, 1 runtime failure, 2 usage or configuration.
Exit codes of `check`: 0 good, 1 the file has problems, 2 usage.";

/// A subcommand.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve what the file says until told to stop.
    Run {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE", default_value = "proxy-config.toml")]
        config: PathBuf,
    },
    /// Print every problem of the file, its modules included.
    Check {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE", default_value = "proxy-config.toml")]
        config: PathBuf,
        /// List routes in precedence order, and modules.
        #[arg(short, long)]
        verbose: bool,
    },
    /// Started by the node itself: has modules compiled.
    #[command(hide = true)]
    CompileLauncher,
    /// Started by the node itself: compiles one module.
    #[command(hide = true)]
    CompileJob,
}
