//! Answers that go out in a content coding which the client likes: whoever made them, since the
//! library asks its modules last.

mod eligible;
mod stream;

use http::header::{IF_NONE_MATCH, RANGE};
use http::{HeaderValue, Method, Version};
use pingora::modules::http::{HttpModuleBuilder, HttpModules, Module};
use pingora::proxy::Session;

use self::stream::Stream;
use crate::coding::{Accepted, Coding, Places};

/// `compress` of a route.
#[derive(Clone, Debug)]
pub struct Compression {
    /// The codings there are, the preferred first.
    pub codings: Vec<Coding>,
    /// Room for encoders, that of all routes.
    pub places: Places,
}

/// What of a request decides about the coding of its answer.
#[derive(Clone, Debug)]
struct Request {
    /// The one it is to be, if the answer allows it.
    coding: Option<Coding>,
    is_head: bool,
    if_none_match: Vec<HeaderValue>,
    places: Places,
}

impl Request {
    fn new(session: &Session, compression: &Compression) -> Self {
        let header = session.req_header();
        // HTTP/1.0 has no chunks, and parts are of the body as it is.
        let takes_any = header.version != Version::HTTP_10
            && !header.headers.contains_key(RANGE)
            && !eligible::forbids(&header.headers);
        let accepted = Accepted::of(&header.headers);
        let if_none_match = header.headers.get_all(IF_NONE_MATCH);
        Self {
            coding: accepted.best(&compression.codings).filter(|_| takes_any),
            is_head: header.method == Method::HEAD,
            if_none_match: if_none_match.iter().cloned().collect(),
            places: compression.places.clone(),
        }
    }
}

impl HttpModuleBuilder for Request {
    fn init(&self) -> Module {
        Box::new(Stream::new(self.clone()))
    }
}

/// Has the answer to this request encoded. Requests of routes without `compress` have no module,
/// and nothing to pay.
pub(super) fn begin(session: &mut Session, compression: &Compression) {
    let mut modules = HttpModules::new();
    modules.add_module(Box::new(Request::new(session, compression)));
    session.downstream_modules_ctx = modules.build_ctx();
}
