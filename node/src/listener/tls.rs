//! TLS of a listener: from its files to connections.

mod certificate;
mod error;
mod marks;
mod names;
mod stream;

use std::io;
use std::sync::Arc;

use pingora::protocols::Stream;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

pub use self::error::{TlsError, TlsProblem};
pub use self::marks::Marks;

use self::names::Names;
pub(super) use self::stream::{Secured, TlsStream};
use super::settings::TlsSettings;
use crate::trust;

/// What clients may speak, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The server's end of TLS 1.2 and 1.3.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    /// Of the files it was made from.
    pub(super) marks: Marks,
}

impl Tls {
    /// Reads the files and holds them against each other.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(super) fn load(settings: &TlsSettings) -> Result<Self, Vec<TlsProblem>> {
        // Before they are read: what changes meanwhile has changed afterwards.
        let marks = Marks::of(settings);
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let mut problems = Vec::new();
        let names = names(settings, &provider, &mut problems);
        let verifier = verifier(settings, &provider)
            .map_err(|error| problems.push(TlsProblem::of("client_ca", error)));
        let (Some(names), Ok(verifier), true) = (names, verifier, problems.is_empty()) else {
            return Err(problems);
        };
        match config(provider, verifier, names) {
            Ok(config) => Ok(Self {
                acceptor: TlsAcceptor::from(Arc::new(config)),
                marks,
            }),
            Err(error) => Err(vec![TlsProblem::of("certificates", error.into())]),
        }
    }

    /// Shakes hands. A client that is refused is told why.
    pub(super) async fn accept(&self, stream: Stream) -> io::Result<TlsStream> {
        match self.acceptor.accept(stream).into_fallible().await {
            Ok(stream) => Ok(TlsStream::new(stream)),
            Err((error, mut stream)) => {
                // The alert is still in the buffer.
                stream.shutdown().await.ok();
                Err(error)
            }
        }
    }
}

/// `None` without a certificate that is good.
fn names(
    settings: &TlsSettings,
    provider: &CryptoProvider,
    problems: &mut Vec<TlsProblem>,
) -> Option<Names> {
    let mut names: Option<Names> = None;
    for (at, files) in settings.certificates.iter().enumerate() {
        let key = |name: &str| format!("certificates[{at}].{name}");
        let certificate = match certificate::read(files, provider) {
            Ok(certificate) => certificate,
            Err(error) => {
                problems.push(TlsProblem::of(&key(error.key()), error));
                continue;
            }
        };
        certificate.warn_of_time(&files.cert);
        match &mut names {
            None => names = Some(Names::starting_with(&certificate)),
            Some(names) => {
                if let Err(error) = names.add(&certificate, &files.cert) {
                    problems.push(TlsProblem::of(&key(error.key()), error));
                }
            }
        }
    }
    names
}

fn verifier(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(file) = &settings.client_ca else {
        return Ok(Arc::new(NoClientAuth));
    };
    let mut roots = RootCertStore::empty();
    for anchor in trust::anchors(file)? {
        roots.add(anchor)?;
    }
    let provider = Arc::clone(provider);
    Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?)
}

fn config(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
    names: Names,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(names));
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    // Keys of its own: what another `client_ca` let in is not taken up again here.
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}
