//! A client of TLS that says exactly what a test wants it to, and takes any certificate: which one it got is for the
//! test to judge.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rcgen::{Certificate, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ProtocolVersion, SignatureScheme,
    StreamOwned, SupportedProtocolVersion,
};

use super::http::{Connection, Request, Response};
use super::lines::PATIENCE;

/// What the client says.
pub(crate) struct Client {
    versions: Vec<&'static SupportedProtocolVersion>,
    protocols: Vec<Vec<u8>>,
    identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
}

/// Whether the server is told a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    ForName,
    ForNone,
}

/// A connection over TLS.
pub(crate) type Secure = Connection<StreamOwned<ClientConnection, TcpStream>>;

/// Checks signatures, and nothing else.
#[derive(Debug)]
struct Credulous(CryptoProvider);

impl Default for Client {
    fn default() -> Self {
        Self {
            versions: rustls::ALL_VERSIONS.to_vec(),
            protocols: Vec::new(),
            identity: None,
        }
    }
}

impl Client {
    pub(crate) fn version(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    pub(crate) fn offering(mut self, protocols: &[&str]) -> Self {
        self.protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        self
    }

    pub(crate) fn identified_by(mut self, (certificate, key): &(Certificate, KeyPair)) -> Self {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        self.identity = Some((certificate.der().clone(), key));
        self
    }

    /// What sessions that ask for a name, or for none, have in common: tickets, too.
    pub(crate) fn config(&self, asks: Asks) -> Arc<ClientConfig> {
        let provider = ring::default_provider();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous(provider)));
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
                .unwrap(),
        };
        config.enable_sni = asks == Asks::ForName;
        config.alpn_protocols.clone_from(&self.protocols);
        Arc::new(config)
    }

    /// Shakes hands over `stream`.
    pub(crate) fn over(&self, stream: TcpStream, name: Option<&str>) -> io::Result<Secure> {
        let asks = match name {
            Some(_) => Asks::ForName,
            None => Asks::ForNone,
        };
        open_with(&self.config(asks), stream, name)
    }

    pub(crate) fn open(&self, address: SocketAddr, name: Option<&str>) -> io::Result<Secure> {
        self.over(connect(address), name)
    }
}

/// Shakes hands over `stream`.
pub(crate) fn open_with(
    config: &Arc<ClientConfig>,
    stream: TcpStream,
    name: Option<&str>,
) -> io::Result<Secure> {
    let name = ServerName::try_from(name.unwrap_or("unsaid.test").to_owned()).unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(session, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Connection::over(stream))
}

/// A socket that does not wait for ever.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

impl Secure {
    pub(crate) fn version(&self) -> Option<ProtocolVersion> {
        self.socket().conn.protocol_version()
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        let protocol = self.socket().conn.alpn_protocol()?;
        Some(std::str::from_utf8(protocol).unwrap())
    }

    /// Whether the server showed this certificate.
    pub(crate) fn is_with(&self, (certificate, _): &(Certificate, KeyPair)) -> bool {
        let shown = self.socket().conn.peer_certificates().unwrap();
        shown.first() == Some(certificate.der())
    }

    /// Whether the server said that it closes, so that nobody cut the connection short.
    pub(crate) fn was_closed_properly(&mut self) -> bool {
        self.socket_mut()
            .read(&mut [0])
            .is_ok_and(|count| count == 0)
    }

    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.exchange(&Request::get(target))
            .expect("the connection ended without an answer")
    }
}

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
