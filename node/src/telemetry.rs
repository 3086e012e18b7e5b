//! Where the node's words go: the log to stderr, the access log to stdout.

mod access_log;
mod complaints;

use std::io::IsTerminal;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

pub use access_log::AccessLogWriter;
pub(crate) use complaints::Complaints;

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Those of the two logs.
#[derive(Clone, Copy, Debug)]
pub struct Formats {
    /// Of the log.
    pub log: Format,
    /// Of the access log.
    pub access_log: Format,
}

/// Starts the log at level INFO. `libraries` are directives for code that is not ours;
/// `RUST_LOG` comes after them and wins. Records are dropped, not waited for, when stderr is stuck; the rest is
/// written when the guard goes.
pub fn start(format: Format, libraries: &str) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .finish(std::io::stderr());
    let own = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let filter = EnvFilter::builder()
        .with_regex(false)
        .parse_lossy(format!("info,{libraries},{own}"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start, as in a test, keeps the first.
    match format {
        Format::Text => builder.with_target(false).try_init().ok(),
        Format::Json => builder.json().try_init().ok(),
    };
    guard
}
