//! One answer on its way through an encoder.

use std::any::Any;
use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use pingora::http::ResponseHeader;
use pingora::modules::http::HttpModule;
use pingora::{Error, ErrorType, Result};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use super::{Request, eligible};
use crate::coding::{Encoder, Place};

/// Pieces up to this size are encoded where they come by: it takes less than a millisecond. With
/// larger ones, of files and functions above all, the thread's other work goes elsewhere meanwhile.
const QUICK: usize = 32 * 1024;

/// The answer to one request.
pub(super) struct Stream {
    request: Request,
    encoder: Option<(Encoder, Place)>,
}

impl Stream {
    pub(super) fn new(request: Request) -> Self {
        Self {
            request,
            encoder: None,
        }
    }

    fn begin(&mut self, header: &mut ResponseHeader, ends: bool) -> Result<()> {
        if header.status == StatusCode::NOT_MODIFIED {
            return eligible::not_modified(header, &self.request.if_none_match);
        }
        if !eligible::varies(header) {
            return Ok(());
        }
        eligible::vary(header)?;
        let Some(coding) = self.request.coding else {
            return Ok(());
        };
        if header.status == StatusCode::PARTIAL_CONTENT {
            return Ok(());
        }
        if self.request.is_head {
            return eligible::encode(header, coding);
        }
        let place = self.request.places.take().filter(|_| !ends);
        if let Some(place) = place {
            let encoder = Encoder::new(coding).map_err(|cause| failed(&cause))?;
            self.encoder = Some((encoder, place));
            eligible::encode(header, coding)?;
        }
        Ok(())
    }

    fn finish(&mut self, last: &[u8]) -> Result<Option<Bytes>> {
        let Some((encoder, _place)) = self.encoder.take() else {
            return Ok(None);
        };
        let end = aside(last.len(), || encoder.finish(last));
        end.map(Some).map_err(|cause| failed(&cause))
    }
}

#[async_trait]
impl HttpModule for Stream {
    async fn response_header_filter(
        &mut self,
        header: &mut ResponseHeader,
        ends: bool,
    ) -> Result<()> {
        self.begin(header, ends)
    }

    fn response_body_filter(&mut self, body: &mut Option<Bytes>, end: bool) -> Result<()> {
        if self.encoder.is_none() {
            return Ok(());
        }
        let piece = body.take().unwrap_or_default();
        if end {
            *body = self.finish(&piece)?;
        } else if let (Some((encoder, _)), false) = (&mut self.encoder, piece.is_empty()) {
            let encoded = aside(piece.len(), || encoder.encode(&piece));
            *body = Some(encoded.map_err(|cause| failed(&cause))?);
        }
        Ok(())
    }

    /// Trailers would have to wait for the end of the body: it ends without them.
    fn response_trailer_filter(
        &mut self,
        _trailers: &mut Option<Box<HeaderMap>>,
    ) -> Result<Option<Bytes>> {
        self.finish(&[])
    }

    fn response_done_filter(&mut self) -> Result<Option<Bytes>> {
        self.finish(&[])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// Lets other tasks of this thread go on elsewhere while much is encoded.
fn aside<T>(length: usize, encode: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) if length > QUICK => block_in_place(encode),
        _ => encode(),
    }
}

fn failed(cause: &io::Error) -> Box<Error> {
    Error::explain(ErrorType::InternalError, format!("cannot encode: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::{Coding, Places};

    fn request(places: &Places) -> Request {
        Request {
            coding: Some(Coding::Gzip),
            is_head: false,
            if_none_match: Vec::new(),
            places: places.clone(),
        }
    }

    fn page() -> ResponseHeader {
        let mut header = ResponseHeader::build(200, None).unwrap();
        header.insert_header("content-type", "text/html").unwrap();
        header
    }

    fn coding(stream: &mut Stream, ends: bool) -> Option<String> {
        let mut header = page();
        stream.begin(&mut header, ends).unwrap();
        assert!(header.headers.contains_key("vary"));
        let coding = header.headers.get("content-encoding")?;
        Some(coding.to_str().unwrap().to_owned())
    }

    #[test]
    fn without_room_for_an_encoder_the_answer_goes_out_as_it_is() {
        let places = Places::default();
        let taken: Vec<_> = std::iter::from_fn(|| places.take()).collect();
        let mut stream = Stream::new(request(&places));
        assert_eq!(coding(&mut stream, false), None);
        let mut body = Some(Bytes::from_static(b"plain"));
        stream.response_body_filter(&mut body, true).unwrap();
        assert_eq!(body.unwrap(), "plain");
        drop(taken);
        let mut stream = Stream::new(request(&places));
        assert_eq!(coding(&mut stream, false).as_deref(), Some("gzip"));
    }

    #[test]
    fn an_encoder_ends_once_and_gives_its_place_back() {
        let places = Places::default();
        let mut stream = Stream::new(request(&places));
        assert_eq!(coding(&mut stream, true), None);
        assert_eq!(coding(&mut stream, false).as_deref(), Some("gzip"));
        let mut body = Some(Bytes::new());
        stream.response_body_filter(&mut body, false).unwrap();
        assert_eq!(body, None);
        stream.response_body_filter(&mut body, true).unwrap();
        assert!(body.is_some_and(|body| !body.is_empty()));
        assert_eq!(stream.response_done_filter().unwrap(), None);
        assert_eq!(
            std::iter::from_fn(|| places.take().map(std::mem::forget)).count(),
            256
        );
    }
}
