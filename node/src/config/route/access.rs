//! Who may use a route, and how much: `allow`, `deny`, `max_in_flight` and `rate_limit` of
//! `[[routes]]`.

use std::time::Duration;

use crate::cache::{self, MAX_TTL, StoreSettings};
use crate::config::{networks, section::Section, server::MOST_AT_ONCE, value::Value};
use crate::proxy::{AddressRules, Counting, Networks, RateSettings};

const RATE: &str = "write a table such as { requests = 100, window = \"1m\" }";
const BY: &str =
    "write \"address\", \"route\", or such as \"header:x-api-key\" or \"cookie:session\"";

pub(super) fn addresses(section: &mut Section<'_>) -> AddressRules {
    let allow = section.take("allow");
    if let Some(list) = &allow
        && list.inner.as_array().is_some_and(|list| list.is_empty())
    {
        list.wrong(
            "nobody would be allowed by an empty list",
            "remove it to allow everybody",
        );
    }
    AddressRules {
        allow: allow.map_or_else(Networks::default, |list| networks::read(&list)),
        deny: networks::take(section, "deny"),
    }
}

pub(super) fn max_in_flight(section: &mut Section<'_>) -> Option<usize> {
    let most = section.take("max_in_flight")?;
    let most = most.integer(&(1..=MOST_AT_ONCE), 100)?;
    usize::try_from(most).ok()
}

/// `cache` is absent where `[cache]` has problems of its own.
pub(super) fn rate_limit(
    section: &mut Section<'_>,
    cache: Option<&cache::Settings>,
) -> Option<RateSettings> {
    let value = section.take("rate_limit")?;
    let has_name = section.has("name") || section.misspells("name");
    value.table(RATE, |section| {
        let requests = section.require("requests", "write how many, such as 100");
        let window = section.require("window", "write in how much time, such as \"1m\"");
        let by = section.take("by").map(|value| value.parsed(BY));
        let per = section.take("per");
        let counting = per
            .as_ref()
            .and_then(|per| per.choice(&[("node", Counting::Node), ("shared", Counting::Shared)]));
        if let (Some(per), Some(Counting::Shared)) = (&per, counting) {
            check_shared(per, cache, has_name);
        }
        let requests = requests?.integer(&(1..=u64::from(u32::MAX)), 100)?;
        let window = window?.duration(&(Duration::from_secs(1)..=MAX_TTL), Duration::from_secs(60));
        Some(RateSettings {
            requests: u32::try_from(requests).ok()?,
            window: window?,
            by: by.unwrap_or_else(|| Some(Default::default()))?,
            per: counting.unwrap_or_default(),
        })
    })?
}

fn check_shared(per: &Value<'_>, cache: Option<&cache::Settings>, has_name: bool) {
    let is_own = |cache: &cache::Settings| matches!(cache.store, StoreSettings::Embedded { .. });
    if cache.is_some_and(is_own) {
        per.context.lacks(
            &per.spot,
            "there is no store that nodes share",
            "name one with url in [cache], or write \"node\"",
        );
    }
    if !has_name {
        per.context.lacks(
            &per.spot,
            "a route without a name would share its count with whichever stands there elsewhere",
            "give the route a name",
        );
    }
}
