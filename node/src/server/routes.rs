//! `[[routes]]` and `[upstreams]` compiled into the table of actions.

use std::sync::Arc;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue};

use super::access::Access;
use super::functions::Functions;
use super::sites::Sites;
use super::upstreams::Upstreams;
use crate::auth::Login;
use crate::cache::Cache;
use crate::coding::Places;
use crate::config::{Answer, Config, Hsts, Route};
use crate::edge::{BodyAccess, Chain, Forwards, Link, Runtime};
use crate::proxy::{
    Action, Complaints, Compression, Cors, EncodedSlashes, HttpsRedirect, Policy, Protocol,
    StaticAnswer, Target,
};
use crate::route::Table;

/// What routes refer to.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) runtime: Option<&'a Arc<Runtime>>,
    pub(super) functions: &'a Functions,
    pub(super) upstreams: &'a Upstreams,
    pub(super) cache: &'a Cache,
    pub(super) access: &'a Access,
    pub(super) sites: &'a Sites,
    pub(super) places: &'a Places,
}

/// The route table. Routes whose parts are broken are left out: that was reported.
pub(super) fn table(parts: &Parts<'_>, logins: Vec<Option<Login>>) -> Table<Arc<Action>> {
    let routes = parts.config.routes.iter().enumerate().zip(logins);
    let actions = routes.filter_map(|((position, route), login)| {
        let target = target((position, route), parts)?;
        let action = action(route, (target, login), parts);
        Some((route.criteria.clone(), Arc::new(action)))
    });
    Table::new(actions)
}

fn action(route: &Route, (target, login): (Target, Option<Login>), parts: &Parts<'_>) -> Action {
    let limits = &parts.config.server.limits;
    Action {
        name: route.name.as_str().into(),
        target,
        body_size: route.body_size.unwrap_or(limits.body_size),
        compression: (!route.compress.is_empty()).then(|| Compression {
            codings: route.compress.clone(),
            places: parts.places.clone(),
        }),
        server_timing: route.server_timing,
        upgrade: upgrade(route, parts.config),
        complaints: Complaints::default(),
        policy: policy(route, login, parts),
        hsts: route.hsts.as_ref().map(Hsts::header),
        encoded_slashes: match route.keep_encoded_slashes {
            true => EncodedSlashes::Keep,
            false => EncodedSlashes::Reject,
        },
    }
}

/// WebSocket, unless the route says otherwise, a function of it reads bodies and would miss what
/// passes then, or the upstream's backends are known for HTTP/2: asking is HTTP/1.1, which they
/// need not understand, so that clients could make them look broken.
fn upgrade(route: &Route, config: &Config) -> Vec<Protocol> {
    if let Some(protocols) = &route.upgrade {
        return protocols.clone();
    }
    let functions = || {
        route
            .functions
            .iter()
            .filter_map(|f| config.functions.get(f))
    };
    let fallbacks = functions().filter_map(|f| config.functions.get(f.fallback.as_ref()?));
    let reads_bodies = functions()
        .chain(fallbacks)
        .any(|f| f.body != BodyAccess::None);
    let upstream = route.upstream.as_ref();
    let upstream = upstream.and_then(|name| config.upstreams.get(name));
    match upstream.is_some_and(|upstream| !upstream.http2) && !reads_bodies {
        true => vec![Protocol::websocket()],
        false => Vec::new(),
    }
}

/// `None` where nothing but the action itself is asked for: requests then pay for nothing else.
fn policy(route: &Route, login: Option<Login>, parts: &Parts<'_>) -> Option<Box<Policy>> {
    let rules = &route.rules;
    if rules.is_empty() {
        return None;
    }
    Some(Box::new(Policy {
        rewrite: rules.rewrite.clone(),
        host: rules.host.clone(),
        request_headers: rules.request_headers.clone(),
        response_headers: rules.response_headers.clone(),
        cors: rules.cors.as_ref().and_then(Cors::new),
        addresses: rules.addresses.clone(),
        in_flight: parts.access.in_flight(route),
        rate_limit: parts.access.rate_limit(route, parts.cache),
        login,
    }))
}

fn target((position, route): (usize, &Route), parts: &Parts<'_>) -> Option<Target> {
    if let Some(answer) = &route.answer {
        return answer_target(answer);
    }
    let upstream = match &route.upstream {
        Some(name) => Some(Arc::clone(parts.upstreams.get(name)?)),
        None => None,
    };
    let files = match &route.files {
        Some(_) => Some(Arc::clone(parts.sites.get(&position)?)),
        None => None,
    };
    if route.functions.is_empty() {
        return match files {
            Some(files) => Some(Target::Files(files)),
            None => upstream.map(Target::Upstream),
        };
    }
    let links: Option<Vec<_>> = route
        .functions
        .iter()
        .map(|name| link(name, parts))
        .collect();
    let chain = |forwards| Some(Chain::new(Arc::clone(parts.runtime?), links?, forwards));
    Some(match (upstream, files) {
        (Some(upstream), _) => {
            Target::FunctionsThenUpstream(chain(Forwards::ToUpstream)?, upstream)
        }
        (None, Some(files)) => Target::FunctionsThenFiles(chain(Forwards::ToUpstream)?, files),
        (None, None) => Target::Functions(chain(Forwards::Nowhere)?),
    })
}

fn link(name: &str, parts: &Parts<'_>) -> Option<Link> {
    let fallback = match &parts.config.functions.get(name)?.fallback {
        Some(fallback) => Some(Arc::clone(parts.functions.get(fallback)?)),
        None => None,
    };
    Some(Link {
        function: Arc::clone(parts.functions.get(name)?),
        fallback,
    })
}

fn answer_target(answer: &Answer) -> Option<Target> {
    Some(match answer {
        Answer::Respond {
            status,
            headers,
            body,
        } => Target::Answer(StaticAnswer {
            status: *status,
            headers: headers.clone(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }),
        Answer::Redirect { to, status } => Target::Answer(StaticAnswer {
            status: *status,
            headers: HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(to).ok()?)]),
            body: Bytes::new(),
        }),
        Answer::ToHttps { port, status } => Target::ToHttps(HttpsRedirect {
            port: *port,
            status: *status,
        }),
    })
}
