//! The backend's answer: its header, and its body as far as the functions get it.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::connection::Connection;
use super::upload::Upload;
use crate::edge::{Hold, ResponseBody};
use crate::proxy::request::content_length;
use crate::proxy::respond::has_body;
use crate::proxy::response::{MAX_INTERIM, has_plain_framing};
use crate::proxy::{body, respond};

const EVENT_STREAM: &[u8] = b"text/event-stream";

/// A body, of which everything is there or only the beginning.
#[derive(Debug)]
pub(super) enum Body {
    /// With what follows it.
    Whole(Bytes, Option<Box<HeaderMap>>),
    /// More follows on the connection.
    Begun(Bytes, Unbuffered),
}

/// Why a body is not buffered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbuffered {
    TooLarge,
    /// It is a part of something, or never ends by itself.
    Streams,
}

impl Body {
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(..))
    }

    /// What functions get of it.
    pub(super) fn for_functions(&self) -> ResponseBody {
        match self {
            Self::Whole(body, _) => ResponseBody::Buffered(body.clone()),
            Self::Begun(_, Unbuffered::TooLarge) => ResponseBody::TooLarge,
            Self::Begun(_, Unbuffered::Streams) => ResponseBody::Streams,
        }
    }
}

/// Reads the header of the answer proper, while the request's body goes up.
pub(super) async fn header(
    session: &mut Session,
    connection: &mut Connection,
    upload: &mut Upload,
) -> Result<Box<ResponseHeader>> {
    let mut interim = 0;
    upload.pass_turn(connection);
    loop {
        let header = tokio::select! {
            header = connection.read_header() => header?,
            step = upload.step(session) => {
                step?;
                upload.pass_turn(connection);
                continue;
            }
        };
        if !header.status.is_informational() {
            return match has_plain_framing(&header.headers) {
                true => Ok(header),
                false => Err(Error::new_up(ErrorType::InvalidHTTPHeader)),
            };
        }
        interim += 1;
        if header.status == StatusCode::SWITCHING_PROTOCOLS || interim > MAX_INTERIM {
            return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
        }
        // The node has told the client itself to go on.
        if header.status != StatusCode::CONTINUE {
            respond::interim(session, header).await?;
        }
    }
}

/// Reads the body, if it is one to be buffered, at most the limit's bytes of it; `None`
/// when the hold has no room for them. Without these nobody wants to see it.
pub(super) async fn body(
    session: &mut Session,
    (connection, upload): (&mut Connection, &mut Upload),
    header: &ResponseHeader,
    wanted: Option<(usize, &Hold)>,
) -> Result<Option<Body>> {
    let Some((limit, hold)) = wanted else {
        return Ok(Some(Body::Begun(Bytes::new(), Unbuffered::Streams)));
    };
    if let Some(reason) = unbuffered(&session.req_header().method, header, limit) {
        return Ok(Some(Body::Begun(Bytes::new(), reason)));
    }
    let mut body = BytesMut::with_capacity(announced(&session.req_header().method, header));
    loop {
        let piece = tokio::select! {
            piece = connection.read_body() => piece?,
            step = upload.step(session) => {
                step?;
                upload.pass_turn(connection);
                continue;
            }
        };
        let Some(piece) = piece else {
            let trailers = trailers(session, connection, upload).await?;
            return Ok(Some(Body::Whole(body::exact(body), trailers)));
        };
        if !hold.grow(piece.len()) {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
        if body.len() > limit {
            let begun = Body::Begun(body.freeze(), Unbuffered::TooLarge);
            return Ok(Some(begun));
        }
    }
}

/// Reads what follows the body, for a client that can be sent it.
pub(super) async fn trailers(
    session: &mut Session,
    connection: &mut Connection,
    upload: &mut Upload,
) -> Result<Option<Box<HeaderMap>>> {
    loop {
        tokio::select! {
            trailers = connection.read_trailers() => {
                let wanted = session.req_header().version == Version::HTTP_2;
                return Ok(trailers?.filter(|_| wanted).map(Box::new));
            }
            step = upload.step(session) => {
                step?;
                upload.pass_turn(connection);
            }
        }
    }
}

/// Bytes of the body, as far as the header tells; at most the limit if it is buffered.
fn announced(method: &Method, header: &ResponseHeader) -> usize {
    let length = content_length(&header.headers).filter(|_| has_body(method, header.status));
    length.map_or(0, |length| usize::try_from(length).unwrap_or(0))
}

/// What the header alone says against buffering.
fn unbuffered(method: &Method, header: &ResponseHeader, limit: usize) -> Option<Unbuffered> {
    if !has_body(method, header.status) {
        return None;
    }
    if header.status == StatusCode::PARTIAL_CONTENT || is_event_stream(&header.headers) {
        return Some(Unbuffered::Streams);
    }
    let announced = content_length(&header.headers);
    let too_large = announced.is_some_and(|length| length > limit as u64);
    too_large.then_some(Unbuffered::TooLarge)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let media_type = value.as_bytes().split(|byte| *byte == b';').next();
        media_type.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(EVENT_STREAM))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(
        method: &Method,
        status: u16,
        fields: &[(&'static str, &str)],
    ) -> Option<Unbuffered> {
        let mut header = ResponseHeader::build(status, None).expect("a header");
        for (name, value) in fields {
            header.append_header(*name, *value).expect("a field");
        }
        unbuffered(method, &header, 100)
    }

    #[test]
    fn what_is_endless_partial_or_too_large_is_not_buffered() {
        let get = |status, fields: &[_]| verdict(&Method::GET, status, fields);
        assert_eq!(get(200, &[]), None);
        assert_eq!(get(200, &[("content-length", "100")]), None);
        assert_eq!(
            get(200, &[("content-length", "101")]),
            Some(Unbuffered::TooLarge)
        );
        assert_eq!(get(206, &[]), Some(Unbuffered::Streams));
        for (value, streams) in [
            ("text/event-stream", true),
            ("Text/Event-Stream ; charset=utf-8", true),
            ("text/event-streams", false),
            ("text/html", false),
        ] {
            let expected = streams.then_some(Unbuffered::Streams);
            assert_eq!(get(200, &[("content-type", value)]), expected, "{value}");
        }
    }

    #[test]
    fn an_answer_without_a_body_is_whole() {
        let large = [
            ("content-length", "101"),
            ("content-type", "text/event-stream"),
        ];
        assert_eq!(verdict(&Method::HEAD, 200, &large), None);
        assert_eq!(verdict(&Method::GET, 304, &large), None);
        assert_eq!(verdict(&Method::GET, 204, &[]), None);
    }
}
