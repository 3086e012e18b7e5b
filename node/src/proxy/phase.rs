//! The functions' response phase: what they make of the upstream's header before it goes out.

use http::header::TRANSFER_ENCODING;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::context::Context;
use super::error::ErrorCode;
use super::watch;
use crate::edge::{Response, ResponseBody, ResponseOutcome};

/// Raised to have a refusal by the response phase answered, which has been told of already.
pub(super) const REFUSED: ErrorType = ErrorType::Custom("refused by the response phase");

/// Runs the functions that see the response, for as long as the client is there; what they
/// change joins the edits of the request phase.
///
/// # Errors
/// [`REFUSED`] when a function failed or there was no room for it: nothing was sent yet.
pub(super) async fn run(
    session: &mut Session,
    context: &mut Context,
    header: &ResponseHeader,
    body: ResponseBody,
) -> Result<()> {
    let (Some(request), Some(action)) = (context.forwarded.clone(), context.action.clone()) else {
        return Ok(());
    };
    let Some(chain) = action.target.chain() else {
        return Ok(());
    };
    let response = response(context, header, body);
    let hold = context.hold.get_or_insert_with(|| chain.hold());
    let outcome = tokio::select! {
        biased;
        outcome = chain.respond_phase(&request, response, hold, &mut context.records) => outcome,
        gone = watch::client_left(session) => return Err(gone),
    };
    conclude(context, outcome).map_err(|code| {
        context.error = Some(code);
        Error::new(REFUSED)
    })
}

/// What functions see of the upstream's response: with the edits of the request phase.
pub(super) fn response(context: &Context, header: &ResponseHeader, body: ResponseBody) -> Response {
    let mut response = Response {
        status: header.status,
        headers: header.headers.clone(),
        body,
    };
    // Of the connection, though the library needs it to know where the body ends.
    response.headers.remove(TRANSFER_ENCODING);
    response.apply(&context.edits);
    response
}

/// What the functions change joins the edits of the request phase.
pub(super) fn conclude(context: &mut Context, outcome: ResponseOutcome) -> Result<(), ErrorCode> {
    match outcome {
        ResponseOutcome::Pass(edits) => {
            context.edits.merge(edits);
            Ok(())
        }
        ResponseOutcome::Fail(fault) => Err(ErrorCode::Function(fault)),
        ResponseOutcome::Overloaded => Err(ErrorCode::Overloaded),
    }
}
