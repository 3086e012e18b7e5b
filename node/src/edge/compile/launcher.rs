//! The launcher: a process that lives as long as its node and starts a job for each task.
//!
//! It never reads a module, so nothing a module is made of can harm it.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;

use super::message::{Ending, PIECE, TEXT, Task, write_piece};
use super::process;

/// Threads of a job at most: each has a stack and a heap of its own to pay for.
const THREADS: usize = 8;
/// How often an exiting job is looked at.
const EXIT_STEP: Duration = Duration::from_millis(1);
/// How long the node may take to take a piece: it does nothing else meanwhile.
const NODE_TIMEOUT: Duration = Duration::from_secs(30);

/// Words of a process that was refused memory: of Rust's allocation, Wasmtime, the system.
const WANT_OF_MEMORY: [&str; 3] = ["memory allocation of", "out of memory", "os error 12"];

/// Serves the node at the other end of stdin until it is gone.
pub fn serve() -> ExitCode {
    match serve_node() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve_node() -> io::Result<()> {
    process::settle(c"aegis-compile")?;
    let node = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    node.set_write_timeout(Some(NODE_TIMEOUT))?;
    while let Some((task, length)) = Task::read(&node)? {
        let module = staged(&task, length, &node)?;
        let (ending, text) = match start(module) {
            Ok(job) => attend(job, &task, &node)?,
            Err(error) => (Ending::NotStarted, error.to_string()),
        };
        ending.write(&text, &node)?;
    }
    Ok(())
}

/// Task and module as a job reads them: a file without a name, so that neither process
/// waits for the other.
fn staged(task: &Task, length: u64, node: &UnixStream) -> io::Result<File> {
    let name = c"aegis-module";
    let mut file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?);
    task.write(usize::try_from(length).map_err(io::Error::other)?, &file)?;
    let copied = io::copy(&mut node.take(length), &mut file)?;
    if copied < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.rewind()?;
    Ok(file)
}

fn start(module: File) -> io::Result<Job> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    process::command("compile-job")
        .env("RAYON_NUM_THREADS", cores.min(THREADS).to_string())
        .stdin(module)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map(Job)
}

/// Passes on what the job puts out, until it ends or its time is over.
fn attend(mut job: Job, task: &Task, node: &UnixStream) -> io::Result<(Ending, String)> {
    let deadline = Instant::now() + task.wall_time;
    let mut output = job.0.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut piece = vec![0; PIECE];
    while readable(&output, node, deadline)? {
        let read = output.read(&mut piece)?;
        if read == 0 {
            return job.end(deadline);
        }
        write_piece(piece.get(..read).unwrap_or_default(), node)?;
    }
    Ok((Ending::Busy, String::new()))
}

/// Waits for something to read; false at the deadline, an error once the node is gone.
fn readable(output: &ChildStdout, node: &UnixStream, deadline: Instant) -> io::Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now());
    let mut watched = [
        PollFd::new(node.as_fd(), PollFlags::empty()),
        PollFd::new(output.as_fd(), PollFlags::POLLIN),
    ];
    poll(
        &mut watched,
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX),
    )?;
    let [of_node, of_output] = watched.map(|fd| fd.any().unwrap_or(false));
    if of_node {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    Ok(of_output)
}

/// A job, killed and reaped when dropped.
struct Job(Child);

// === impl Job ===

impl Job {
    /// How it exits, which it is about to when its output is closed.
    fn end(mut self, deadline: Instant) -> io::Result<(Ending, String)> {
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait()? {
                return Ok(ending(status, self.complaint()));
            }
            thread::sleep(EXIT_STEP);
        }
        Ok((Ending::Busy, String::new()))
    }

    /// What it wrote to stderr; of one that has exited, so nothing is waited for.
    fn complaint(&mut self) -> String {
        let mut text = Vec::new();
        if let Some(stderr) = self.0.stderr.take() {
            stderr.take(TEXT as u64).read_to_end(&mut text).ok();
        }
        let lines = String::from_utf8_lossy(&text);
        lines.trim().replace(char::is_control, " ")
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn ending(status: ExitStatus, complaint: String) -> (Ending, String) {
    if status.success() {
        return (Ending::Finished, complaint);
    }
    if status.signal() == Some(Signal::SIGXCPU as i32) {
        return (Ending::Time, complaint);
    }
    if WANT_OF_MEMORY.iter().any(|words| complaint.contains(words)) {
        return (Ending::Memory, complaint);
    }
    let end = match complaint.is_empty() {
        true => status.to_string(),
        false => format!("{status}: {complaint}"),
    };
    (Ending::Crashed, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const TASK: Task = Task {
        reservation: 1 << 20,
        processor_time: Duration::from_secs(1),
        wall_time: Duration::from_secs(20),
        address_space: 1 << 30,
        lowest_priority: false,
    };

    /// A job that does something else.
    fn shell(script: &str) -> Job {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Job(command.spawn().expect("a shell"))
    }

    fn ended(script: &str) -> (Ending, String) {
        let (node, _other_end) = UnixStream::pair().expect("two sockets");
        attend(shell(script), &TASK, &node).expect("an ending")
    }

    #[test]
    fn the_way_a_job_dies_tells_which_limit_it_was() {
        assert_eq!(ended("exit 0").0, Ending::Finished);
        assert_eq!(ended("kill -XCPU $$").0, Ending::Time);
        let refused = "echo memory allocation of 9 bytes failed >&2; kill -ABRT $$";
        assert_eq!(ended(refused).0, Ending::Memory);
        let (ending, text) = ended("kill -SEGV $$");
        assert_eq!(ending, Ending::Crashed);
        assert!(text.contains("SIGSEGV"), "{text}");
        let (ending, text) = ended("printf 'it\n\tbroke' >&2; exit 101");
        assert_eq!(ending, Ending::Crashed);
        assert!(
            text.contains("101") && text.ends_with("it  broke"),
            "{text}"
        );
    }

    #[test]
    fn a_job_that_does_not_end_is_killed_at_its_deadline() {
        let (node, _other_end) = UnixStream::pair().expect("two sockets");
        for script in ["sleep 60", "exec >&-; exec sleep 60", "yes"] {
            let task = Task {
                wall_time: Duration::from_millis(20),
                ..TASK
            };
            let listener = node.try_clone().expect("a socket");
            listener
                .set_write_timeout(Some(task.wall_time))
                .expect("a timeout");
            let ending = attend(shell(script), &task, &listener);
            let stopped = ending.map_or(true, |(ending, _)| ending == Ending::Busy);
            assert!(stopped, "{script}");
        }
    }

    #[test]
    fn a_job_ends_when_its_node_is_gone() {
        let (node, other_end) = UnixStream::pair().expect("two sockets");
        drop(other_end);
        let gone = attend(shell("sleep 60"), &TASK, &node).expect_err("nobody to tell");
        assert_eq!(gone.kind(), io::ErrorKind::ConnectionAborted);
    }
}
