//! `[server] sandbox`: what the configuration names is granted at the start, and a later one may
//! name nothing else.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::config::Config;
use crate::sandbox::{self, Need, Sandbox, SandboxError};

/// Sandboxes the process for this configuration and the file it is from, if it says so.
pub(super) fn enter(file: &Path, config: &Config) -> Result<Option<Sandbox>, SandboxError> {
    if !config.server.sandbox {
        return Ok(None);
    }
    let named = config.paths().into_iter().map(|path| path.need);
    let needs: Vec<Need> = named
        .chain([Need::File(file.to_owned())])
        .filter(|need| match need {
            Need::File(_) | Need::Folder(_) | Need::Socket(_) => true,
            // What is in the way will be in the way of whoever opens it, and be told then.
            Need::Store(folder) => make(folder).is_ok(),
        })
        .collect();
    sandbox::enter(&needs).map(Some)
}

/// Rules are for what exists.
fn make(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// What a configuration names that was not granted, one line each.
pub(super) fn outside(sandbox: &Sandbox, config: &Config) -> Vec<String> {
    let paths = config.paths().into_iter();
    paths
        .filter(|path| !sandbox.covers(&path.need))
        .map(|path| {
            format!(
                "{}: {} is outside what the sandbox may {}, which needs a restart",
                path.key,
                path.need.path().display(),
                path.need.verb(),
            )
        })
        .collect()
}
