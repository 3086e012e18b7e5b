//! The file as text.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nix::fcntl::OFlag;

/// Longest file in bytes: room for some 10,000 routes.
pub(super) const LONGEST: u64 = 1 << 20;

/// Why a file is no text to be read as configuration.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be opened or read.
    #[error("cannot read the file: {0}")]
    Io(#[from] io::Error),
    /// It is a directory, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// It is longer than any configuration.
    #[error("the file is larger than 1 MiB")]
    TooLarge,
    /// It is in another encoding, or no text at all.
    #[error("line {line} is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// The first line that is not.
        line: usize,
    },
    /// It is no text at all.
    #[error("line {line} has a NUL character; the file is not text")]
    Nul {
        /// The first line that has one.
        line: usize,
    },
}

/// Reads the whole file.
pub(super) fn read(path: &Path) -> Result<String, ReadError> {
    // Without blocking: a pipe nobody writes to would hold a reload up for ever.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let mut bytes = Vec::new();
    // One byte more, to notice what is longer.
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(ReadError::TooLarge);
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let line = line_of(&bytes, at);
        return Err(ReadError::Nul { line });
    }
    String::from_utf8(bytes).map_err(|error| ReadError::NotUtf8 {
        line: line_of(error.as_bytes(), error.utf8_error().valid_up_to()),
    })
}

fn line_of(bytes: &[u8], offset: usize) -> usize {
    let newlines = bytes.iter().take(offset).filter(|byte| **byte == b'\n');
    newlines.count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(bytes: &[u8]) -> Result<String, ReadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn text_comes_back_as_it_is() {
        assert_eq!(read_bytes(b"a = 1\r\n").unwrap(), "a = 1\r\n");
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_line() {
        assert!(matches!(
            read_bytes(b"a\nb\xff"),
            Err(ReadError::NotUtf8 { line: 2 })
        ));
        assert!(matches!(
            read_bytes(b"a\nb\n\0"),
            Err(ReadError::Nul { line: 3 })
        ));
    }

    #[test]
    fn a_file_of_the_largest_size_is_read_and_a_larger_one_is_not() {
        let largest = vec![b'\n'; usize::try_from(LONGEST).unwrap()];
        assert!(read_bytes(&largest).is_ok());
        let larger = [largest.as_slice(), b"\n"].concat();
        assert!(matches!(read_bytes(&larger), Err(ReadError::TooLarge)));
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [Path::new("/dev/zero"), Path::new("/"), &pipe] {
            assert!(matches!(read(path), Err(ReadError::NotAFile)), "{path:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_says_so() {
        assert!(matches!(
            read(Path::new("/nonexistent/config.toml")),
            Err(ReadError::Io(_))
        ));
    }
}
