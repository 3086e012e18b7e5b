//! Every error a client can see: one table, and the one place that fills it.

use http::StatusCode;
use pingora::protocols::http::v2::client::PING_TIMEDOUT;
use pingora::{Error, ErrorSource, ErrorType};
use serde::Serialize;

use crate::edge::Fault;
use crate::listener::{Connection, Refusal};

/// Raised where a request's body turns out too large while it is forwarded.
pub(super) const BODY_TOO_LARGE: ErrorType = ErrorType::HTTPStatus(413);

/// What a request was refused or failed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// Not a request HTTP allows, or one that could be read in two ways.
    BadRequest,
    /// The route asks for a password or a token, and this is none that it takes.
    Unauthorized,
    /// The route is closed to this client.
    Forbidden,
    /// No route matches.
    NoRoute,
    /// The route's folder has no such file.
    NotFound,
    /// A route would match but for its method.
    MethodNotAllowed,
    /// The client took too long to send its request.
    RequestTimeout,
    /// The body is larger than the route or its functions take.
    BodyTooLarge,
    /// The request target is longer than `uri_length`.
    UriTooLong,
    /// The header is larger than `header_size`.
    HeadersTooLarge,
    /// The client asks more often than the route allows.
    RateLimited,
    /// A function failed.
    Function(Fault),
    /// No connection to the upstream.
    UpstreamConnect,
    /// The upstream closed the connection before its answer was complete.
    UpstreamReset,
    /// The upstream's answer is not HTTP.
    UpstreamInvalid,
    /// The TLS handshake with the upstream failed.
    UpstreamTls,
    /// The upstream took too long.
    UpstreamTimeout,
    /// No backend of the upstream is up, or known.
    NoHealthyUpstream,
    /// A limit on what runs at once is reached.
    Overloaded,
    /// The request went through this kind of node too often.
    Loop,
    /// The node itself is at fault.
    Internal,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Of the answer.
    pub status: StatusCode,
    /// Stable; also in `x-aegis-error`.
    pub code: &'static str,
    /// For people.
    pub title: &'static str,
}

impl ErrorCode {
    /// Status, code and title.
    pub const fn row(self) -> Row {
        use StatusCode as S;
        let (status, code, title) = match self {
            Self::BadRequest => (S::BAD_REQUEST, "bad-request", "Bad request"),
            Self::Unauthorized => (S::UNAUTHORIZED, "unauthorized", "Who is asking?"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "Not open to this client"),
            Self::NoRoute => (S::NOT_FOUND, "no-route", "No route matches"),
            Self::NotFound => (S::NOT_FOUND, "not-found", "No such file"),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
            ),
            Self::RequestTimeout => (S::REQUEST_TIMEOUT, "request-timeout", "Request too slow"),
            Self::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large"),
            Self::UriTooLong => (S::URI_TOO_LONG, "uri-too-long", "Request target too long"),
            Self::HeadersTooLarge => (
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers-too-large",
                "Header too large",
            ),
            Self::RateLimited => (S::TOO_MANY_REQUESTS, "rate-limited", "Too many requests"),
            Self::Function(fault) => return function(fault),
            Self::UpstreamConnect => (S::BAD_GATEWAY, "upstream-connect", "Upstream unreachable"),
            Self::UpstreamReset => (S::BAD_GATEWAY, "upstream-reset", "Upstream hung up"),
            Self::UpstreamInvalid => (
                S::BAD_GATEWAY,
                "upstream-invalid",
                "Upstream answer invalid",
            ),
            Self::UpstreamTls => (S::BAD_GATEWAY, "upstream-tls", "Upstream not trusted"),
            Self::UpstreamTimeout => (S::GATEWAY_TIMEOUT, "upstream-timeout", "Upstream too slow"),
            Self::Overloaded => (
                S::SERVICE_UNAVAILABLE,
                "overloaded",
                "No room for the request",
            ),
            Self::NoHealthyUpstream => (
                S::SERVICE_UNAVAILABLE,
                "no-healthy-upstream",
                "No backend is up",
            ),
            Self::Loop => (S::LOOP_DETECTED, "loop", "The request goes in circles"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "The node failed"),
        };
        Row {
            status,
            code,
            title,
        }
    }

    /// What a connection is refused for below HTTP.
    pub fn of_refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::HeaderTimeout => Self::RequestTimeout,
            Refusal::HeaderTooLarge => Self::HeadersTooLarge,
            Refusal::TargetTooLong => Self::UriTooLong,
            Refusal::Malformed => Self::BadRequest,
            Refusal::TooManyConnections => Self::Overloaded,
        }
    }

    /// What the listener gave up reading the client's body for.
    pub(super) fn of_body(connection: &Connection) -> Option<Self> {
        if connection.body_is_too_slow() {
            return Some(Self::RequestTimeout);
        }
        connection.body_is_malformed().then_some(Self::BadRequest)
    }

    /// What the proxy library's error means; `None` when the client is gone and nobody
    /// is left to tell.
    pub fn of_proxy(error: &Error) -> Option<Self> {
        match error.esource() {
            ErrorSource::Upstream if is_refused_by_tls(error) => Some(Self::UpstreamTls),
            ErrorSource::Upstream => Some(upstream(error.etype())),
            ErrorSource::Downstream => downstream(error.etype()),
            ErrorSource::Internal | ErrorSource::Unset => internal(error.etype()),
        }
    }
}

