//! The second wall. Should a guest ever get out of its own sandbox and into the process, the
//! process itself can open nothing but the files the node needs, start no program, and make no
//! system call that serving does not take.
//!
//! Landlock holds the files, seccomp the system calls, and no new privileges are to be had. Nothing
//! of it can be taken back, for this process or any of its threads. The network is not restricted:
//! talking to it is the node's work.

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod calls;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod files;
mod grants;
mod system;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use self::grants::Grants;

/// What the node needs of the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// A file that is read. It may be replaced by renaming another one over it, so all of its
    /// folder may be read, and that of the file it is a link to; but never all of `/`.
    File(PathBuf),
    /// A folder whose files are read, and those of the folders in it.
    Folder(PathBuf),
    /// A folder whose files are read, written, made, renamed and removed.
    Store(PathBuf),
    /// A unix socket that is connected to. The kernel cannot be told which one: with one, all
    /// that the process's user may connect to can be reached.
    Socket(PathBuf),
}

/// What a sandboxed process may use. The sandbox outlives it.
#[derive(Debug)]
pub struct Sandbox {
    grants: Grants,
    /// Rules on entries of `/proc` count only as long as somebody holds these entries.
    _held: Vec<File>,
}

/// Why the process cannot be sandboxed. It must not go on: part of the sandbox may be in place.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Files are held for the calling thread and its children only.
    #[error("the process has {0} threads, it must be sandboxed while it has one")]
    Threads(usize),
    /// What must be known before cannot be.
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Writing below `/` is writing anywhere.
    #[error("/ cannot be granted as a folder: name one below it")]
    Root,
    /// No landlock, or one that cannot do enough.
    #[error(
        "files cannot be held by landlock, which takes Linux 6.2 or newer with landlock switched on: {0}"
    )]
    Files(String),
    /// No seccomp, or a filter the kernel does not take.
    #[error("system calls cannot be held by seccomp, which the kernel must allow: {0}")]
    Calls(String),
    /// There are no rules for this system.
    #[error("there is a sandbox only on Linux on x86_64 and aarch64")]
    Platform,
}

/// Sandboxes the process, for good. Call it before there is a second thread.
///
/// What is needed and not there is not granted, should it come later; folders of [`Need::Store`]
/// must be there.
///
/// # Errors
/// When any part of it cannot be had in full; then the process must end.
pub fn enter(needs: &[Need]) -> Result<Sandbox, SandboxError> {
    alone()?;
    let grants = Grants::new(needs)?;
    let held = wall_up(&grants)?;
    Ok(Sandbox {
        grants,
        _held: held,
    })
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn wall_up(grants: &Grants) -> Result<Vec<File>, SandboxError> {
    // All that can fail without leaving anything behind comes first.
    let calls = calls::Filters::new(std::process::id(), grants.sockets)?;
    let held = files::restrict(grants)?;
    calls.apply()?;
    Ok(held)
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
fn wall_up(_: &Grants) -> Result<Vec<File>, SandboxError> {
    Err(SandboxError::Platform)
}

fn alone() -> Result<(), SandboxError> {
    let tasks = Path::new("/proc/self/task");
    let unreadable = |source| SandboxError::Unreadable {
        path: tasks.to_owned(),
        source,
    };
    match tasks.read_dir().map_err(unreadable)?.count() {
        1 => Ok(()),
        threads => Err(SandboxError::Threads(threads)),
    }
}

// === impl Need ===

impl Need {
    /// The file or folder itself.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Folder(path) | Self::Store(path) | Self::Socket(path) => path,
        }
    }

    /// What it is needed for.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::File(_) | Self::Folder(_) => "read",
            Self::Store(_) => "write",
            Self::Socket(_) => "connect to",
        }
    }
}

// === impl Sandbox ===

impl Sandbox {
    /// Whether this was granted, as far as it is there.
    pub fn covers(&self, need: &Need) -> bool {
        self.grants.cover(need)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_refused_before_anything_is_done() {
        // The test harness has threads.
        assert!(matches!(enter(&[]), Err(SandboxError::Threads(2..))));
        assert!(std::fs::read("/etc/passwd").is_ok());
    }
}
