//! Which other sites' pages may use a route: CORS, as the Fetch standard has it.

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

mod origin;

pub use self::origin::{AllowedOrigin, OriginError};

/// What the upstream says of it does not count: the route decides.
const OF_CORS: [HeaderName; 6] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

const ANY: HeaderValue = HeaderValue::from_static("*");

/// What a configuration says of it.
#[derive(Clone, Debug, Default)]
pub struct CorsSettings {
    /// Sites whose pages may.
    pub origins: Vec<AllowedOrigin>,
    /// Methods that they may use besides GET, HEAD and POST; `*` is any.
    pub methods: Vec<String>,
    /// Headers that they may send besides the harmless; `*` is any but `Authorization`.
    pub headers: Vec<String>,
    /// Headers of the answer that they may read besides the harmless; `*` is any.
    pub expose: Vec<String>,
    /// Whether their requests may come with cookies and passwords.
    pub credentials: Credentials,
    /// How long browsers may remember what a preflight has told them.
    pub max_age: Option<Duration>,
}

/// Cookies, passwords and client certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Browsers leave them out.
    #[default]
    Omit,
    /// Browsers send them.
    Allow,
}

/// The same, as it goes into answers.
#[derive(Debug)]
pub struct Cors {
    origins: Vec<AllowedOrigin>,
    /// Of every answer to an allowed origin.
    always: Vec<(HeaderName, HeaderValue)>,
    /// Of the answer to a preflight besides.
    preflight: Vec<(HeaderName, HeaderValue)>,
    credentials: Credentials,
}

/// Whether a request is a preflight, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Preflight {
    /// It is a request like any other.
    No,
    /// Its route takes the request that it comes before, and answers it.
    Own,
    /// The request that it comes before is no such route's, so that it goes where any OPTIONS goes.
    OfAnother,
}

/// The method that a preflight asks for: it comes before a request that a browser will make only if
/// it may.
pub(in crate::proxy) fn preflight_for(header: &RequestHeader) -> Option<Method> {
    if header.method != Method::OPTIONS || !header.headers.contains_key(ORIGIN) {
        return None;
    }
    let method = header.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(method.as_bytes()).ok()
}

// === impl Cors ===

impl Cors {
    /// What these settings come to; `None` for texts that are no header values.
    pub fn new(settings: &CorsSettings) -> Option<Self> {
        let list = |texts: &[String]| HeaderValue::from_str(&texts.join(", ")).ok();
        let mut always = Vec::new();
        if settings.credentials == Credentials::Allow {
            always.push((
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            ));
        }
        if !settings.expose.is_empty() {
            always.push((ACCESS_CONTROL_EXPOSE_HEADERS, list(&settings.expose)?));
        }
        let mut preflight = vec![(ACCESS_CONTROL_ALLOW_METHODS, list(&settings.methods)?)];
        if !settings.headers.is_empty() {
            preflight.push((ACCESS_CONTROL_ALLOW_HEADERS, list(&settings.headers)?));
        }
        if let Some(age) = settings.max_age {
            preflight.push((ACCESS_CONTROL_MAX_AGE, age.as_secs().into()));
        }
        Some(Self {
            origins: settings.origins.clone(),
            always,
            preflight,
            credentials: settings.credentials,
        })
    }

    /// What the answer to this request allows as its origin.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return None;
        };
        if self.allows_any() && self.credentials == Credentials::Omit {
            return Some(ANY);
        }
        let text = origin.to_str().ok()?;
        let allowed = self.origins.iter().any(|allowed| allowed.covers(text));
        allowed.then(|| origin.clone())
    }

    /// Says in an answer what its reader may do with it, and nothing else about that.
    pub(super) fn mark(
        &self,
        allowed: Option<&HeaderValue>,
        answer: &mut ResponseHeader,
    ) -> Result<()> {
        for name in &OF_CORS {
            answer.remove_header(name);
        }
        // The answer depends on who asks, and caches have to know that it does.
        if !self.allows_any() && !varies(answer) {
            answer.append_header(VARY, HeaderValue::from_static("Origin"))?;
        }
        let Some(origin) = allowed else { return Ok(()) };
        answer.insert_header(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())?;
        for (name, value) in &self.always {
            answer.insert_header(name.clone(), value.clone())?;
        }
        Ok(())
    }

    /// The answer to a preflight.
    pub(super) fn preflight(&self, allowed: Option<&HeaderValue>) -> Result<ResponseHeader> {
        let mut answer = ResponseHeader::build(StatusCode::NO_CONTENT, Some(8))?;
        self.mark(allowed, &mut answer)?;
        if allowed.is_some() {
            for (name, value) in &self.preflight {
                answer.insert_header(name.clone(), value.clone())?;
            }
        }
        Ok(answer)
    }

    fn allows_any(&self) -> bool {
        self.origins.contains(&AllowedOrigin::Any)
    }
}

fn varies(answer: &ResponseHeader) -> bool {
    let lines = answer.headers.get_all(VARY).iter();
    let mut names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    names.any(|name| {
        let name = name.trim_ascii();
        name == b"*" || name.eq_ignore_ascii_case(b"origin")
    })
}
