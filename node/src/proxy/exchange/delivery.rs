//! The answer on its way to the client.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::protocols::http::HttpTask;
use pingora::proxy::Session;

use super::answer::{self, Body};
use super::connection::Connection;
use super::upload::Upload;
use crate::edge::Hold;
use crate::proxy::context::{Context, ReplacedBody};
use crate::proxy::respond::has_body;
use crate::proxy::response;

/// What is sent after a header.
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing: HTTP or a function allows no body.
    Nothing,
    /// With what follows the body.
    Whole(Bytes, Option<Box<HeaderMap>>),
    /// These bytes, and all that follows on the connection.
    Streamed(Bytes),
}

/// Applies the functions' edits, and frames the answer anew.
pub(super) fn prepare(
    session: &mut Session,
    context: &mut Context,
    mut header: Box<ResponseHeader>,
    body: Body,
) -> Result<(Box<ResponseHeader>, Content)> {
    let method = session.req_header().method.clone();
    let edited = response::edit(context, &method, &mut header);
    let content = match std::mem::take(&mut context.exchange.body) {
        ReplacedBody::Whole(whole, body) => {
            header = whole;
            Content::Whole(body, None)
        }
        replaced => {
            edited?;
            match replaced {
                ReplacedBody::Pending(body) => Content::Whole(body, None),
                ReplacedBody::No => content(&method, &header, body),
                ReplacedBody::Sent | ReplacedBody::Whole(..) => Content::Nothing,
            }
        }
    };
    frame(&mut header, &content)?;
    response::frame_for(session, &mut header);
    Ok((header, content))
}

fn content(method: &Method, header: &ResponseHeader, body: Body) -> Content {
    if !has_body(method, header.status) {
        return Content::Nothing;
    }
    match body {
        Body::Whole(body, trailers) => Content::Whole(body, trailers),
        Body::Begun(beginning, _) => Content::Streamed(beginning),
    }
}

/// A header without a body keeps what it says of the one that a GET would get.
fn frame(header: &mut ResponseHeader, content: &Content) -> Result<()> {
    match content {
        Content::Nothing => {}
        Content::Whole(body, _) => {
            header.remove_header(&TRANSFER_ENCODING);
            header.set_content_length(body.len())?;
        }
        Content::Streamed(_) if header.headers.contains_key(CONTENT_LENGTH) => {}
        Content::Streamed(_) => {
            header.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
        }
    }
    Ok(())
}

/// Writes the answer. What of the request is still going up goes on meanwhile, so that a
/// backend which answers as it reads is not held up. `held` is given back once the buffered
/// bytes are written: what follows them is not kept.
pub(super) async fn send(
    session: &mut Session,
    (rest, upload): (Option<&mut Connection>, &mut Upload),
    (header, content): (Box<ResponseHeader>, Content),
    held: Option<Hold>,
) -> Result<()> {
    let (first, trailers, rest) = match content {
        Content::Nothing => (Bytes::new(), None, None),
        Content::Whole(body, trailers) => (body, trailers, None),
        Content::Streamed(beginning) => (beginning, None, rest),
    };
    let more = |connection: &&mut Connection| !connection.ended_with_header();
    let rest = rest.filter(more);
    let ends = rest.is_none() && first.is_empty() && trailers.is_none();
    write(session, HttpTask::Header(header, ends)).await?;
    if ends {
        return Ok(());
    }
    write(session, HttpTask::Body(Some(first), false)).await?;
    drop(held);
    let trailers = match rest {
        Some(connection) => stream(session, connection, upload).await?,
        None => trailers,
    };
    // Writes the end of a chunked body, and whatever is still held back.
    match trailers {
        Some(trailers) => write(session, HttpTask::Trailer(Some(trailers))).await,
        None => write(session, HttpTask::Done).await,
    }
}

/// Sends what comes on the connection, up to the trailers.
async fn stream(
    session: &mut Session,
    connection: &mut Connection,
    upload: &mut Upload,
) -> Result<Option<Box<HeaderMap>>> {
    upload.pass_turn(connection);
    loop {
        let piece = tokio::select! {
            piece = connection.read_body() => piece?,
            step = upload.step(session) => {
                step?;
                upload.pass_turn(connection);
                continue;
            }
        };
        match piece {
            Some(piece) => write(session, HttpTask::Body(Some(piece), false)).await?,
            None => return answer::trailers(session, connection, upload).await,
        }
    }
}

pub(super) async fn write(session: &mut Session, task: HttpTask) -> Result<()> {
    let written = session.write_response_tasks(vec![task]).await;
    written.map(drop).map_err(|error| error.into_down())
}
