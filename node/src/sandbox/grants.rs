//! What is granted: folders, as the system knows them.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Need, SandboxError};

/// Files and folders that exist, by their real paths.
#[derive(Debug, Default)]
pub(super) struct Grants {
    pub(super) read: Vec<PathBuf>,
    pub(super) write: Vec<PathBuf>,
    pub(super) sockets: UnixSockets,
    readable: HashSet<Identity>,
    writable: HashSet<Identity>,
}

/// Whether unix sockets can be made, to connect to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum UnixSockets {
    #[default]
    Denied,
    Allowed,
}

/// Device and inode: a rule stays with these, whatever takes over the path.
type Identity = (u64, u64);

// === impl Grants ===

impl Grants {
    /// What these needs come to.
    pub(super) fn new(needs: &[Need]) -> Result<Self, SandboxError> {
        let mut grants = Self::default();
        for need in needs {
            match need {
                Need::File(file) => file_folders(file)
                    .into_iter()
                    .for_each(|path| grants.grant_reading(path)),
                Need::Folder(folder) => grants.grant_folder(folder)?,
                Need::Store(folder) => grants.grant_writing(folder)?,
                Need::Socket(_) => grants.sockets = UnixSockets::Allowed,
            }
        }
        Ok(grants)
    }

    fn grant_reading(&mut self, path: PathBuf) {
        if let Ok(metadata) = fs::metadata(&path)
            && self.readable.insert(identity(&metadata))
        {
            self.read.push(path);
        }
    }

    /// One that is not there is reported by whoever uses it.
    fn grant_folder(&mut self, folder: &Path) -> Result<(), SandboxError> {
        let Ok(folder) = folder.canonicalize() else {
            return Ok(());
        };
        not_root(&folder)?;
        self.grant_reading(folder);
        Ok(())
    }

    fn grant_writing(&mut self, folder: &Path) -> Result<(), SandboxError> {
        let unreadable = |source| SandboxError::Unreadable {
            path: folder.to_owned(),
            source,
        };
        let folder = folder.canonicalize().map_err(unreadable)?;
        not_root(&folder)?;
        let identity = identity(&fs::metadata(&folder).map_err(unreadable)?);
        self.readable.insert(identity);
        if self.writable.insert(identity) {
            self.write.push(folder);
        }
        Ok(())
    }

    /// Whether `need` was granted. What does not exist is nobody's business yet.
    pub(super) fn cover(&self, need: &Need) -> bool {
        let granted = match need {
            Need::File(_) | Need::Folder(_) => &self.readable,
            Need::Store(_) => &self.writable,
            Need::Socket(_) => return self.sockets == UnixSockets::Allowed,
        };
        let path = need.path();
        let there = path.canonicalize();
        let there = there.or_else(|_| folder_of(path).canonicalize());
        let is_granted = |path: &Path| {
            fs::metadata(path).is_ok_and(|metadata| granted.contains(&identity(&metadata)))
        };
        there.is_ok_and(|path| path.ancestors().any(is_granted)) || nowhere(path)
    }
}

/// The folder of a file, and that of the file it is a link to; of `/`, the file alone.
fn file_folders(file: &Path) -> Vec<PathBuf> {
    let real = file.canonicalize();
    let folders = [
        Ok(folder_of(file).to_owned()),
        real.as_deref().map(folder_of).map(Path::to_owned),
    ];
    let mut granted = Vec::new();
    for folder in folders.into_iter().flatten() {
        match folder.canonicalize() {
            Ok(folder) if folder.parent().is_none() => granted.extend(real.as_ref().ok().cloned()),
            Ok(folder) => granted.push(folder),
            Err(_) => {}
        }
    }
    granted
}

/// Of a bare name, the current folder.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => file,
    }
}

fn not_root(folder: &Path) -> Result<(), SandboxError> {
    match folder.parent() {
        Some(_) => Ok(()),
        None => Err(SandboxError::Root),
    }
}

/// Not even its folder exists.
fn nowhere(path: &Path) -> bool {
    !path.exists() && !folder_of(path).exists()
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn file(path: &Path) -> Need {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        Need::File(path.to_owned())
    }

    #[test]
    fn a_file_grants_its_folder_and_all_below_and_nothing_above_or_beside() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| file(&folder.path().join(path));
        let (above, beside) = (at("above"), at("beside/file"));
        let grants = Grants::new(&[at("granted/file")]).unwrap();
        for covered in [at("granted/other"), at("granted/below/file")] {
            assert!(grants.cover(&covered), "{covered:?}");
        }
        for outside in [above, beside, Need::Store(folder.path().join("granted"))] {
            assert!(!grants.cover(&outside), "{outside:?}");
        }
    }

    #[test]
    fn a_link_grants_its_own_folder_and_that_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let (real, other) = (file(&at("real/file")), file(&at("other/file")));
        drop(file(&at("links/file")));
        symlink(at("real/file"), at("links/link")).unwrap();
        symlink(at("other/file"), at("links/stray")).unwrap();
        let grants = Grants::new(&[Need::File(at("links/link"))]).unwrap();
        assert!(grants.cover(&real) && grants.cover(&Need::File(at("links/file"))));
        assert!(!grants.cover(&other) && !grants.cover(&Need::File(at("links/stray"))));
    }

    #[test]
    fn another_folder_of_the_same_name_is_not_granted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let grants = Grants::new(&[file(&at("granted/file"))]).unwrap();
        fs::rename(at("granted"), at("moved")).unwrap();
        assert!(grants.cover(&Need::File(at("moved/file"))));
        assert!(!grants.cover(&file(&at("granted/file"))));
    }

    #[test]
    fn what_is_not_there_is_granted_as_far_as_its_folder_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| Need::File(folder.path().join(path));
        let grants = Grants::new(&[at("absent/file")]).unwrap();
        // Whoever reads it says that it is not there.
        assert!(grants.cover(&at("absent/file")));
        assert!(!grants.cover(&at("absent")));
        let grants = Grants::new(&[at("file")]).unwrap();
        assert!(grants.cover(&at("later")));
    }

    #[test]
    fn a_folder_is_granted_with_all_below_and_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let (below, beside) = (file(&at("site/css/a")), file(&at("beside")));
        symlink("site", at("link")).unwrap();
        for name in ["site", "link"] {
            let need = Need::Folder(at(name));
            let grants = Grants::new(std::slice::from_ref(&need)).unwrap();
            assert!(grants.cover(&need) && grants.cover(&below), "{name}");
            assert!(!grants.cover(&beside), "{name}");
            assert!(!grants.cover(&Need::Store(at("site"))), "{name}");
        }
        assert!(Grants::new(&[Need::Folder(at("absent"))]).is_ok());
        assert!(Grants::new(&[Need::Folder("/".into())]).is_err());
    }

    #[test]
    fn of_the_root_only_the_file_is_granted() {
        assert!(file_folders(Path::new("/absent.toml")).is_empty());
        assert!(matches!(
            Grants::new(&[Need::Store("/".into())]),
            Err(SandboxError::Root)
        ));
    }

    #[test]
    fn one_socket_grants_sockets_but_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let socket = Need::Socket(folder.path().join("socket"));
        let beside = file(&folder.path().join("beside"));
        assert!(
            !Grants::new(std::slice::from_ref(&beside))
                .unwrap()
                .cover(&socket)
        );
        let grants = Grants::new(&[socket]).unwrap();
        assert!(grants.cover(&Need::Socket("/elsewhere".into())));
        assert!(!grants.cover(&beside));
    }
}
