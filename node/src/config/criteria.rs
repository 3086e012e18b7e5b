//! Which requests a route is for: `scheme`, `hosts`, `path`, `path_prefix`, `path_regex`, `methods` and
//! `headers` of `[[routes]]`.

use std::{fmt::Display, str::FromStr};

use http::Method;

use crate::route::{Criteria, HostPattern, PathPattern, PatternError};
use crate::scheme::Scheme;

use super::{headers, section::Section, value::Value};

const HOST: &str = "write a host such as \"api.example.com\" or \"*.example.com\"";
pub(super) const METHOD: &str = "write a method such as \"GET\"";
const PATH: &str = "write a path such as \"/rates\"";
const REGEX: &str = "write a regular expression such as \"^/v[0-9]+/\"";

const SCHEMES: &[(&str, Scheme)] = &[("http", Scheme::Http), ("https", Scheme::Https)];

/// The methods people write in lower case by mistake: as a token of HTTP `get` is a method too,
/// but not one a client sends.
const USUAL: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT",
];

/// Why a text is not a method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MethodError {
    #[error("methods are case-sensitive, write {0:?}")]
    Case(String),
    #[error("not a method of HTTP")]
    Token,
}

/// `None` when it cannot be said which paths the route is for.
pub(super) fn read(section: &mut Section<'_>) -> Option<Criteria> {
    let criteria = Criteria {
        scheme: section
            .take("scheme")
            .and_then(|value| value.choice(SCHEMES)),
        hosts: choices(section, "hosts", HOST, HostPattern::from_str),
        methods: choices(section, "methods", METHOD, parse_method),
        headers: headers::read(section, "headers", &[]),
        path: path(section)?,
    };
    Some(criteria)
}

/// A list of which one must agree, so an empty one would let nothing through.
fn choices<T, E: Display>(
    section: &mut Section<'_>,
    key: &'static str,
    remedy: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Vec<T> {
    let Some(list) = section.take(key) else {
        return Vec::new();
    };
    let items = list.items(&format!("write an array; for each element, {remedy}"));
    if items.is_empty() && list.inner.is_array() {
        list.wrong(
            "nothing would match an empty list",
            "remove it to match any",
        );
    }
    let parsed = items
        .iter()
        .filter_map(|item| item.parsed_by(&parse, remedy));
    parsed.collect()
}

fn path(section: &mut Section<'_>) -> Option<PathPattern> {
    let exact = section.take("path");
    let prefix = section.take("path_prefix");
    let regex = section.take("path_regex");
    if let Some(second) = [&exact, &prefix, &regex].into_iter().flatten().nth(1) {
        second.wrong(
            "a route has one kind of path",
            "keep only one of path, path_prefix and path_regex",
        );
        return None;
    }
    match (&exact, &prefix, &regex) {
        (Some(value), ..) => pattern(value, PathPattern::exact, PATH),
        (_, Some(value), _) => pattern(value, PathPattern::prefix, PATH),
        (.., Some(value)) => pattern(value, PathPattern::regex, REGEX),
        (None, None, None) => Some(PathPattern::default()),
    }
}

fn pattern(
    value: &Value<'_>,
    parse: impl Fn(&str) -> Result<PathPattern, PatternError>,
    remedy: &str,
) -> Option<PathPattern> {
    value.parsed_by(|text| parse(text).map_err(|error| reason(&error)), remedy)
}

/// The last line of an error: regular expressions come with a drawing above it.
pub(super) fn reason(error: &impl Display) -> String {
    let text = error.to_string();
    let last = text.lines().next_back().unwrap_or_default();
    let last = last.strip_prefix("error: ").unwrap_or(last);
    last.trim_end_matches('.').to_owned()
}

pub(super) fn parse_method(text: &str) -> Result<Method, MethodError> {
    let upper = text.to_ascii_uppercase();
    if upper != text && USUAL.contains(&upper.as_str()) {
        return Err(MethodError::Case(upper));
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| MethodError::Token)
}
