//! TLS towards backends: whom the node believes, and what it shows of itself.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::{HttpPeer, Scheme};
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::trust::{self, IdentityError, TrustError};

/// `tls = { … }` of an upstream. The certificate of a backend is always verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The name that is asked for and verified; otherwise the backend's host, which must then be
    /// a name.
    pub sni: Option<String>,
    /// Whose certificates count, instead of those that the system's authorities have signed.
    pub ca_file: Option<PathBuf>,
    /// Shown to backends that ask.
    pub identity: Option<IdentityFiles>,
}

/// A client certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The chain, its leaf first, in PEM.
    pub cert: PathBuf,
    /// The leaf's private key, in PEM.
    pub key: PathBuf,
}

/// Why there can be no TLS towards an upstream.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Nobody's certificates could be verified.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The client certificate or its key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The proxy library cannot read what the TLS library can.
    #[error("certificate {number} of {} is not X.509 as it should be", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Which one, counted from 1.
        number: usize,
    },
}

/// How the connections of an upstream are kept apart from others, and from listeners-in.
#[derive(Debug)]
pub(super) struct Security {
    /// Connections are shared by requests of one upstream only, and by none after its
    /// certificates have changed.
    group: u64,
    tls: Option<Tls>,
}

#[derive(Debug)]
struct Tls {
    sni: Option<String>,
    authorities: Option<Arc<CaType>>,
    identity: Option<Arc<CertKey>>,
    /// Of all that is in the files.
    fingerprint: u64,
}

// === impl TlsError ===

impl TlsError {
    /// The key of `tls` that is to be corrected.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::Trust(TrustError::NoRoots | TrustError::Tls(_)) => None,
            Self::Trust(_) => Some("ca_file"),
            Self::Identity(error) if error.is_of_the_key() => Some("key"),
            Self::Identity(_) | Self::Certificate { .. } => Some("cert"),
        }
    }
}

// === impl Security ===

impl Security {
    /// Of the upstream `name`: reads the files of `tls`.
    pub(super) fn load(name: &str, tls: Option<&TlsSettings>) -> Result<Self, TlsError> {
        let tls = tls.map(Tls::load).transpose()?;
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        tls.as_ref().map(|tls| tls.fingerprint).hash(&mut hasher);
        Ok(Self {
            group: hasher.finish(),
            tls,
        })
    }

    /// Whether both come from the same files of the same upstream.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.group == other.group
    }

    /// Of `peer`, a backend at `host`.
    pub(super) fn apply(&self, peer: &mut HttpPeer, host: &str) {
        peer.group_key = self.group;
        if let Some(tls) = &self.tls {
            tls.apply(peer, host);
        }
    }
}

// === impl Tls ===

impl Tls {
    fn load(settings: &TlsSettings) -> Result<Self, TlsError> {
        let mut fingerprint = DefaultHasher::new();
        settings.sni.hash(&mut fingerprint);
        let authorities = match &settings.ca_file {
            Some(path) => Some(authorities(path, &mut fingerprint)?),
            None => {
                trust::system_anchors()?;
                None
            }
        };
        let identity = match &settings.identity {
            Some(files) => Some(identity(files, &mut fingerprint)?),
            None => None,
        };
        Ok(Self {
            sni: settings.sni.clone(),
            authorities,
            identity,
            fingerprint: fingerprint.finish(),
        })
    }

    fn apply(&self, peer: &mut HttpPeer, host: &str) {
        peer.scheme = Scheme::HTTPS;
        // Never empty: the library verifies nothing then.
        host.clone_into(&mut peer.sni);
        if let Some(sni) = &self.sni {
            sni.clone_into(&mut peer.sni);
        }
        peer.client_cert_key.clone_from(&self.identity);
        peer.options.ca.clone_from(&self.authorities);
    }
}

fn authorities(path: &Path, fingerprint: &mut DefaultHasher) -> Result<Arc<CaType>, TlsError> {
    let anchors = trust::anchors(path)?;
    let parsed: Result<Vec<_>, _> = parsed(&anchors, path, fingerprint);
    Ok(parsed?.into())
}

fn identity(
    files: &IdentityFiles,
    fingerprint: &mut DefaultHasher,
) -> Result<Arc<CertKey>, TlsError> {
    let identity = trust::identity(&files.cert, &files.key)?;
    parsed(&identity.chain, &files.cert, fingerprint)?;
    let key = identity.key.secret_der().to_vec();
    // The library would take the kind of the key from its bytes, or panic.
    if PrivateKeyDer::try_from(key.as_slice()).is_err() {
        let path = files.key.clone();
        return Err(IdentityError::NoKey { path }.into());
    }
    key.hash(fingerprint);
    let chain = identity.chain.iter().map(|one| one.to_vec()).collect();
    Ok(Arc::new(CertKey::new(chain, key)))
}

/// As the proxy library wants certificates: its own constructors panic.
fn parsed(
    certificates: &[CertificateDer<'static>],
    path: &Path,
    fingerprint: &mut DefaultHasher,
) -> Result<Vec<WrappedX509>, TlsError> {
    let numbered = (1..).zip(certificates);
    let parsed = numbered.map(|(number, certificate)| {
        certificate.as_ref().hash(fingerprint);
        match X509Certificate::from_der(certificate) {
            Ok(_) => Ok(WrappedX509::new(certificate.to_vec(), parse_x509)),
            Err(_) => Err(TlsError::Certificate {
                path: path.to_owned(),
                number,
            }),
        }
    });
    parsed.collect()
}