const fn function(fault: Fault) -> Row {
    let (status, title) = match fault {
        Fault::Deadline => (
            StatusCode::GATEWAY_TIMEOUT,
            "A function took longer than its wall time",
        ),
        Fault::Trap => (StatusCode::INTERNAL_SERVER_ERROR, "A function trapped"),
        Fault::Error => (StatusCode::INTERNAL_SERVER_ERROR, "A function failed"),
        Fault::Fuel => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "A function used up its fuel",
        ),
        Fault::Time => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "A function used up its running time",
        ),
        Fault::Memory => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "A function used up its memory",
        ),
        Fault::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "A function failed too often and is given a pause",
        ),
    };
    Row {
        status,
        code: fault.code(),
        title,
    }
}

/// In TLS 1.3 a backend judges the node's certificate when the handshake is over for the node.
fn is_refused_by_tls(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    let cause = cause.and_then(std::io::Error::get_ref);
    let cause = cause.and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::AlertReceived(_)))
}

fn upstream(kind: &ErrorType) -> ErrorCode {
    use ErrorType as E;
    match kind {
        E::ConnectTimedout | E::ReadTimedout | E::WriteTimedout => ErrorCode::UpstreamTimeout,
        E::TLSHandshakeTimedout => ErrorCode::UpstreamTimeout,
        E::TLSWantX509Lookup | E::TLSHandshakeFailure | E::InvalidCert | E::HandshakeError => {
            ErrorCode::UpstreamTls
        }
        E::ConnectRefused | E::ConnectNoRoute | E::ConnectError | E::ConnectProxyFailure => {
            ErrorCode::UpstreamConnect
        }
        E::BindError | E::AcceptError | E::SocketError => ErrorCode::UpstreamConnect,
        E::ReadError | E::WriteError | E::ConnectionClosed => ErrorCode::UpstreamReset,
        E::H2Error => ErrorCode::UpstreamReset,
        E::InvalidHTTPHeader | E::H1Error | E::H2Downgrade | E::InvalidH2 => {
            ErrorCode::UpstreamInvalid
        }
        kind if *kind == PING_TIMEDOUT => ErrorCode::UpstreamTimeout,
        E::HTTPStatus(_) | E::Custom(_) | E::CustomCode(..) => ErrorCode::UpstreamInvalid,
        E::FileOpenError | E::FileCreateError | E::FileReadError | E::FileWriteError => {
            ErrorCode::Internal
        }
        E::InternalError | E::UnknownError => ErrorCode::UpstreamReset,
    }
}

