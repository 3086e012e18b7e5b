//! Whose certificates egress trusts: the system's authorities and those of
//! `ca_file`.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::error::BuildError;

/// Protocols offered in the handshake, best first.
const ALPN: [&[u8]; 1] = [b"http/1.1"];

/// Reads the trust anchors of `ca_file`; every one must be usable.
pub(super) fn anchors(path: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let text = std::fs::read(path).map_err(|source| BuildError::CaFileUnreadable {
        path: path.to_owned(),
        source,
    })?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .unwrap_or_default();
    if certificates.is_empty() {
        return Err(BuildError::CaFileEmpty {
            path: path.to_owned(),
        });
    }
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        store
            .add(certificate.clone())
            .map_err(|source| BuildError::CaFileCertificate {
                path: path.to_owned(),
                number: index + 1,
                source,
            })?;
    }
    Ok(certificates)
}

/// TLS 1.2 and 1.3 with every certificate verified, against the system's
/// authorities and these anchors. One of the two must be there.
pub(super) fn tls_config(
    anchors: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, BuildError> {
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let has_anchors = !anchors.is_empty();
    let verifier = match Verifier::new_with_extra_roots(anchors, provider.clone()) {
        Ok(verifier) => verifier,
        Err(error) if has_anchors => return Err(BuildError::Tls(error)),
        Err(_) => return Err(BuildError::NoRoots),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(BuildError::Tls)?
        // "Dangerous" is rustls' word for bringing a verifier of one's own;
        // this one verifies everything its own does.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

#[cfg(test)]
mod tests;
