//! What of a folder is served, and how.

use std::path::PathBuf;

use http::HeaderValue;

use crate::coding::Coding;

/// `files` of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder.
    pub root: PathBuf,
    /// Names of files that are shown for a folder, the first that is there.
    pub index: Vec<String>,
    /// The file below the root that is shown for what is not there.
    pub fallback: Option<String>,
    /// `Cache-Control` of every answer from a file.
    pub cache_control: Option<HeaderValue>,
    /// Codings of which there may be files beside the plain ones, the preferred first.
    pub precompressed: Vec<Coding>,
    /// Whether names that begin with a dot are shown.
    pub hidden: bool,
}

impl Settings {
    /// Everything but the folder as it is unless said otherwise.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            index: vec!["index.html".to_owned()],
            fallback: None,
            cache_control: None,
            precompressed: Vec::new(),
            hidden: false,
        }
    }
}
