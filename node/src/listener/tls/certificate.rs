//! One certificate with its key, as TLS takes it.

use std::path::Path;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};
use std::sync::Arc;
use tracing::warn;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use zeroize::{Zeroize, Zeroizing};

use super::error::{Kind, TlsError};
use crate::file;
use crate::listener::settings::CertificateFiles;

/// The longest file, in bytes: chains have a few thousand.
const LONGEST: usize = 1024 * 1024;

/// A certificate, its key, and the names it is for.
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// DNS names in lower case.
    pub(super) names: Vec<String>,
    valid_from: ASN1Time,
    valid_to: ASN1Time,
}

/// Reads both files.
pub(super) fn read(
    files: &CertificateFiles,
    provider: &CryptoProvider,
) -> Result<Certificate, TlsError> {
    let chain = chain(&files.cert)?;
    let signing = signing_key(&files.key, provider)?;
    let malformed = |reason: String| TlsError::Malformed {
        path: files.cert.clone(),
        reason,
    };
    let first = chain.first().cloned().unwrap_or_else(|| Vec::new().into());
    let (_, parsed) = X509Certificate::from_der(&first).map_err(|e| malformed(e.to_string()))?;
    let names = names(&parsed).map_err(malformed)?;
    let key = CertifiedKey::new(chain, signing);
    match key.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(_)) => {
            return Err(TlsError::Mismatch {
                key: files.key.clone(),
                cert: files.cert.clone(),
            });
        }
        Err(error) => return Err(malformed(error.to_string())),
    }
    Ok(Certificate {
        key: Arc::new(key),
        names,
        valid_from: parsed.validity().not_before,
        valid_to: parsed.validity().not_after,
    })
}

impl Certificate {
    /// Clients refuse what is out of its time; the node serves it, for there may be nothing
    /// better.
    pub(super) fn warn_of_time(&self, path: &Path) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        if self.valid_to.timestamp() < now {
            warn!(cert = %path.display(), since = %self.valid_to, "a certificate has expired");
        } else if self.valid_from.timestamp() > now {
            warn!(cert = %path.display(), from = %self.valid_from, "a certificate is not valid yet");
        }
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = text(path, Kind::Certificate)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| TlsError::Malformed {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    match chain.is_empty() {
        false => Ok(chain),
        true => Err(TlsError::Missing {
            path: path.to_owned(),
            kind: Kind::Certificate,
        }),
    }
}

/// Copies of the key are overwritten, as far as they are this function's own.
fn signing_key(path: &Path, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, TlsError> {
    let text = text(path, Kind::Key)?;
    let path = path.to_owned();
    let mut key = match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => key,
        Err(_) if is_encrypted(&text) => return Err(TlsError::Encrypted { path }),
        Err(pem::Error::NoItemsFound) => {
            let kind = Kind::Key;
            return Err(TlsError::Missing { path, kind });
        }
        Err(error) => {
            let reason = error.to_string();
            return Err(TlsError::Key { path, reason });
        }
    };
    let signing = provider.key_provider.load_private_key(key.clone_key());
    key.zeroize();
    signing.map_err(|error| TlsError::Key {
        path,
        reason: error.to_string(),
    })
}

/// As PKCS #8, or in the older way of OpenSSL.
fn is_encrypted(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

fn text(path: &Path, kind: Kind) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let unreadable = |source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
        kind,
    };
    let text = Zeroizing::new(file::start(path, LONGEST + 1).map_err(unreadable)?);
    match text.len() > LONGEST {
        false => Ok(text),
        true => Err(unreadable(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            "it is larger than 1 MiB",
        ))),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Result<Vec<String>, String> {
    let names = certificate.subject_alternative_name();
    let names = names.map_err(|error| error.to_string())?;
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.trim_end_matches('.').to_ascii_lowercase()),
        _ => None,
    };
    Ok(names.iter().filter_map(dns).collect())
}
