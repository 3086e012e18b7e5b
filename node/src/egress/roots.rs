//! Whose certificates egress trusts: the system's authorities and those of
//! `ca_file`.

use std::path::Path;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use super::error::BuildError;
use crate::trust::{self, TrustError};

/// Protocols offered in the handshake, best first.
const ALPN: [&[u8]; 1] = [b"http/1.1"];

/// Reads the trust anchors of `ca_file`; every one must be usable.
pub(super) fn anchors(path: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    Ok(trust::anchors(path)?)
}

/// TLS 1.2 and 1.3 with every certificate verified, against the system's
/// authorities and these anchors. One of the two must be there.
pub(super) fn tls_config(
    anchors: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, BuildError> {
    let mut config = trust::client_config(anchors)?;
    config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

impl From<TrustError> for BuildError {
    fn from(error: TrustError) -> Self {
        match error {
            TrustError::Unreadable { path, source } => Self::CaFileUnreadable { path, source },
            TrustError::Empty { path } => Self::CaFileEmpty { path },
            TrustError::Certificate {
                path,
                number,
                source,
            } => Self::CaFileCertificate {
                path,
                number,
                source,
            },
            TrustError::NoRoots => Self::NoRoots,
            TrustError::Tls(source) => Self::Tls(source),
        }
    }
}

#[cfg(test)]
mod tests;
