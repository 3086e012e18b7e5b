//! Whose certificates are trusted: the system's authorities, and those of a `ca_file`.

mod identity;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use thiserror::Error;

pub(crate) use self::identity::{IdentityError, identity};

use crate::file;

/// The longest file of trust anchors, in bytes: those of a system have a quarter of a megabyte.
const LONGEST: usize = 4 * 1024 * 1024;

/// Why certificates could not be verified.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The file of trust anchors cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file of trust anchors is no PEM file, or one without certificates.
    #[error("{} holds no PEM certificate", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A certificate of the file cannot be a trust anchor.
    #[error("certificate {number} of {} is no trust anchor: {source}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// Neither the system nor a file has any.
    #[error(
        "the system has no certificate authorities: install the package `ca-certificates`, \
         or name a PEM file in `ca_file`"
    )]
    NoRoots,
    /// The TLS library refuses its settings.
    #[error("cannot set up tls: {0}")]
    Tls(#[source] rustls::Error),
}

/// Reads the trust anchors of `ca_file`; every one must be usable.
pub(crate) fn anchors(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let text = text(path).map_err(|source| TrustError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .unwrap_or_default();
    if certificates.is_empty() {
        return Err(TrustError::Empty {
            path: path.to_owned(),
        });
    }
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        store
            .add(certificate.clone())
            .map_err(|source| TrustError::Certificate {
                path: path.to_owned(),
                number: index + 1,
                source,
            })?;
    }
    Ok(certificates)
}

/// What is in a `ca_file`.
pub(crate) fn text(path: &Path) -> io::Result<Vec<u8>> {
    let text = file::start(path, LONGEST + 1)?;
    if text.len() > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than 4 MiB",
        ));
    }
    Ok(text)
}

/// Whether the system has authorities. Libraries read them once, so this does too.
///
/// # Errors
/// [`TrustError::NoRoots`].
pub(crate) fn system_anchors() -> Result<(), TrustError> {
    static THERE: OnceLock<bool> = OnceLock::new();
    match THERE.get_or_init(|| client_config(Vec::new()).is_ok()) {
        true => Ok(()),
        false => Err(TrustError::NoRoots),
    }
}

/// A client's TLS 1.2 and 1.3 with every certificate verified, against the system's authorities
/// and these anchors. One of the two must be there.
pub(crate) fn client_config(
    anchors: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, TrustError> {
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let has_anchors = !anchors.is_empty();
    let verifier = match Verifier::new_with_extra_roots(anchors, provider.clone()) {
        Ok(verifier) => verifier,
        Err(error) if has_anchors => return Err(TrustError::Tls(error)),
        Err(_) => return Err(TrustError::NoRoots),
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Tls)?
        // "Dangerous" is rustls' word for bringing a verifier of one's own;
        // this one verifies everything its own does.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_without_an_end_is_unreadable() {
        let large = tempfile::NamedTempFile::new().unwrap();
        large.as_file().set_len(LONGEST as u64 + 1).unwrap();
        for (path, why) in [
            (large.path(), "it is larger than 4 MiB"),
            (Path::new("/dev/zero"), "not a regular file"),
        ] {
            let error = anchors(path).unwrap_err().to_string();
            assert_eq!(error, format!("cannot read {}: {why}", path.display()));
        }
        large.as_file().set_len(LONGEST as u64).unwrap();
        let error = anchors(large.path()).unwrap_err();
        assert!(matches!(error, TrustError::Empty { .. }), "{error}");
    }
}
