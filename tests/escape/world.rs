//! The files around a process that is attacked from inside.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct World {
    pub(crate) folder: PathBuf,
}

impl World {
    pub(crate) fn make(folder: &Path) -> Self {
        let world = Self::of(folder.to_str().unwrap());
        for folder in [world.config(), world.store(), world.elsewhere()] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(world.config_file(), "config").unwrap();
        fs::write(world.secret(), "secret").unwrap();
        fs::copy("/bin/true", world.program()).unwrap();
        world
    }

    pub(crate) fn of(folder: &str) -> Self {
        let folder = PathBuf::from(folder);
        Self { folder }
    }

    /// Granted for reading, because of its file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("config")
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.config().join("aegis.toml")
    }

    /// Needed, and not there.
    pub(crate) fn absent(&self) -> PathBuf {
        self.folder.join("absent").join("module.wasm")
    }

    /// Granted for writing.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// One that can be executed, if anything can.
    pub(crate) fn program(&self) -> PathBuf {
        self.store().join("program")
    }

    /// Not granted.
    pub(crate) fn elsewhere(&self) -> PathBuf {
        self.folder.join("elsewhere")
    }

    pub(crate) fn secret(&self) -> PathBuf {
        self.elsewhere().join("secret")
    }
}
