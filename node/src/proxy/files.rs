//! Answers from files.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::warn;

use super::context::{Context, ReplacedBody};
use super::error::ErrorCode;
use super::{Next, forward, phase, respond, response};
use crate::edge::ResponseBody;
use crate::files::{Answer, Asked, Content, Files, FilesError};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// For the system to come up with a piece of a file.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers from a file, or says that there is none.
///
/// # Errors
/// When the client is gone, or the answer had begun and cannot be finished: its connection is cut.
pub(super) async fn serve(
    session: &mut Session,
    context: &mut Context,
    files: &Arc<Files>,
) -> Result<Next> {
    let method = &session.req_header().method;
    if *method != Method::GET && *method != Method::HEAD {
        let code = ErrorCode::MethodNotAllowed;
        context.error = Some(code);
        respond::problem(session, context, code, Some(METHODS)).await?;
        return Ok(Next::Answered);
    }
    let asked = asked(session, context)?;
    let site = Arc::clone(files);
    match read(files, move || site.answer(&asked)).await {
        Ok(answer) => send(session, context, (files, answer)).await,
        Err(FilesError::NotFound) => Ok(Next::Refused(ErrorCode::NotFound)),
        Err(FilesError::Unreadable(cause)) => {
            warn!(request_id = %context.id, root = %files.root().display(), %cause, "no file can be served");
            Ok(Next::Refused(ErrorCode::Internal))
        }
    }
}

/// The request as the functions have left it.
fn asked(session: &Session, context: &Context) -> Result<Asked> {
    let header = session.req_header();
    let edits = &context.request_edits;
    let asked = |header: &pingora::http::RequestHeader| {
        let target = (header.uri.path(), header.uri.query());
        Asked::new(&header.method, target, &header.headers)
    };
    if edits.uri.is_none() && edits.headers.is_empty() {
        return Ok(asked(header));
    }
    let mut edited = header.clone();
    forward::apply(edits, &mut edited)?;
    Ok(asked(&edited))
}

/// Does what may block on a thread for that, as soon as there is room for it.
async fn read<T: Send + 'static>(
    files: &Files,
    read: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
) -> Result<T, FilesError> {
    let room = Arc::clone(files.reads());
    let reading = async {
        let room = room.acquire_owned().await;
        // Held by the thread: a read cannot be called back.
        spawn_blocking(move || {
            let _room = room;
            read()
        })
        .await
    };
    match timeout(READ_TIMEOUT, reading).await {
        Ok(Ok(read)) => read,
        Ok(Err(lost)) => Err(std::io::Error::other(lost).into()),
        Err(late) => Err(std::io::Error::from(late).into()),
    }
}

async fn send(
    session: &mut Session,
    context: &mut Context,
    (files, answer): (&Files, Answer),
) -> Result<Next> {
    let mut header = ResponseHeader::build(answer.status, Some(answer.headers.len() + 4))?;
    for (name, value) in &answer.headers {
        header.append_header(name, value)?;
    }
    if let Some(length) = answer.length {
        header.set_content_length(usize::try_from(length).unwrap_or(usize::MAX))?;
    }
    if context.forwarded.is_some() {
        phase::run(session, context, &header, ResponseBody::Streams).await?;
    }
    let method = session.req_header().method.clone();
    let edited = response::edit(context, &method, &mut header);
    match std::mem::take(&mut context.exchange.body) {
        ReplacedBody::Whole(header, body) => respond::write(session, *header, body).await?,
        ReplacedBody::Pending(body) => respond::write(session, header, body).await?,
        ReplacedBody::Sent => begin(session, header, None).await?,
        ReplacedBody::No => {
            edited?;
            let content = answer
                .content
                .filter(|_| respond::has_body(&method, header.status));
            stream(session, files, header, content).await?;
        }
    }
    Ok(Next::Answered)
}

async fn begin(
    session: &mut Session,
    header: ResponseHeader,
    content: Option<&Content>,
) -> Result<()> {
    if !session.is_body_done() {
        respond::drain_small(session).await;
    }
    let sent = session.write_response_header(Box::new(header), content.is_none());
    sent.await.map_err(|error| error.into_down())
}

/// A piece is read when the client has taken the one before.
async fn stream(
    session: &mut Session,
    files: &Files,
    header: ResponseHeader,
    content: Option<Content>,
) -> Result<()> {
    begin(session, header, content.as_ref()).await?;
    let Some(mut content) = content else {
        return Ok(());
    };
    loop {
        let (piece, end) = (content.take_piece(), content.is_at_end());
        let sent = session.write_response_body(Some(piece), end).await;
        sent.map_err(|error| error.into_down())?;
        if end {
            return Ok(());
        }
        let next = read(files, move || {
            content.read()?;
            Ok(content)
        });
        content = next
            .await
            .map_err(|cause| Error::explain(ErrorType::FileReadError, cause.to_string()))?;
    }
}
