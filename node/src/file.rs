//! Small files that the configuration names.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

/// The first `most` bytes of a regular file, which is all of a shorter one.
///
/// # Errors
///
/// When it cannot be read, or is a directory, a pipe or a device: those may never end, or never
/// begin.
pub(crate) fn start(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    // Without blocking: opening a pipe would wait for who writes to it.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    let mut bytes = Vec::new();
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_was_asked_for() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "12345").unwrap();
        for (most, expected) in [(0, ""), (4, "1234"), (5, "12345"), (6, "12345")] {
            assert_eq!(start(file.path(), most).unwrap(), expected.as_bytes());
        }
    }

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let devices = [Path::new("/dev/zero"), Path::new("/dev/null")];
        for path in [folder.path(), &pipe].into_iter().chain(devices) {
            let error = start(path, 1).unwrap_err();
            assert_eq!(error.to_string(), "not a regular file", "{path:?}");
        }
    }
}
