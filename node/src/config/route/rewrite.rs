//! `strip_prefix`, `rewrite` and `host` of `[[routes]]`.

use http::{HeaderValue, uri::Authority};

use crate::config::{criteria::reason, section::Section, value::Value};
use crate::proxy::{Rewrite, RewriteError};
use crate::route::Criteria;

const PREFIX: &str = "write a path such as \"/api\"";
const REWRITE: &str =
    "write a path such as \"/fixed\", or { match = \"^/old/(.*)$\", to = \"/new/$1\" }";
const MATCH: &str = "write a regular expression such as \"^/old/(.*)$\"";
const TO: &str = "write what takes the place of what was found, such as \"/new/$1\"";
const HOST: &str = "write a host such as \"origin.internal\" or \"origin.internal:8080\"";

pub(super) fn read(section: &mut Section<'_>, criteria: Option<&Criteria>) -> Option<Rewrite> {
    let strip = section.take("strip_prefix");
    let rewrite = section.take("rewrite");
    let Some(strip) = strip else {
        return read_rewrite(&rewrite?);
    };
    if let Some(rewrite) = rewrite {
        rewrite.wrong(
            "a path is rewritten in one way",
            "keep only one of strip_prefix and rewrite",
        );
        return None;
    }
    let rewrite = strip.parsed_by(Rewrite::strip_prefix, PREFIX)?;
    if let Some(criteria) = criteria
        && !rewrite.concerns(&criteria.path)
    {
        strip.wrong(
            format!(
                "no path of the route begins with {}: it is for {}",
                strip.shown(),
                criteria.path
            ),
            "strip the route's path_prefix, or a beginning of it",
        );
    }
    Some(rewrite)
}

fn read_rewrite(value: &Value<'_>) -> Option<Rewrite> {
    if value.is_string() {
        return value.parsed_by(Rewrite::fixed, REWRITE);
    }
    value.table(REWRITE, |section| {
        let expression = section.require("match", MATCH);
        let replacement = section.require("to", TO);
        let (expression, replacement) = (expression?, replacement?);
        let text = replacement.string()?;
        let rewrite = |pattern: &str| match Rewrite::replace(pattern, &text) {
            Err(error @ (RewriteError::Query | RewriteError::Group(_))) => {
                replacement.wrong(error, TO);
                Ok(None)
            }
            Err(error) => Err(reason(&error)),
            Ok(rewrite) => Ok(Some(rewrite)),
        };
        expression.parsed_by(rewrite, MATCH)?
    })?
}

pub(super) fn host(section: &mut Section<'_>) -> Option<HeaderValue> {
    section.take("host")?.parsed_by(parse_host, HOST)
}

fn parse_host(text: &str) -> Result<HeaderValue, &'static str> {
    const ERROR: &str = "not a host";
    let host: Authority = text.parse().map_err(|_| ERROR)?;
    let has_host = !host.host().is_empty() && !text.contains('@');
    // An authority with a port that is none has no port.
    let has_port = host.host().len() == text.len() || host.port_u16().is_some();
    match has_host && has_port {
        true => HeaderValue::from_str(text).map_err(|_| ERROR),
        false => Err(ERROR),
    }
}
