//! Whose certificates egress trusts: the system's authorities and those of
//! `ca_file`.

use std::path::Path;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use super::error::BuildError;
use crate::trust;

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

#[cfg(test)]
mod tests;
