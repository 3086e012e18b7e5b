//! A folder, and what is below it. The kernel itself keeps look-ups from leaving the folder,
//! whatever is renamed or linked meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

/// Look-ups that a rename elsewhere has disturbed are made again, at most this often.
const ATTEMPTS: usize = 8;

/// An open folder.
pub(super) struct Root(OwnedFd);

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(open(path, flags, Mode::empty())?))
    }

    /// Whether anything can be looked up at all.
    pub(super) fn check(&self) -> io::Result<()> {
        self.look_up(OsStr::new("."), OFlag::O_DIRECTORY).map(drop)
    }

    /// Opens what is called so below the folder. A symbolic link that leads out of it is no way,
    /// an absolute one neither. Nothing waits: a pipe without a writer is opened, too.
    pub(super) fn file(&self, name: &OsStr) -> io::Result<File> {
        self.look_up(name, OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
    }

    fn look_up(&self, name: &OsStr, flags: OFlag) -> io::Result<File> {
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | flags)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        for _ in 1..ATTEMPTS {
            match openat2(&self.0, name, how) {
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                opened => return Ok(opened?.into()),
            }
        }
        Ok(openat2(&self.0, name, how)?.into())
    }
}

/// Whether the name leads nowhere, or nowhere that may be shown: not what a system says that is
/// in trouble itself.
pub(super) fn is_absent(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw);
    matches!(
        number,
        Some(
            Errno::ENOENT
                | Errno::ENOTDIR
                | Errno::EACCES
                | Errno::EPERM
                | Errno::ELOOP
                | Errno::EXDEV
                | Errno::ENAMETOOLONG
                | Errno::EINVAL
                | Errno::EILSEQ
                | Errno::ENXIO
                | Errno::ENODEV
                | Errno::EOVERFLOW
        )
    )
}
