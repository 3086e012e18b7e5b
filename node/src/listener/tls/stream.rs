//! A TLS connection, as the proxy library takes it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use rustls::{ProtocolVersion, ServerConnection};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::server;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Shaken hands on.
#[derive(Debug)]
pub(in crate::listener) struct TlsStream {
    inner: server::TlsStream<Stream>,
    digest: Arc<SslDigest>,
}

/// What a connection is secured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::listener) struct Secured {
    /// `TLSv1.2` or `TLSv1.3`.
    pub(in crate::listener) version: &'static str,
}

impl TlsStream {
    pub(super) fn new(inner: server::TlsStream<Stream>) -> Self {
        let digest = Arc::new(digest(inner.get_ref().1));
        Self { inner, digest }
    }

    pub(in crate::listener) fn secured(&self) -> Secured {
        Secured {
            version: version(self.inner.get_ref().1),
        }
    }

    fn below(&self) -> &Stream {
        self.inner.get_ref().0
    }
}

fn version(session: &ServerConnection) -> &'static str {
    match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    }
}

fn digest(session: &ServerConnection) -> SslDigest {
    let suite = session.negotiated_cipher_suite();
    let cipher = suite.and_then(|suite| suite.suite().as_str());
    let client = session.peer_certificates().and_then(<[_]>::first);
    let parsed = client.and_then(|client| Some(X509Certificate::from_der(client).ok()?.1));
    let organization = parsed.as_ref().and_then(|parsed| {
        let organization = parsed.subject().iter_organization().next()?;
        Some(organization.as_str().ok()?.to_owned())
    });
    SslDigest::new(
        cipher.unwrap_or_default(),
        version(session),
        organization,
        parsed.map(|parsed| parsed.raw_serial_as_string()),
        client.map_or_else(Vec::new, |client| Sha256::digest(client).to_vec()),
    )
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

// === what pingora asks of a stream ===

#[async_trait]
impl Shutdown for TlsStream {
    async fn shutdown(&mut self) {
        AsyncWriteExt::shutdown(self).await.ok();
    }
}

/// Nothing is put back once it is decrypted.
impl Peek for TlsStream {}

impl UniqueID for TlsStream {
    fn id(&self) -> UniqueIDType {
        self.below().id()
    }
}

impl Ssl for TlsStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        Some(Arc::clone(&self.digest))
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        match self.inner.get_ref().1.alpn_protocol()? {
            b"h2" => Some(ALPN::H2),
            _ => Some(ALPN::H1),
        }
    }
}

impl GetTimingDigest for TlsStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.below().get_timing_digest()
    }
}

impl GetProxyDigest for TlsStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.below().get_proxy_digest()
    }
}

impl GetSocketDigest for TlsStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.below().get_socket_digest()
    }
}
