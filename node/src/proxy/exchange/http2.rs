//! A stream of an HTTP/2 connection to a backend, which others share.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, Uri, Version};
use pingora::connectors::http::v2;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::protocols::http::v2::client::Http2Session;
use pingora::upstreams::peer::{HttpPeer, Peer};
use pingora::{Error, ErrorType, OrErr, Result, RetryType};
use tokio::time::timeout;

use super::sink::{Framing, Sink};
use crate::proxy::respond::has_body;

/// A stream with one request on it; gives its place on the connection back when dropped.
pub(super) struct Http2 {
    /// There until it is dropped.
    session: Option<Http2Session>,
    connector: Arc<v2::Connector>,
    peer: Box<HttpPeer>,
    ended_with_header: bool,
}

impl Http2 {
    /// A stream, and whether its connection has carried others before.
    pub(super) async fn open(
        connector: &Arc<v2::Connector>,
        peer: Box<HttpPeer>,
    ) -> Result<(Self, bool)> {
        // A backend may let no further stream begin, which the library would wait for.
        let longest = peer.options.total_connection_timeout;
        let opening = begin(connector, &peer);
        let (mut session, reused) = match longest {
            Some(longest) => match timeout(longest, opening).await {
                Ok(opened) => opened?,
                Err(_) => return Err(Error::new_up(ErrorType::ConnectTimedout)),
            },
            None => opening.await?,
        };
        session.write_timeout = peer.options.write_timeout;
        let wire = Self {
            session: Some(session),
            connector: Arc::clone(connector),
            peer,
            ended_with_header: false,
        };
        Ok((wire, reused))
    }

    pub(super) fn send_header(
        &mut self,
        mut header: RequestHeader,
        framing: Framing,
    ) -> Result<Sink> {
        target(&mut header, scheme(&self.peer))?;
        let timeout = self.peer.options.write_timeout;
        let session = self.session()?;
        let sent = session.write_request_header(Box::new(header), framing.is_empty());
        sent.map_err(|mut error| {
            if !matches!(error.retry, RetryType::Decided(true)) {
                error.retry = RetryType::ReusedOnly;
            }
            error.into_up()
        })?;
        let stream = session.take_request_body_writer();
        let stream = stream.ok_or_else(|| Error::new(ErrorType::InternalError))?;
        Ok(Sink::http2(stream, framing, timeout))
    }

    pub(super) fn time_answer(&mut self) {
        if let Some(session) = &mut self.session {
            session.read_timeout = self.peer.options.read_timeout;
        }
    }

    /// Interim answers never come to light here.
    pub(super) async fn read_header(&mut self) -> Result<Box<ResponseHeader>> {
        let session = self.session()?;
        let read = session.read_response_header().await;
        read.map_err(|error| not_read(session, error))?;
        let header = session.response_header().cloned();
        let header = header.ok_or_else(|| Error::new(ErrorType::InternalError))?;
        let ended = session.check_response_end_or_error();
        let ended = ended.map_err(|error| cut(session, error))?;
        if ended && promises_body(session, &header) {
            return Err(Error::new_up(ErrorType::InvalidH2));
        }
        self.ended_with_header = ended;
        Ok(Box::new(header))
    }

    pub(super) fn ended_with_header(&self) -> bool {
        self.ended_with_header
    }

    pub(super) async fn read_body(&mut self) -> Result<Option<Bytes>> {
        let session = self.session()?;
        let piece = session.read_response_body().await;
        piece.map_err(|error| cut(session, error))
    }

    pub(super) async fn read_trailers(&mut self) -> Result<Option<HeaderMap>> {
        let session = self.session()?;
        let trailers = session.read_trailers().await;
        trailers.map_err(|error| cut(session, error))
    }

    fn session(&mut self) -> Result<&mut Http2Session> {
        let session = self.session.as_mut();
        session.ok_or_else(|| Error::new(ErrorType::InternalError))
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let idle = self.peer.idle_timeout();
            self.connector
                .release_http_session(session, &*self.peer, idle);
        }
    }
}

/// A stream on a kept connection, or else on a new one: a kept one that fails has sent nothing.
async fn begin(connector: &v2::Connector, peer: &HttpPeer) -> Result<(Http2Session, bool)> {
    if let Ok(Some(session)) = connector.reused_http_session(peer).await {
        return Ok((session, true));
    }
    match connector.new_http_session::<HttpPeer, ()>(peer).await? {
        HttpSession::H2(session) => Ok((session, false)),
        _ => Err(Error::new_up(ErrorType::InvalidH2)),
    }
}

fn scheme(peer: &HttpPeer) -> &'static str {
    match peer.is_tls() {
        true => "https",
        false => "http",
    }
}

/// The target with its authority, as HTTP/2 has it.
fn target(header: &mut RequestHeader, scheme: &str) -> Result<()> {
    let host = header.remove_header(&HOST);
    let host = host.as_ref().map_or(&b""[..], |host| host.as_bytes());
    let path = header
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(host)
        .path_and_query(path)
        .build();
    header.set_uri(uri.or_err(ErrorType::InvalidHTTPHeader, "in the target of a request")?);
    header.set_version(Version::HTTP_2);
    Ok(())
}

/// No answer has begun: whether it may be asked for again is the library's to say.
fn not_read(session: &Http2Session, mut error: Box<Error>) -> Box<Error> {
    give_up_on_silence(session, &error);
    if matches!(error.etype(), ErrorType::H2Downgrade | ErrorType::InvalidH2) {
        // Another version is not spoken to it.
        error.set_retry(false);
    }
    error.into_up()
}

/// The answer has begun: the request was acted on.
fn cut(session: &Http2Session, mut error: Box<Error>) -> Box<Error> {
    give_up_on_silence(session, &error);
    error.set_retry(false);
    error.into_up()
}

/// A connection that has gone silent takes no further requests.
fn give_up_on_silence(session: &Http2Session, error: &Error) {
    if *error.etype() == ErrorType::ReadTimedout {
        session.conn.mark_shutdown();
    }
}

/// Whether a body was announced; the protocol's library looks at bodies that come only.
fn promises_body(session: &Http2Session, header: &ResponseHeader) -> bool {
    let length = header.headers.get(CONTENT_LENGTH);
    let announced = length.is_some_and(|length| length.as_bytes().iter().any(|b| *b != b'0'));
    let method = session.request_header().map(|request| &request.method);
    announced && method.is_some_and(|method| has_body(method, header.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_becomes_the_authority() {
        let mut header = RequestHeader::build("GET", b"/a/b?c=d", None).expect("a header");
        header
            .insert_header("host", "shop.test:81")
            .expect("a field");
        target(&mut header, "http").expect("a target");
        assert_eq!(header.uri, "http://shop.test:81/a/b?c=d");
        assert!(header.headers.is_empty());
        assert!(target(&mut header, "https").is_err(), "no host");
    }
}
