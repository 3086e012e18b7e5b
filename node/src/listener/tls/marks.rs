//! Whether files are still those that were read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::listener::settings::TlsSettings;

/// What tells a file's content from another without reading it, for each file; links are
/// followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks(Vec<Option<Mark>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds of the last change to content, then to the inode.
    changed: [i64; 4],
}

impl Marks {
    pub(crate) fn of(settings: &TlsSettings) -> Self {
        Self(settings.files().map(|file| Mark::of(file)).collect())
    }
}

impl Mark {
    /// `None` for what is not there.
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: [
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            ],
        })
    }
}
