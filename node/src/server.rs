//! What exists: the pieces of a node, made from the configuration and wired together.

mod build;
mod check;
mod drain;
mod functions;
mod limits;
mod listing;
mod reload;
mod routes;
mod sockets;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pingora::apps::HttpServerOptions;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use pingora::services::listening::Service;
use tokio::runtime::Runtime as IoRuntime;
use tracing::{error, info};

use self::build::Built;
use self::drain::Drain;
use self::reload::Reloader;
use crate::config::{self, Config};
use crate::edge::RuntimeError;
use crate::listener::Guarded;
use crate::proxy::{AccessLog, Activity, Proxy, raw_refusal};
use crate::telemetry::{AccessLogWriter, Format};

pub use check::{check, check_and_list};

/// Libraries' own words: the node says itself what matters of them.
pub const LIBRARY_LOGS: &str =
    "pingora=warn,pingora_core=off,pingora_proxy=off,fred=off,rustls_platform_verifier=off";

/// Idle connections to upstreams kept for the next request.
const UPSTREAM_POOL: usize = 1024;
/// The library's bound on attempts; each upstream has its own below it.
const MAX_ATTEMPTS: usize = 32;
/// Threads for the host's own input and output: cache, HTTPS calls, reloads.
const IO_THREADS: usize = 2;

/// Why a node that could be configured cannot run.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    #[error(transparent)]
    Edge(#[from] RuntimeError),
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// Serves what the file at `path` says until told to stop. The exit code is 0 when
/// stopped on request, 1 for a runtime failure, 2 for a bad configuration.
pub fn run(path: &Path, access_format: Format) -> ExitCode {
    let Ok(io) = io_runtime().inspect_err(|cause| error!(%cause, "cannot start a runtime")) else {
        return ExitCode::FAILURE;
    };
    // First of all: an early SIGHUP must not kill the process.
    let hangups = match reload::hangups(&io) {
        Ok(hangups) => hangups,
        Err(cause) => {
            error!(%cause, "cannot watch signals");
            return ExitCode::FAILURE;
        }
    };
    let (config, built) = match load(path, &io) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    match serve(path, (config, built), (io, hangups), access_format) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            error!("{cause}");
            ExitCode::FAILURE
        }
    }
}

fn io_runtime() -> std::io::Result<IoRuntime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(IO_THREADS)
        .thread_name("aegis-io")
        .enable_all()
        .build()
}

/// Reads and builds everything, or says on stderr what is wrong with it.
fn load(path: &Path, io: &IoRuntime) -> Result<(Config, Built), ExitCode> {
    let usage = ExitCode::from(2);
    let parsed = config::load(path).map_err(|cause| {
        error!(file = %path.display(), "{cause}");
        usage
    })?;
    let built = build::build(&parsed.config, None, io.handle());
    match (parsed.problems.is_empty(), built) {
        (true, Ok(built)) => Ok((parsed.config, built)),
        (_, built) => {
            let later = built.err().unwrap_or_default();
            for problem in check::sorted(parsed.problems, later) {
                error!(file = %path.display(), "{problem}");
            }
            Err(usage)
        }
    }
}

fn serve(
    path: &Path,
    (config, built): (Config, Built),
    (io, hangups): (IoRuntime, reload::Hangups),
    access_format: Format,
) -> Result<(), RunError> {
    limits::raise_and_warn(&config);
    let sockets = sockets::bind(&config.listeners)?;
    let proxy_runtime = proxy_runtime(&config)?;
    let activity = Arc::new(Activity::default());
    let connection_limits = Arc::new(ArcSwap::from_pointee(config.server.limits.clone()));
    let snapshot = Arc::new(ArcSwap::new(Arc::clone(&built.snapshot)));
    let access_log = Arc::new(AccessLogWriter::start(std::io::stdout(), access_format)?);
    let drain = Drain::new(Arc::clone(&activity), config.server.drain_timeout);
    let proxy = Proxy {
        snapshot: Arc::clone(&snapshot),
        activity,
        access_log: Arc::clone(&access_log),
    };
    let limits = Arc::clone(&connection_limits);
    let guarded = Guarded::new(service(proxy), limits, raw_refusal);
    let mut service = Service::new("aegis".into(), guarded);
    sockets.listen(&mut service);
    let reloader = Reloader::new(path, config, built.resources, drain.timeout());
    io.spawn(reloader.run(hangups, snapshot, connection_limits));
    proxy_runtime.block_on(drain.serve(service, sockets.into_fds()))?;
    proxy_runtime.shutdown_background();
    access_log.close();
    io.shutdown_background();
    info!("stopped");
    Ok(())
}

/// The threads that proxy.
fn proxy_runtime(config: &Config) -> std::io::Result<IoRuntime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if config.server.threads > 0 {
        builder.worker_threads(config.server.threads);
    }
    builder.thread_name("aegis-proxy").enable_all().build()
}

/// The proxy as the library serves it.
fn service<L: AccessLog>(proxy: Proxy<L>) -> HttpProxy<Proxy<L>> {
    let mut service = http_proxy(&server_conf(), proxy);
    let mut options = HttpServerOptions::default();
    // CONNECT is refused by the proxy, like every other error.
    options.allow_connect_method_proxying = true;
    service.server_options = Some(options);
    service
}

fn server_conf() -> Arc<ServerConf> {
    Arc::new(ServerConf {
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        max_retries: MAX_ATTEMPTS,
        ..ServerConf::default()
    })
}
