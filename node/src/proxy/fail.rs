//! What becomes of a request that failed on its way: the error as the client and the log
//! get to know it.

use pingora::Error;
use pingora::proxy::Session;
use tracing::warn;

use super::context::{Context, ReplacedBody};
use super::error::ErrorCode;
use super::{phase, respond, response};
use crate::telemetry;

/// Answers an error, unless the answer has begun or nobody is there to read it. Returns
/// the status sent.
pub(super) async fn fail(
    session: &mut Session,
    error: &Error,
    context: &mut Context,
) -> Option<u16> {
    // The library gives the connection up after any error, so the answer has to say so.
    session.set_keepalive(None);
    if *error.etype() == response::ANSWERED_BY_THE_NODE {
        return answer_whole(session, context).await;
    }
    if *error.etype() == phase::REFUSED {
        return tell(session, context, context.error?).await;
    }
    let code = code(error, context)?;
    if let Some(status) = finish_replaced(session, context).await {
        return Some(status);
    }
    context.error = Some(code);
    complain(context, code, error);
    tell(session, context, code).await
}

/// Of one route. Clients and backends can make requests fail as often as they like, so what is told
/// in detail is one failure per code and minute. The access log has every one.
#[derive(Debug, Default)]
pub struct Complaints(telemetry::Complaints<{ CODES.len() + 1 }>);

/// Those with a turn of their own.
const CODES: [ErrorCode; 9] = [
    ErrorCode::UpstreamConnect,
    ErrorCode::UpstreamReset,
    ErrorCode::UpstreamInvalid,
    ErrorCode::UpstreamTls,
    ErrorCode::UpstreamTimeout,
    ErrorCode::Overloaded,
    ErrorCode::Internal,
    ErrorCode::BadRequest,
    ErrorCode::RequestTimeout,
];

impl Complaints {
    /// Whether this failure is to be told of now, and how many were not since the last.
    fn due(&self, code: ErrorCode) -> Option<u64> {
        let turn = CODES.iter().position(|other| *other == code);
        self.0.due(turn.unwrap_or(CODES.len()))
    }
}

fn complain(context: &Context, code: ErrorCode, error: &Error) {
    let action = context.action.as_ref();
    // Without a route the request came to nothing that could fail often.
    let Some(withheld) = action.map_or(Some(0), |action| action.complaints.due(code)) else {
        return;
    };
    warn!(
        request_id = %context.id,
        route = action.map(|action| &*action.name),
        code = code.row().code,
        cause = %error,
        withheld,
        "a request failed"
    );
}

async fn tell(session: &mut Session, context: &Context, code: ErrorCode) -> Option<u16> {
    if respond::status(session).is_some() {
        return None;
    }
    let sent = respond::problem(session, context, code, None).await;
    sent.ok().map(|()| code.row().status.as_u16())
}

/// `None` when the client is gone: then there is nobody to tell, and nothing to warn of.
fn code(error: &Error, context: &Context) -> Option<ErrorCode> {
    let connection = context.connection.as_deref();
    let code = connection.and_then(ErrorCode::of_body);
    let code = code.or_else(|| ErrorCode::of_proxy(error))?;
    Some(context.error.unwrap_or(code))
}

/// Sends the body that takes the place of one which the upstream never began: nothing of it
/// was wanted. `None` when there is no such body.
async fn finish_replaced(session: &mut Session, context: &mut Context) -> Option<u16> {
    let status = respond::status(session)?;
    let replaced = &mut context.exchange.body;
    let ReplacedBody::Pending(body) = std::mem::replace(replaced, ReplacedBody::Sent) else {
        return None;
    };
    session.write_response_body(Some(body), true).await.ok()?;
    Some(status.as_u16())
}

/// Writes an answer of which the upstream gave only the header.
async fn answer_whole(session: &mut Session, context: &mut Context) -> Option<u16> {
    let ReplacedBody::Whole(header, body) = std::mem::take(&mut context.exchange.body) else {
        return None;
    };
    let status = header.status.as_u16();
    respond::write(session, *header, body).await.ok()?;
    Some(status)
}
