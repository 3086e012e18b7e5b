//! What can be wrong with the files of a listener.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rustls::server::VerifierBuilderError;
use thiserror::Error;

use crate::trust::TrustError;

/// Something wrong, and the key that says so.
#[derive(Debug)]
pub struct TlsProblem {
    /// Below the listener, such as `certificates[0].cert`.
    pub key: String,
    /// What it is.
    pub error: TlsError,
}

impl TlsProblem {
    pub(super) fn of(key: &str, error: TlsError) -> Self {
        let key = key.to_owned();
        Self { key, error }
    }
}

/// Why TLS could not be spoken.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file of the certificate or the key.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
        /// Which of the two.
        kind: Kind,
    },
    /// A file without what it is named for.
    #[error("{} holds no PEM {kind}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        kind: Kind,
    },
    /// A certificate that is none.
    #[error("a certificate in {} is malformed: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// There is nobody to ask for a passphrase.
    #[error("the private key in {} is encrypted", path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// A key that is none, or of a kind that TLS has no use for.
    #[error("the private key in {} cannot be used: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What the library says.
        reason: String,
    },
    /// Key and certificate are not a pair.
    #[error("the private key in {} is not that of the certificate in {}", key.display(), cert.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        cert: PathBuf,
    },
    /// Two certificates of a listener are for one name.
    #[error("the certificate in {} is for {name}, as an earlier one of this listener is", path.display())]
    NameTaken {
        /// The later one's file.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// Clients ask for names.
    #[error("the certificate in {} is for no name, so no client would get it", path.display())]
    Nameless {
        /// The file.
        path: PathBuf,
    },
    /// The authorities of clients cannot be used.
    #[error(transparent)]
    Authorities(#[from] TrustError),
    /// The TLS library refuses its settings.
    #[error("cannot set up tls: {0}")]
    Setup(String),
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A certificate.
    Certificate,
    /// A private key.
    Key,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Key => "private key",
        })
    }
}

// === impl TlsError ===

impl TlsError {
    /// Which of the two files of a certificate it is about.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::Unreadable { kind, .. } | Self::Missing { kind, .. } => match kind {
                Kind::Certificate => "cert",
                Kind::Key => "key",
            },
            Self::Encrypted { .. } | Self::Key { .. } | Self::Mismatch { .. } => "key",
            Self::Malformed { .. }
            | Self::NameTaken { .. }
            | Self::Nameless { .. }
            | Self::Authorities(_)
            | Self::Setup(_) => "cert",
        }
    }

    /// What would be right.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "name a file that the node's user can read",
            Self::Missing { kind, .. } => match kind {
                Kind::Certificate => "name a PEM file that begins with the certificate",
                Kind::Key => "name a PEM file with the certificate's private key",
            },
            Self::Malformed { .. } => {
                "name a file with certificates as their authority issued them"
            }
            Self::Encrypted { .. } => "decrypt it, with `openssl pkey` for example",
            Self::Key { .. } => "name an RSA, ECDSA (P-256, P-384, P-521) or Ed25519 key",
            Self::Mismatch { .. } => "name the two files of one certificate",
            Self::NameTaken { .. } => "remove one of the two",
            Self::Nameless { .. } => {
                "use one with DNS names (subjectAltName), or put it first: it is then for all names that no other is for"
            }
            Self::Authorities(_) => "name a PEM file with the certificates of authorities",
            Self::Setup(_) => "correct the certificates of the listener",
        }
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Setup(error.to_string())
    }
}

impl From<VerifierBuilderError> for TlsError {
    fn from(error: VerifierBuilderError) -> Self {
        Self::Setup(error.to_string())
    }
}
