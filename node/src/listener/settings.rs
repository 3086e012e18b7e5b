//! What one listener does with its connections before the proxy gets them.

use std::path::PathBuf;

/// The settings of one `[[listeners]]`, besides its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// TLS; `None`: in the clear.
    pub tls: Option<TlsSettings>,
    /// HTTP/2 without TLS, for clients that begin with it; HTTP/1 is served as well.
    pub h2c: bool,
    /// Whether connections begin with a PROXY header.
    pub proxy_protocol: bool,
}

/// With whom TLS is spoken, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// At least one. The first is for names that none is for.
    pub certificates: Vec<CertificateFiles>,
    /// Authorities one of which must have signed the client's certificate; `None`: clients
    /// need none.
    pub client_ca: Option<PathBuf>,
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, then those that lead from it to its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

// === impl TlsSettings ===

impl TlsSettings {
    /// Every file of it.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let pairs = self.certificates.iter();
        pairs
            .flat_map(|pair| [&pair.cert, &pair.key])
            .chain(&self.client_ca)
    }
}
