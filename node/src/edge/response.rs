//! The upstream's response as functions see it in the response phase.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::edits::{Edits, OF_THE_BODY};

/// The response to a forwarded request.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Without hop-by-hop headers.
    pub headers: HeaderMap,
    /// Its body, as far as it is at hand.
    pub body: ResponseBody,
}

/// What functions get of a response's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseBody {
    /// All of it.
    Buffered(Bytes),
    /// Nothing: it is larger than the functions take, and streams on.
    TooLarge,
    /// Nothing: no function asked for it, or it never ends by itself (`text/event-stream`,
    /// 206, an upgrade).
    Streams,
}

impl Response {
    /// What is left of it for whoever sees it after these edits.
    pub fn apply(&mut self, edits: &Edits) {
        if let Some(body) = &edits.body {
            // Before the edits: what a function says of its own body stays.
            for name in &OF_THE_BODY {
                self.headers.remove(name);
            }
            self.body = ResponseBody::Buffered(body.clone());
        }
        if let Some(status) = edits.status {
            self.status = status;
        }
        for edit in &edits.headers {
            edit.apply(&mut self.headers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::edits::HeaderEdit;
    use http::HeaderValue;
    use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG};

    #[test]
    fn a_replaced_body_takes_what_described_the_old_one_with_it() {
        let value = HeaderValue::from_static;
        let mut response = Response {
            status: StatusCode::OK,
            headers: [
                (CONTENT_ENCODING, value("gzip")),
                (ETAG, value("\"1\"")),
                (CONTENT_TYPE, value("text/plain")),
            ]
            .into_iter()
            .collect(),
            body: ResponseBody::TooLarge,
        };
        response.apply(&Edits {
            status: Some(StatusCode::ACCEPTED),
            headers: vec![HeaderEdit::Set(ETAG, value("\"2\""))],
            body: Some(Bytes::from_static(b"new")),
        });
        assert_eq!(response.status, StatusCode::ACCEPTED);
        assert_eq!(response.headers.get(CONTENT_ENCODING), None);
        assert_eq!(response.headers[ETAG], "\"2\"");
        assert_eq!(response.headers[CONTENT_TYPE], "text/plain");
        let body = Bytes::from_static(b"new");
        assert_eq!(response.body, ResponseBody::Buffered(body));
    }
}
