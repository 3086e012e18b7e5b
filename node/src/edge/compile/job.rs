//! A job: a process that compiles one module, bounded by the system, and ends.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use wasmparser::Validator;
use wasmtime::Engine;

use super::super::{engine, module};
use super::message::{Output, Task};
use super::{CompileError, process};
use crate::sandbox;

/// Of ordinary processes. The idle class would keep no better out of the way of traffic,
/// measured, and on a machine without a moment to spare a reload would not end.
const LOWEST_PRIORITY: i32 = 19;
/// What the system, short of memory, kills first.
const FIRST_TO_GO: &str = "1000";
/// Its three streams, and files of the system that libraries read.
const DESCRIPTORS: u64 = 16;
/// Between the signal that ends it and the one that is sure to.
const GRACE_SECONDS: u64 = 1;

/// Compiles the module on stdin to stdout.
pub fn run() -> ExitCode {
    match compile_stdin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr(), "{error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn compile_stdin() -> io::Result<()> {
    process::settle(c"aegis-job")?;
    let (input, mut output) = (own(io::stdin())?, own(io::stdout())?);
    let (task, length) = Task::read(&input)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    bound(&task)?;
    check_reader(&output)?;
    // Where the kernel has none of it, the limits are what there is.
    let _sandbox = sandbox::enter(&[]);
    let mut module = Vec::new();
    (&input).take(length).read_to_end(&mut module)?;
    let engine = engine::compiling(task.reservation).map_err(io::Error::other)?;
    let (first, rest) = match compile(&engine, &module) {
        Ok(code) => (Output::Code, code),
        Err(CompileError::Invalid(reason)) => (Output::Invalid, reason.into_bytes()),
        Err(CompileError::Refused(reason)) => (Output::Refused, reason.into_bytes()),
        Err(error) => (Output::Refused, error.to_string().into_bytes()),
    };
    output.write_all(&[first as u8])?;
    output.write_all(&rest)
}

/// Validates and compiles a module whose sections were checked.
pub(in crate::edge) fn compile(engine: &Engine, module: &[u8]) -> Result<Vec<u8>, CompileError> {
    Validator::new_with_features(module::features())
        .validate_all(module)
        .map_err(|error| CompileError::Invalid(error.to_string()))?;
    engine
        .precompile_module(module)
        .map_err(|error| CompileError::Refused(format!("{error:#}")))
}

/// A stream of the process without the library's buffer.
fn own(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// The launcher may have died before the system was told to kill its job then.
fn check_reader(output: &File) -> io::Result<()> {
    let mut watched = [PollFd::new(output.as_fd(), PollFlags::empty())];
    match poll(&mut watched, PollTimeout::ZERO)? {
        0 => Ok(()),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// From here on the system holds this process to its task.
fn bound(task: &Task) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // A container may not let it, and the memory limit holds without.
    fs::write("/proc/self/oom_score_adj", FIRST_TO_GO).ok();
    if task.lowest_priority {
        rustix::process::nice(LOWEST_PRIORITY)?;
    }
    let seconds = task.processor_time.as_secs();
    limit(Resource::RLIMIT_AS, task.address_space as u64, 0)?;
    limit(Resource::RLIMIT_CPU, seconds, GRACE_SECONDS)?;
    limit(Resource::RLIMIT_CORE, 0, 0)?;
    limit(Resource::RLIMIT_FSIZE, 0, 0)?;
    limit(Resource::RLIMIT_NOFILE, DESCRIPTORS, 0)?;
    // Neither its memory nor a dump of it is for others to read.
    prctl::set_dumpable(false)?;
    Ok(())
}

/// Limits are only ever lowered, which needs no privilege.
fn limit(resource: Resource, most: u64, grace: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    setrlimit(
        resource,
        most.min(hard),
        most.saturating_add(grace).min(hard),
    )
}
