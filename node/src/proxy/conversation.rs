//! Requests that are answered while their body is still being sent. What passes then is a talk
//! between client and backend, whose pauses are theirs: the limits of bodies do not hold, but
//! `upgrade_idle_timeout` for the silence of both.

use http::Version;
use http::header::CONTENT_TYPE;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::context::Context;

const GRPC: &[u8] = b"application/grpc";

/// From here on the answer passes.
pub(super) fn begin(session: &mut Session, context: &Context) {
    if let Some(connection) = &context.connection
        && connection.converse()
    {
        session.set_read_timeout(Some(context.snapshot.limits.upgrade_idle_timeout));
    }
}

/// The answer is complete: the limits hold for the rest of the body.
pub(super) fn end(session: &mut Session, context: &Context) {
    if let Some(connection) = &context.connection
        && connection.end_conversation()
    {
        session.set_read_timeout(Some(context.snapshot.limits.body_timeout));
    }
}

/// Before a request goes to an HTTP/2 backend: a gRPC call is a conversation from its beginning,
/// for many of them get no header before they have sent all.
pub(super) fn expect(session: &mut Session, context: &Context) {
    if is_call(session.req_header()) {
        begin(session, context);
    }
}

fn is_call(header: &RequestHeader) -> bool {
    let value = header
        .headers
        .get(CONTENT_TYPE)
        .map(|value| value.as_bytes());
    let media_type = value.and_then(|value| value.get(..GRPC.len()));
    let rest = value.and_then(|value| value.get(GRPC.len()));
    header.version == Version::HTTP_2
        && media_type.is_some_and(|name| name.eq_ignore_ascii_case(GRPC))
        && rest.is_none_or(|byte| b"+; ".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_their_media_type() {
        for (value, call) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/gRPC; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grp", false),
            ("text/plain", false),
        ] {
            let mut header = RequestHeader::build("POST", b"/", None).expect("a header");
            header.insert_header(CONTENT_TYPE, value).expect("a field");
            assert!(!is_call(&header), "HTTP/1 has no calls");
            header.set_version(Version::HTTP_2);
            assert_eq!(is_call(&header), call, "{value}");
        }
    }
}
