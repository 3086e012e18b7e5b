//! What a route asks of its requests and makes of its answers, besides passing them on.

use http::HeaderValue;

use crate::cache;
use crate::edge::HeaderEdit;
use crate::proxy::{AddressRules, CorsSettings, RateSettings, Rewrite};
use crate::route::Criteria;

use super::{LoginSettings, access, cors, header_edits, login, rewrite};
use crate::config::section::Section;

/// Header edits, rewrites, CORS and access rules of a route.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What the upstream is asked for instead of the path.
    pub rewrite: Option<Rewrite>,
    /// What the upstream is sent as `Host`.
    pub host: Option<HeaderValue>,
    /// Made of the request, in this order.
    pub request_headers: Vec<HeaderEdit>,
    /// Made of the answer, in this order.
    pub response_headers: Vec<HeaderEdit>,
    /// Whose pages may use it.
    pub cors: Option<CorsSettings>,
    /// From where it may be used.
    pub addresses: AddressRules,
    /// How many requests may be under way.
    pub max_in_flight: Option<usize>,
    /// How often it may be used.
    pub rate_limit: Option<RateSettings>,
    /// Who may use it.
    pub login: Option<LoginSettings>,
}

impl Rules {
    /// Whether the route has none of it.
    pub fn is_empty(&self) -> bool {
        self.rewrite.is_none()
            && self.host.is_none()
            && self.request_headers.is_empty()
            && self.response_headers.is_empty()
            && self.cors.is_none()
            && self.addresses.is_empty()
            && self.max_in_flight.is_none()
            && self.rate_limit.is_none()
            && self.login.is_none()
    }
}

/// `criteria` are absent where these have problems of their own.
pub(super) fn read(
    section: &mut Section<'_>,
    criteria: Option<&Criteria>,
    cache: Option<&cache::Settings>,
) -> Rules {
    Rules {
        rewrite: rewrite::read(section, criteria),
        host: rewrite::host(section),
        request_headers: header_edits::read(section, &header_edits::REQUEST),
        response_headers: header_edits::read(section, &header_edits::RESPONSE),
        cors: cors::read(section, criteria),
        addresses: access::addresses(section),
        max_in_flight: access::max_in_flight(section),
        rate_limit: access::rate_limit(section, cache),
        login: login::read(section),
    }
}

/// What edits requests needs somebody who gets them edited. Of a route that does nothing at all
/// something else is said.
pub(super) fn check(section: &Section<'_>) {
    const EDITS: [&str; 3] = ["strip_prefix", "rewrite", "request_headers"];
    let has = |key: &&str| section.has(key);
    let sends = |key: &&str| section.has(key) || section.misspells(key);
    let answers = ["respond", "redirect"].iter().any(has);
    let (message, remedy) = match section.has("files") {
        true => (
            "files are looked up by what the client asks for",
            "remove the key, or files",
        ),
        false => (
            "the request goes to nobody",
            "give the route functions or an upstream, or remove the key",
        ),
    };
    let is_for_nobody = answers && !["functions", "upstream"].iter().any(sends);
    if section.has("files") || is_for_nobody {
        for value in EDITS.iter().filter_map(|key| section.peek(key)) {
            value.context.lacks(&value.spot, message, remedy);
        }
    }
    let stays = answers || ["functions", "files"].iter().any(has);
    if let Some(host) = section.peek("host")
        && stays
        && !sends(&"upstream")
    {
        let remedy = "give the route an upstream, or remove the key";
        let message = "there is no upstream to send it to";
        host.context.lacks(&host.spot, message, remedy);
    }
}
