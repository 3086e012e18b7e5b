//! What a route answers by itself: `respond` and `redirect` of `[[routes]]`.

use http::{
    HeaderMap, HeaderName, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};

use super::{headers, section::Section, value::Value};

const RESPOND: &str = "write a table such as { status = 200, body = \"ok\" }";
const REDIRECT: &str = "write a table such as { to = \"https://example.com/\", status = 308 } or { scheme = \"https\" }";
/// What a URL need not say.
const HTTPS_PORT: u16 = 443;
const LOCATION: &str = "write a URL such as \"https://example.com/\" or a path such as \"/new\"";

/// Headers that frame the message or belong to the connection.
static REFUSED: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The answer of a route that needs nobody else for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This response.
    Respond {
        /// 200 to 599.
        status: StatusCode,
        /// None that frame the message.
        headers: HeaderMap,
        /// Empty for a status that has no body.
        body: String,
    },
    /// Somewhere else.
    Redirect {
        /// An absolute URL, or a path that starts with `/`.
        to: String,
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
    },
    /// The same over TLS; for requests that came without.
    ToHttps {
        /// Where it is not 443.
        port: Option<u16>,
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
    },
}

/// Why a text is not where a redirect can lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum LocationError {
    #[error("neither a URL of http or https nor a path")]
    Form,
    #[error("it has characters that must be percent-encoded")]
    Character,
}

pub(super) fn read(section: &mut Section<'_>) -> Option<Answer> {
    let respond = section.take("respond");
    let redirect = section.take("redirect");
    let first = respond.as_ref().or(redirect.as_ref())?;
    if ["functions", "upstream", "files"]
        .iter()
        .any(|key| section.has(key))
    {
        first.wrong(
            "a route that answers by itself has no functions, no upstream and no files",
            "remove these, or the answer",
        );
    } else if let (Some(_), Some(redirect)) = (&respond, &redirect) {
        redirect.wrong(
            "a route has one answer",
            "keep only one of respond and redirect",
        );
    }
    let redirect = redirect.and_then(|value| value.table(REDIRECT, read_redirect)?);
    match respond {
        Some(value) => value.table(RESPOND, read_respond)?,
        None => redirect,
    }
}

fn read_respond(section: &mut Section<'_>) -> Option<Answer> {
    let status = section.integer("status", 200_u16, 200..=599);
    let status = StatusCode::from_u16(status).ok()?;
    let headers = headers::read(section, "headers", &REFUSED);
    let body = section.take("body").and_then(|value| {
        let body = value.string()?;
        if !body.is_empty() && has_no_body(status) {
            value.wrong(
                format!("an answer with status {} has no body", status.as_u16()),
                "remove the body, or write another status",
            );
        }
        Some(body)
    });
    Some(Answer::Respond {
        status,
        headers: headers.into_iter().collect(),
        body: body.unwrap_or_default(),
    })
}

fn has_no_body(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    )
}

fn read_redirect(section: &mut Section<'_>) -> Option<Answer> {
    let status = section.take("status");
    let status = match status {
        Some(value) => redirect_status(&value),
        None => Some(StatusCode::PERMANENT_REDIRECT),
    };
    let (scheme, port) = (section.take("scheme"), section.take("port"));
    if let Some(scheme) = scheme {
        if let Some(to) = section.take("to") {
            to.wrong(
                "a redirect to another scheme keeps host and path",
                "keep only one of to and scheme",
            );
        }
        scheme.choice(&[("https", ())])?;
        let port = port.map(|port| port.integer(&(1..=u64::from(u16::MAX)), 8443));
        let port = match port {
            Some(port) => Some(u16::try_from(port?).ok()?),
            None => None,
        };
        return Some(Answer::ToHttps {
            port: port.filter(|port| *port != HTTPS_PORT),
            status: status?,
        });
    }
    if let Some(port) = port {
        port.wrong(
            "only a redirect to another scheme has a port of its own",
            "write it in `to`, or add scheme = \"https\"",
        );
    }
    let to = section.require("to", LOCATION);
    let to = to?.parsed_by(parse_location, LOCATION)?;
    Some(Answer::Redirect {
        to,
        status: status?,
    })
}

fn redirect_status(value: &Value<'_>) -> Option<StatusCode> {
    let status = value.integer(&(300..=399), 308)?;
    let found = match status {
        301 => Some(StatusCode::MOVED_PERMANENTLY),
        302 => Some(StatusCode::FOUND),
        303 => Some(StatusCode::SEE_OTHER),
        307 => Some(StatusCode::TEMPORARY_REDIRECT),
        308 => Some(StatusCode::PERMANENT_REDIRECT),
        _ => None,
    };
    if found.is_none() {
        value.wrong(
            format!("status {status} does not redirect"),
            "write 301, 302, 303, 307 or 308",
        );
    }
    found
}

/// `//host` and `/\host` look like paths and lead to another host.
fn parse_location(text: &str) -> Result<String, LocationError> {
    let url = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let good = match url {
        Some(rest) => !rest.is_empty() && !rest.starts_with(['/', '?', '#']),
        None => text.starts_with('/') && !text.starts_with("//"),
    };
    if !good {
        return Err(LocationError::Form);
    }
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>');
    match text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err(LocationError::Character),
    }
}