fn downstream(kind: &ErrorType) -> Option<ErrorCode> {
    use ErrorType as E;
    match kind {
        E::ReadTimedout => Some(ErrorCode::RequestTimeout),
        E::InvalidHTTPHeader | E::HTTPStatus(_) | E::H1Error => Some(ErrorCode::BadRequest),
        E::Custom(_) | E::CustomCode(..) => Some(ErrorCode::BadRequest),
        E::ReadError | E::WriteError | E::WriteTimedout | E::ConnectionClosed => None,
        // The library's word for a client that sent on when it had to wait.
        E::ConnectError => Some(ErrorCode::BadRequest),
        E::ConnectTimedout | E::ConnectRefused | E::ConnectNoRoute => None,
        E::TLSWantX509Lookup | E::TLSHandshakeFailure | E::TLSHandshakeTimedout => None,
        E::InvalidCert | E::HandshakeError | E::BindError | E::AcceptError => None,
        E::SocketError | E::ConnectProxyFailure => None,
        E::H2Error | E::H2Downgrade | E::InvalidH2 => None,
        E::FileOpenError | E::FileCreateError | E::FileReadError | E::FileWriteError => None,
        E::InternalError | E::UnknownError => None,
    }
}

/// Errors without a side: the library's own word for a bad request is a status, and
/// writing fails towards the client, since what fails towards an upstream is marked.
fn internal(kind: &ErrorType) -> Option<ErrorCode> {
    use ErrorType as E;
    match kind {
        E::HTTPStatus(400) | E::InvalidHTTPHeader => Some(ErrorCode::BadRequest),
        &BODY_TOO_LARGE => Some(ErrorCode::BodyTooLarge),
        E::WriteError | E::WriteTimedout => None,
        E::ConnectTimedout | E::ConnectRefused | E::ConnectNoRoute | E::ConnectError => {
            Some(ErrorCode::Internal)
        }
        E::TLSWantX509Lookup | E::TLSHandshakeFailure | E::TLSHandshakeTimedout => {
            Some(ErrorCode::Internal)
        }
        E::InvalidCert | E::HandshakeError | E::BindError | E::AcceptError => {
            Some(ErrorCode::Internal)
        }
        E::SocketError | E::ConnectProxyFailure | E::H1Error => Some(ErrorCode::Internal),
        E::H2Error | E::H2Downgrade | E::InvalidH2 => Some(ErrorCode::Internal),
        E::ReadError | E::ReadTimedout | E::ConnectionClosed => Some(ErrorCode::Internal),
        E::FileOpenError | E::FileCreateError | E::FileReadError | E::FileWriteError => {
            Some(ErrorCode::Internal)
        }
        E::HTTPStatus(_) | E::InternalError | E::UnknownError => Some(ErrorCode::Internal),
        E::Custom(_) | E::CustomCode(..) => Some(ErrorCode::Internal),
    }
}

/// The body of an error answer (RFC 9457).
#[derive(Serialize)]
struct Problem<'a> {
    status: u16,
    title: &'a str,
    code: &'a str,
    request_id: &'a str,
}

/// The problem document, as bytes.
pub(super) fn problem(row: Row, request_id: &str) -> Vec<u8> {
    let problem = Problem {
        status: row.status.as_u16(),
        title: row.title,
        code: row.code,
        request_id,
    };
    // Strings and a number always serialize.
    serde_json::to_vec(&problem).unwrap_or_default()
}

/// Media type of the problem document.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// Seconds after which an overloaded node may be asked again.
pub(super) const RETRY_AFTER: &str = "1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_document_has_its_four_members() {
        let text = problem(ErrorCode::NoRoute.row(), "abc");
        let value: serde_json::Value = serde_json::from_slice(&text).expect("json");
        assert_eq!(value["status"], 404);
        assert_eq!(value["code"], "no-route");
        assert_eq!(value["request_id"], "abc");
        assert!(value["title"].is_string());
    }

    #[test]
    fn timeouts_and_refusals_of_the_upstream_are_told_apart() {
        let of = |kind| ErrorCode::of_proxy(&Error::new_up(kind));
        assert_eq!(
            of(ErrorType::ConnectTimedout),
            Some(ErrorCode::UpstreamTimeout)
        );
        assert_eq!(
            of(ErrorType::ConnectRefused),
            Some(ErrorCode::UpstreamConnect)
        );
        assert_eq!(
            of(ErrorType::ConnectionClosed),
            Some(ErrorCode::UpstreamReset)
        );
        assert_eq!(
            of(ErrorType::InvalidHTTPHeader),
            Some(ErrorCode::UpstreamInvalid)
        );
    }

    #[test]
    fn a_client_that_is_gone_gets_no_answer() {
        let gone = Error::new_down(ErrorType::ConnectionClosed);
        assert_eq!(ErrorCode::of_proxy(&gone), None);
    }
}
