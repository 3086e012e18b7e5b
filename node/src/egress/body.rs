//! Reads a response without ever holding more of it than is allowed.

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue};
use reqwest::Response;

use super::error::{EgressError, Part};
use super::{MAX_RESPONSE, MAX_RESPONSE_HEADER, Reply, Room, held_by};

/// Reads the body to its end and counts it as it comes out of decompression.
pub(super) async fn read(mut response: Response, room: &dyn Room) -> Result<Reply, EgressError> {
    // An encoded body has no announced length here: what it announces is its
    // compressed size.
    let announced = response.content_length().unwrap_or(0);
    if announced > MAX_RESPONSE as u64 {
        return Err(EgressError::TooLarge(Part::ResponseBody));
    }
    if !room.take(held_by(response.headers())) {
        return Err(EgressError::NoRoom);
    }
    let headers = copied(response.headers());
    response.headers_mut().clear();
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_RESPONSE {
            return Err(EgressError::TooLarge(Part::ResponseBody));
        }
        if !room.take(chunk.len()) {
            return Err(EgressError::NoRoom);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply {
        status: response.status(),
        headers,
        body: body.freeze(),
    })
}

/// The library's values are slices of all that it read: with the white space around them,
/// which nobody counts, that may be hundreds of times as long.
fn copied(headers: &HeaderMap) -> HeaderMap {
    let mut copies = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            copies.append(name, value);
        }
    }
    copies
}

/// The HTTP library has limits of its own: 100 headers in HTTP/1, which may
/// be some 400 KiB, and this size in HTTP/2. This makes both the same.
pub(super) fn check_header(headers: &HeaderMap) -> Result<(), EgressError> {
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if size > MAX_RESPONSE_HEADER {
        return Err(EgressError::TooLarge(Part::ResponseHeader));
    }
    Ok(())
}
