//! What the operator decides about the cache.

use std::path::PathBuf;
use std::time::Duration;

use super::StoreUrl;

const MIB: u64 = 1024 * 1024;

/// The settings of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where entries are kept.
    pub store: StoreSettings,
    /// The lifetime of entries set without one: from one second to one year; parts of a second
    /// are dropped. Default: 1 hour.
    pub default_ttl: Duration,
    /// How long one operation on a store outside the process may take. Default: 250 ms.
    pub timeout: Duration,
    /// Copies of hot entries in this process, in front of a store outside it; the in-process store
    /// needs none. Default: none.
    pub near: Option<NearSettings>,
}

/// The settings of the copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearSettings {
    /// What they may take together, in bytes. Default: 64 MiB.
    pub capacity: u64,
    /// How old what they answer may be. Default: 1 s.
    pub ttl: Duration,
}

/// Which store, and what belongs to that one only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSettings {
    /// In this process's memory; lost when it ends.
    Embedded {
        /// What all namespaces together may hold, in bytes. Default: 64 MiB.
        capacity: u64,
        /// What one namespace may hold, in bytes. Default: 16 MiB.
        namespace_capacity: u64,
    },
    /// DragonflyDB or Redis.
    Dragonfly {
        /// Its address and credentials.
        url: StoreUrl,
        /// Where the password is, if not in the address.
        password_file: Option<PathBuf>,
        /// PEM file of certificates to trust besides the system's, if the connection is over TLS.
        ca_file: Option<PathBuf>,
    },
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            store: StoreSettings::default(),
            default_ttl: Duration::from_secs(60 * 60),
            timeout: Duration::from_millis(250),
            near: None,
        }
    }
}

impl Default for NearSettings {
    fn default() -> Self {
        Self {
            capacity: 64 * MIB,
            ttl: Duration::from_secs(1),
        }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self::Embedded {
            capacity: 64 * MIB,
            namespace_capacity: 16 * MIB,
        }
    }
}
