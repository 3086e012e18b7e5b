//! What exists: the pieces of a node, made from the configuration and wired together.

mod access;
mod build;
mod check;
mod confine;
mod drain;
mod functions;
mod limits;
mod listing;
mod reload;
mod renewal;
mod routes;
mod sites;
mod sockets;
mod upstreams;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pingora::apps::HttpServerOptions;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use tokio::runtime::Runtime as IoRuntime;
use tracing::{error, info};

use self::build::Built;
use self::drain::Drain;
use self::reload::Reloader;
use crate::config::{self, Config, Parsed};
use crate::edge::{Compiler, RuntimeError};
use crate::listener::{Gate, Multiplexed, Shared};
use crate::proxy::{AccessLog, Activity, Connector, Proxy, Tunnels, raw_refusal};
use crate::sandbox::{Sandbox, SandboxError};
use crate::telemetry::{self, AccessLogWriter, Formats};

pub use check::{check, check_and_list};

/// Libraries' own words: the node says itself what matters of them, but why no connection is
/// accepted, at most once a second.
pub const LIBRARY_LOGS: &str = "pingora=warn,pingora_core=off,\
    pingora_core::services::listening=error,pingora_proxy=off,fred=off,\
    rustls_platform_verifier=off";

/// Idle connections to upstreams kept for the next request.
const UPSTREAM_POOL: usize = 1024;
/// The library's bound on attempts; each upstream has its own below it.
const MAX_ATTEMPTS: usize = 32;
/// Threads for the host's own input and output: cache, HTTPS calls, reloads.
const IO_THREADS: usize = 2;

/// Exit code for a configuration that cannot be used, as for arguments that cannot be.
const USAGE: u8 = 2;

/// Why a node cannot run.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    #[error(transparent)]
    Edge(#[from] RuntimeError),
    #[error("cannot sandbox the process, as [server] sandbox says: {0}")]
    Sandbox(#[from] SandboxError),
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// Every problem of it is in the log.
    #[error("the configuration cannot be used")]
    Configuration,
}

/// What is made while the process has one thread: nothing of it can be made later.
struct Foundation {
    compiler: Compiler,
    sandbox: Option<Sandbox>,
}

/// Serves what the file at `path` says until told to stop. The exit code is 0 when
/// stopped on request, 1 for a runtime failure, 2 for a bad configuration.
///
/// The process must have one thread only.
pub fn run(path: &Path, formats: Formats) -> ExitCode {
    // Until the sandbox is closed there must be no second thread; from then on there can be no
    // other process.
    let held = reload::hold_hangups();
    let compiler = Compiler::launcher();
    let parsed = config::load(path);
    let sandbox = match &parsed {
        Ok(parsed) => confine::enter(path, &parsed.config),
        Err(_) => Ok(None),
    };
    let _log = telemetry::start(formats.log, LIBRARY_LOGS);
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(cause) => {
            error!(file = %path.display(), "{cause}");
            return ExitCode::from(USAGE);
        }
    };
    let result = held.map_err(RunError::from).and_then(|()| {
        let foundation = Foundation {
            sandbox: sandbox?,
            compiler,
        };
        let io = io_runtime()?;
        let hangups = reload::hangups(&io)?;
        let (config, built) = build(path, parsed, &io, &foundation.compiler)?;
        serve((path, foundation), (config, built), (io, hangups), formats)
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(RunError::Configuration) => ExitCode::from(USAGE),
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

/// Builds everything, or says on stderr what is wrong with the file.
fn build(
    path: &Path,
    parsed: Parsed,
    io: &IoRuntime,
    compiler: &Compiler,
) -> Result<(Config, Built), RunError> {
    let built = build::build(&parsed.config, None, io.handle(), compiler);
    match (parsed.problems.is_empty(), built) {
        (true, Ok(built)) => {
            io.block_on(upstreams::answered(&built.resources.upstreams));
            Ok((parsed.config, built))
        }
        (_, built) => {
            let later = built.err().unwrap_or_default();
            for problem in check::sorted(parsed.problems, later) {
                error!(file = %path.display(), "{problem}");
            }
            Err(RunError::Configuration)
        }
    }
}

fn serve(
    (path, foundation): (&Path, Foundation),
    (config, built): (Config, Built),
    (io, hangups): (IoRuntime, reload::Hangups),
    formats: Formats,
) -> Result<(), RunError> {
    limits::raise_and_warn(&config);
    let proxy_runtime = proxy_runtime(&config)?;
    // Whoever can connect can also stop it properly.
    let stops = drain::stops(&proxy_runtime)?;
    let sockets = sockets::bind(&config.listeners)?;
    built.resources.own.announce(sockets.addresses());
    let activity = Arc::new(Activity::default());
    let connection_limits = Arc::new(ArcSwap::from_pointee(limits::held(&config.server.limits)));
    // Moved: kept here, the first snapshot would outlive all reloads.
    let snapshot = Arc::new(ArcSwap::new(built.snapshot));
    let access_log = Arc::new(AccessLogWriter::start(
        std::io::stdout(),
        formats.access_log,
    )?);
    let multiplexed = Multiplexed::default();
    let under_way = (Arc::clone(&activity), multiplexed.clone());
    let drain = Drain::new(under_way, config.server.drain_timeout);
    let proxy = Proxy {
        snapshot: Arc::clone(&snapshot),
        activity,
        access_log: Arc::clone(&access_log),
        connector: Connector::new(UPSTREAM_POOL),
        tunnels: Tunnels::new(),
    };
    let shared = Shared {
        proxy: Arc::new(service(proxy)),
        gate: Gate::default(),
        limits: Arc::clone(&connection_limits),
        refusals: raw_refusal,
        multiplexed,
    };
    let services = sockets.services(&shared, &built.resources.entrances);
    let serving = (config, built.resources);
    let reloader = Reloader::new(path, foundation, serving, drain.timeout());
    io.spawn(reloader.run(hangups, snapshot, connection_limits));
    proxy_runtime.block_on(drain.serve(services, sockets.into_fds(), stops));
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
