//! Static files: from a request to an open file below a folder, and to what of it is answered.
//!
//! All of it blocks, as file systems do: callers run it where that holds up nobody.

mod answer;
mod entity;
mod location;
mod preconditions;
mod range;
mod root;
mod settings;
mod tag;

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;

pub use answer::{Answer, Asked, Content};
pub use settings::Settings;
pub use tag::{EntityTag, listed};

use self::entity::{Entity, Found};
use self::root::Root;

/// Reads of one route that block at once. Those past it wait; they are as many as there are
/// requests at most.
const READS: usize = 64;

/// What a route serves.
#[derive(Debug)]
pub struct Files {
    settings: Settings,
    /// What of a path comes before the part that is looked up.
    prefix: Box<str>,
    /// Room for reads that block.
    reads: Arc<Semaphore>,
}

/// Why there is no answer from a file.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// No such file, or none that may be shown.
    #[error("there is no such file")]
    NotFound,
    /// The system could not say, or the file became shorter than it was.
    #[error("cannot read: {0}")]
    Unreadable(#[from] io::Error),
}

impl Files {
    /// Serves the files below `settings.root`, for paths below `prefix`.
    ///
    /// # Errors
    /// When the root is no folder, or the system cannot hold look-ups within one.
    pub fn new(settings: Settings, prefix: &str) -> io::Result<Self> {
        Root::open(&settings.root)?.check()?;
        Ok(Self {
            settings,
            prefix: prefix.into(),
            reads: Arc::new(Semaphore::new(READS)),
        })
    }

    /// Whether this is what `other` serves.
    pub fn is_same(&self, other: &Self) -> bool {
        self.settings == other.settings && self.prefix == other.prefix
    }

    /// Where the files are.
    pub fn root(&self) -> &Path {
        &self.settings.root
    }

    /// Room for reads that block, one for each.
    pub fn reads(&self) -> &Arc<Semaphore> {
        &self.reads
    }

    /// What is answered, by a GET or HEAD.
    ///
    /// # Errors
    /// [`FilesError::NotFound`], or that of the system.
    pub fn answer(&self, asked: &Asked) -> Result<Answer, FilesError> {
        // Anew each time: a folder that was replaced is found.
        let root = Root::open(&self.settings.root)?;
        match self.find(&root, asked) {
            Ok(Found::Entity(entity)) => Ok(self.show(&root, entity, asked)?),
            Ok(Found::Folder) => Ok(Answer::redirect(asked)),
            Err(FilesError::NotFound) => {
                let fallback = self.settings.fallback.as_deref();
                let name = fallback.ok_or(FilesError::NotFound)?;
                let entity = Entity::open(&root, name)?;
                Ok(self.show(&root, entity, asked)?)
            }
            Err(error) => Err(error),
        }
    }

    fn find(&self, root: &Root, asked: &Asked) -> Result<Found, FilesError> {
        let below = location::below(&asked.path, &self.prefix).ok_or(FilesError::NotFound)?;
        let name = location::decoded(below, self.settings.hidden).ok_or(FilesError::NotFound)?;
        entity::find(root, &name, &self.settings.index)
    }

    fn show(&self, root: &Root, entity: Entity, asked: &Asked) -> io::Result<Answer> {
        let ranked = asked.accepted.ranked(&self.settings.precompressed);
        let entity = ranked
            .into_iter()
            .find_map(|coding| entity.in_coding(root, coding))
            .unwrap_or(entity);
        Answer::of(entity, asked, &self.settings)
    }
}

#[cfg(test)]
mod tests;
