//! A certificate with its key, as one end of a connection shows it to the other.

use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;

use super::text;

/// A chain, its leaf first, and the leaf's private key.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Why files are no identity.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The file of certificates cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file of the key cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file of certificates has none, or is no PEM file.
    #[error("{} holds no PEM certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file of the key has none, or is no PEM file.
    #[error("{} holds no PEM private key", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The two do not belong together, or the library knows no such key.
    #[error("the key and the first certificate cannot be used: {0}")]
    Unusable(#[source] rustls::Error),
}

impl IdentityError {
    /// Whether the file of the key is to blame.
    pub(crate) fn is_of_the_key(&self) -> bool {
        match self {
            Self::Certificates { .. } | Self::NoCertificate { .. } => false,
            Self::Key { .. } | Self::NoKey { .. } | Self::Unusable(_) => true,
        }
    }
}

/// Reads both files, and holds them against each other.
pub(crate) fn identity(chain: &Path, key: &Path) -> Result<Identity, IdentityError> {
    let identity = Identity {
        chain: certificates(chain)?,
        key: private_key(key)?,
    };
    let provider = rustls::crypto::ring::default_provider();
    let certificates = identity.chain.clone();
    CertifiedKey::from_der(certificates, identity.key.clone_key(), &provider)
        .map_err(IdentityError::Unusable)?;
    Ok(identity)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let path = || path.to_owned();
    let text = text(&path()).map_err(|source| IdentityError::Certificates {
        path: path(),
        source,
    })?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(IdentityError::NoCertificate { path: path() }),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let path = || path.to_owned();
    let text = text(&path()).map_err(|source| IdentityError::Key {
        path: path(),
        source,
    })?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| IdentityError::NoKey { path: path() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn pair() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_key_are_an_identity() {
        let (chain, key) = pair();
        let (chain, key) = (file(&chain), file(&key));
        let identity = identity(chain.path(), key.path()).unwrap();
        assert_eq!(identity.chain.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_file() {
        let ((chain, key), (_, other)) = (pair(), pair());
        let (chain, key, other) = (file(&chain), file(&key), file(&other));
        let absent = Path::new("/nowhere.pem");
        for (cert, key, message, of_the_key) in [
            (absent, key.path(), "cannot read /nowhere.pem", false),
            (chain.path(), absent, "cannot read /nowhere.pem", true),
            (key.path(), key.path(), "holds no PEM certificate", false),
            (chain.path(), chain.path(), "holds no PEM private key", true),
            (chain.path(), other.path(), "cannot be used", true),
        ] {
            let error = identity(cert, key).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert_eq!(error.is_of_the_key(), of_the_key, "{error}");
        }
    }
}
