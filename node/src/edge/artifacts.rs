//! Compiled modules kept on disk, so that a restart does not compile them again.
//!
//! What is loaded becomes native code of this process, so a file counts only if nobody
//! but the node's own user can have written it: folder and file belong to that user, are
//! not writable for others, and the file's own checksum holds.

use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use sha2::{Digest, Sha256};
use tracing::warn;
use wasmtime::{Engine, Module};

use super::module::{Sha, hex, unhex};

/// Write permission for group or others.
const FOREIGN_WRITES: u32 = 0o022;
/// Bytes of the checksum in front of an artefact.
const CHECKSUM: usize = 32;

/// Of the files' names.
const SUFFIX: &str = "cwasm";
/// Digits of an engine in them.
const ENGINE: usize = 16;
/// How long a file is kept that is not used.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

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
    /// A file of more than `most` bytes of code is none that was written here.
    pub(super) fn load(&self, engine: &Engine, sha256: &Sha, most: usize) -> Option<Module> {
        let path = self.path(engine, sha256);
        let artifact = match read(&path, most) {
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
    pub(super) fn store(&self, engine: &Engine, sha256: &Sha, artifact: &[u8]) {
        let path = self.path(engine, sha256);
        if let Err(error) = write(&path, artifact) {
            warn!(file = %path.display(), %error, "a compiled module cannot be kept");
        }
    }

    /// Removes files that were not used for long, of whatever engine, unless they are of
    /// contents `in_use`. A file that is not one of the node's own is left alone.
    pub(super) fn prune(&self, in_use: impl Fn(&Sha) -> bool) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let contents = name.to_str().and_then(contents);
            if contents.is_some_and(|sha| !in_use(&sha)) && unused_for_long(&entry) {
                fs::remove_file(entry.path()).ok();
            }
        }
    }

    /// Contents and engine, version and settings included, name the file.
    fn path(&self, engine: &Engine, sha256: &Sha) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let name = format!("{}-{:016x}.{SUFFIX}", hex(sha256), hasher.finish());
        self.folder.join(name)
    }
}

/// Code for `engine`, which the node's own compiler has made.
#[expect(
    unsafe_code,
    reason = "wasmtime trusts compiled code; it comes from our own compiler, or from `read`, \
              which has checked who wrote it and that it is whole"
)]
pub(super) fn deserialize(engine: &Engine, artifact: &[u8]) -> wasmtime::Result<Module> {
    // SAFETY: either this very program has just compiled the bytes, in this process or in
    // a child that is connected to nobody else; or they were written by `write` under this
    // user and their checksum holds.
    unsafe { Module::deserialize(engine, artifact) }
}

/// The contents a file's name speaks of, if it is a name the node gives, also to what it
/// is about to write.
fn contents(name: &str) -> Option<Sha> {
    let (sha, rest) = name.split_once('-')?;
    let (engine, suffix) = rest.split_once('.')?;
    let named = engine.len() == ENGINE && (suffix == SUFFIX || suffix.len() == ENGINE);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !named || !digits(engine) || !(suffix == SUFFIX || digits(suffix)) {
        return None;
    }
    unhex(sha)
}

/// Whether the file was last used, or made, long ago.
fn unused_for_long(entry: &DirEntry) -> bool {
    let age = entry
        .metadata()
        .and_then(|metadata| metadata.modified())
        .map(|modified| modified.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age > KEPT)
}

/// The artefact without its checksum.
fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
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
    if metadata.len() > most as u64 + CHECKSUM as u64 {
        return Err(io::Error::other("it is too large"));
    }
    let mut checksum = [0; CHECKSUM];
    file.read_exact(&mut checksum)?;
    let mut artifact = Vec::new();
    file.read_to_end(&mut artifact)?;
    // So that `prune` knows what is in use, by other nodes too.
    file.set_modified(SystemTime::now()).ok();
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

    fn module(engine: &Engine) -> Vec<u8> {
        let bytes = wat::parse_str("(module (func (export \"f\")))").expect("wat");
        engine.precompile_module(&bytes).expect("a module")
    }

    const MOST: usize = 1 << 20;

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
        assert!(artifacts.load(&engine, &sha, MOST).is_none());
        artifacts.store(&engine, &sha, &module(&engine));
        assert!(artifacts.load(&engine, &sha, MOST).is_some());
        assert!(artifacts.load(&engine, &[8; 32], MOST).is_none());
        let mut config = wasmtime::Config::new();
        let other = Engine::new(config.consume_fuel(true)).expect("an engine");
        assert!(artifacts.load(&other, &sha, MOST).is_none());
    }

    #[test]
    fn a_file_that_is_damaged_or_open_to_others_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let artifacts = Artifacts::open(folder.path()).expect("it opens");
        let engine = Engine::default();
        artifacts.store(&engine, &[7; 32], &module(&engine));
        let file = only_file(folder.path());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).expect("chmod");
        assert!(artifacts.load(&engine, &[7; 32], MOST).is_none());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("chmod");
        assert!(artifacts.load(&engine, &[7; 32], MOST).is_some());
        assert!(
            artifacts.load(&engine, &[7; 32], 100).is_none(),
            "too large"
        );
        let mut bytes = fs::read(&file).expect("its bytes");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).expect("damage");
        assert!(artifacts.load(&engine, &[7; 32], MOST).is_none());
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(folder.path(), open).expect("chmod");
        assert!(Artifacts::open(folder.path()).is_err());
    }

    #[test]
    fn files_that_nobody_has_used_for_long_go_and_others_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let artifacts = Artifacts::open(folder.path()).expect("it opens");
        let engine = Engine::default();
        let long_ago = SystemTime::now() - KEPT - Duration::from_secs(60);
        let age = |path: &Path| {
            let file = File::options().write(true).open(path).expect("a file");
            file.set_modified(long_ago).expect("a time");
        };
        for byte in 1..=4 {
            artifacts.store(&engine, &[byte; 32], &module(&engine));
        }
        let aside = artifacts
            .path(&engine, &[1; 32])
            .with_extension("0123456789abcdef");
        let foreign = folder.path().join("notes.cwasm");
        for path in [&aside, &foreign] {
            fs::write(path, "x").expect("a file");
            age(path);
        }
        for byte in 1..=3 {
            age(&artifacts.path(&engine, &[byte; 32]));
        }
        assert!(artifacts.load(&engine, &[3; 32], MOST).is_some());
        artifacts.prune(|sha| *sha == [2; 32]);
        let there = |byte| artifacts.path(&engine, &[byte; 32]).exists();
        assert_eq!([1, 2, 3, 4].map(there), [false, true, true, true]);
        assert!(foreign.exists() && !aside.exists());
    }
}
