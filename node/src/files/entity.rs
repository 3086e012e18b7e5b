//! A file that is open, and how it is found.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

use super::FilesError;
use super::root::{Root, is_absent};
use super::tag::EntityTag;
use crate::coding::Coding;

/// A file that was written to so lately may be written to again without its time telling.
const FRESH: Duration = Duration::from_secs(2);

const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A regular file.
#[derive(Debug)]
pub(super) struct Entity {
    pub(super) file: File,
    /// Of the plain file, also where this is one in a coding.
    name: OsString,
    pub(super) size: u64,
    pub(super) coding: Option<Coding>,
    modified: SystemTime,
}

/// What there is under a name.
pub(super) enum Found {
    Entity(Entity),
    /// A folder that has something to show, asked for without the slash at its end.
    Folder,
}

/// Looks a name up; of a folder, the first of `index` that is there.
pub(super) fn find(root: &Root, name: &OsStr, index: &[String]) -> Result<Found, FilesError> {
    let file = root.file(name).map_err(absent)?;
    let metadata = file.metadata()?;
    if !metadata.is_dir() {
        return Ok(Found::Entity(Entity::of(file, &metadata, name)?));
    }
    let is_asked_for_as_folder = name.as_bytes().ends_with(b"/");
    for index in index {
        match Entity::open(root, Path::new(name).join(index)) {
            Err(FilesError::NotFound) => {}
            Ok(_) if !is_asked_for_as_folder => return Ok(Found::Folder),
            found => return found.map(Found::Entity),
        }
    }
    Err(FilesError::NotFound)
}

fn absent(error: io::Error) -> FilesError {
    match is_absent(&error) {
        true => FilesError::NotFound,
        false => FilesError::Unreadable(error),
    }
}

impl Entity {
    /// The regular file of this name.
    pub(super) fn open(root: &Root, name: impl AsRef<OsStr>) -> Result<Self, FilesError> {
        let file = root.file(name.as_ref()).map_err(absent)?;
        let metadata = file.metadata()?;
        Self::of(file, &metadata, name.as_ref())
    }

    fn of(file: File, metadata: &Metadata, name: &OsStr) -> Result<Self, FilesError> {
        if !metadata.is_file() {
            return Err(FilesError::NotFound);
        }
        Ok(Self {
            file,
            name: name.to_owned(),
            size: metadata.len(),
            coding: None,
            modified: metadata.modified()?,
        })
    }

    /// The same in this coding, if there is such a file beside it that is not older.
    pub(super) fn in_coding(&self, root: &Root, coding: Coding) -> Option<Self> {
        let mut name = self.name.clone();
        name.push(coding.suffix());
        let encoded = Self::open(root, &name).ok()?;
        (encoded.modified >= self.modified).then(|| Self {
            name: self.name.clone(),
            coding: Some(coding),
            ..encoded
        })
    }

    /// Made of the time of the last change and the size, so that it is the same on every node
    /// with the same files. Weak as long as the file may change without its time.
    pub(super) fn tag(&self) -> EntityTag {
        let time = self.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let age = SystemTime::now().duration_since(self.modified);
        let weak = age.is_ok_and(|age| age < FRESH);
        EntityTag::new(format!("{:x}-{:x}", time.as_nanos(), self.size), weak)
    }

    /// Of the last change, in whole seconds; none from the future, and none that cannot be written
    /// (RFC 9110, section 8.8.2.1).
    pub(super) fn modified(&self) -> Option<SystemTime> {
        let time = self.modified.duration_since(UNIX_EPOCH).ok()?;
        let whole = UNIX_EPOCH + Duration::from_secs(time.as_secs());
        (whole <= SystemTime::now()).then_some(whole)
    }

    /// By the ending of its name. Text is UTF-8.
    pub(super) fn media_type(&self) -> HeaderValue {
        let Some(media) = mime_guess::from_path(Path::new(&self.name)).first_raw() else {
            return UNKNOWN;
        };
        // The one that counts since RFC 9239.
        let media = media.replace("application/javascript", "text/javascript");
        let text = match media.starts_with("text/") {
            true => media + "; charset=utf-8",
            false => media,
        };
        HeaderValue::try_from(text).unwrap_or(UNKNOWN)
    }
}
