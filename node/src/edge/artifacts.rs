//! Compiled modules kept on disk, so that a restart does not compile them again.
//!
//! What is loaded becomes native code of this process, so a file counts only if nobody
//! but the node's own user can have written it: folder and file belong to that user, are
//! not writable for others, and the file's own checksum holds.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use sha2::{Digest, Sha256};
use tracing::warn;
use wasmtime::{Engine, Module};

use super::module::{Sha, hex};

/// Write permission for group or others.
const FOREIGN_WRITES: u32 = 0o022;
/// Bytes of the checksum in front of an artefact.
const CHECKSUM: usize = 32;

/// A folder of compiled modules.
#[derive(Debug)]
pub(super) struct Artifacts {
    folder: PathBuf,
}

impl Artifacts {
    /// Makes the folder if need be.
    ///
    /// # Errors
    /// When it cannot be made, or others could write into it.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        check_owner(&fs::metadata(folder)?)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The compiled module of these contents for this engine, if it is there and sound.
    pub(super) fn load(&self, engine: &Engine, sha256: &Sha) -> Option<Module> {
        let path = self.path(engine, sha256);
        let artifact = match read(&path) {
            Ok(artifact) => artifact,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(file = %path.display(), %error, "a compiled module is not used");
                return None;
            }
        };
        deserialize(engine, &artifact)
            .inspect_err(
                |error| warn!(file = %path.display(), %error, "a compiled module is not used"),
            )
            .ok()
    }

    /// Keeps a compiled module. A failure costs only the next start's time.
    pub(super) fn store(&self, engine: &Engine, sha256: &Sha, module: &Module) {
        let path = self.path(engine, sha256);
        let written = module
            .serialize()
            .map_err(io::Error::other)
            .and_then(|artifact| write(&path, &artifact));
        if let Err(error) = written {
            warn!(file = %path.display(), %error, "a compiled module cannot be kept");
        }
    }

    /// Contents and engine, version and settings included, name the file.
    fn path(&self, engine: &Engine, sha256: &Sha) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let name = format!("{}-{:016x}.cwasm", hex(sha256), hasher.finish());
        self.folder.join(name)
    }
}

#[expect(
    unsafe_code,
    reason = "wasmtime trusts compiled code; `read` has checked who wrote it and that it is whole"
)]
fn deserialize(engine: &Engine, artifact: &[u8]) -> wasmtime::Result<Module> {
    // SAFETY: the bytes were written by `write` under this user and their checksum holds.
    unsafe { Module::deserialize(engine, artifact) }
}

/// The artefact without its checksum.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)?;
    let metadata = file.metadata()?;
    check_owner(&metadata)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut checksum = [0; CHECKSUM];
    file.read_exact(&mut checksum)?;
    let mut artifact = Vec::new();
    file.read_to_end(&mut artifact)?;
    if Sha256::digest(&artifact)[..] != checksum {
        return Err(io::Error::other("its checksum does not hold"));
    }
    Ok(artifact)
}

/// Written aside and moved, so that no reader meets half a file.
fn write(path: &Path, artifact: &[u8]) -> io::Result<()> {
    let aside = path.with_extension(format!("{:016x}", fastrand::u64(..)));
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)?;
    let written = file
        .write_all(&Sha256::digest(artifact))
        .and_then(|()| file.write_all(artifact))
        .and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        fs::remove_file(&aside).ok();
    }
    written
}

fn check_owner(metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.uid() != geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & FOREIGN_WRITES != 0 {
        return Err(io::Error::other("others may write to it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn module(engine: &Engine) -> Module {
        let bytes = wat::parse_str("(module (func (export \"f\")))").expect("wat");
        Module::from_binary(engine, &bytes).expect("a module")
    }

    fn only_file(folder: &Path) -> PathBuf {
        let mut files = fs::read_dir(folder).expect("a folder");
        files.next().expect("a file").expect("an entry").path()
    }

    #[test]
    fn a_kept_module_is_found_again_by_the_same_engine_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let artifacts = Artifacts::open(folder.path()).expect("it opens");
        let engine = Engine::default();
        let sha = [7; 32];
        assert!(artifacts.load(&engine, &sha).is_none());
        artifacts.store(&engine, &sha, &module(&engine));
        assert!(artifacts.load(&engine, &sha).is_some());
        assert!(artifacts.load(&engine, &[8; 32]).is_none());
        let mut config = wasmtime::Config::new();
        let other = Engine::new(config.consume_fuel(true)).expect("an engine");
        assert!(artifacts.load(&other, &sha).is_none());
    }

    #[test]
    fn a_file_that_is_damaged_or_open_to_others_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let artifacts = Artifacts::open(folder.path()).expect("it opens");
        let engine = Engine::default();
        artifacts.store(&engine, &[7; 32], &module(&engine));
        let file = only_file(folder.path());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).expect("chmod");
        assert!(artifacts.load(&engine, &[7; 32]).is_none());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("chmod");
        assert!(artifacts.load(&engine, &[7; 32]).is_some());
        let mut bytes = fs::read(&file).expect("its bytes");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).expect("damage");
        assert!(artifacts.load(&engine, &[7; 32]).is_none());
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(folder.path(), open).expect("chmod");
        assert!(Artifacts::open(folder.path()).is_err());
    }
}
