//! `jwt` of `[[routes]]`.

use std::time::Duration;

use aegis_abi::is_reserved_header;
use http::HeaderName;
use url::Url;

use crate::auth::{Algorithm, JwtSettings, KeyLocation, TokenPlace};
use crate::config::{section::Section, value::Value};
use crate::egress::AllowEntry;

const KEYS: &str = "write jwks_file = \"keys.json\" or jwks_url = \"https://id.example/keys\"";
const URL: &str = "write an https URL such as \"https://id.example/keys\"";
const CLAIMS: &str = "write a table such as { x-user = \"sub\" }";

/// Between two questions for keys, and the least.
const REFRESH: Duration = Duration::from_secs(10 * 60);
const SHORTEST_REFRESH: Duration = Duration::from_secs(10);
const LONGEST_REFRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// How far clocks are apart that somebody looks after, and the most that makes sense.
const LEEWAY: Duration = Duration::from_secs(30);
const LONGEST_LEEWAY: Duration = Duration::from_secs(5 * 60);

pub(super) fn read(section: &mut Section<'_>) -> Option<JwtSettings> {
    let issuer = section.require("issuer", "write what its tokens have as `iss`");
    let issuer = issuer.and_then(|value| value.string());
    let audience = section.take("audience");
    let keys = read_keys(section);
    let algorithms = section
        .take("algorithms")
        .map(|list| read_algorithms(&list));
    let cookie = section.take("cookie");
    let settings = JwtSettings {
        audience: audience.map_or_else(Vec::new, |value| read_audience(&value)),
        algorithms: algorithms
            .unwrap_or_else(|| Algorithm::ALL.map(|(_, algorithm)| algorithm).to_vec()),
        leeway: section.duration("leeway", LEEWAY, Duration::ZERO..=LONGEST_LEEWAY),
        place: match cookie {
            Some(name) => {
                TokenPlace::Cookie(name.parsed_by(parse_cookie, "write a cookie's name")?)
            }
            None => TokenPlace::Bearer,
        },
        claims: read_claims(section),
        issuer: issuer?,
        keys: keys?,
    };
    Some(settings)
}

fn read_audience(value: &Value<'_>) -> Vec<String> {
    if value.is_string() {
        return value.string().into_iter().collect();
    }
    let items = value.items("write a string, or an array of them");
    if items.is_empty() && value.inner.is_array() {
        value.wrong(
            "an empty list is for nobody",
            "remove it for tokens without `aud`",
        );
    }
    items.iter().filter_map(Value::string).collect()
}

fn read_algorithms(list: &Value<'_>) -> Vec<Algorithm> {
    let items = list.items("write an array such as [\"RS256\"]");
    if items.is_empty() && list.inner.is_array() {
        list.wrong(
            "no token would be accepted",
            "remove it to accept all there are",
        );
    }
    let algorithms = items.iter().filter_map(|item| item.choice(&Algorithm::ALL));
    algorithms.collect()
}

fn parse_cookie(text: &str) -> Result<String, &'static str> {
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("not a cookie's name"),
    }
}

fn read_keys(section: &mut Section<'_>) -> Option<KeyLocation> {
    let file = section.take("jwks_file");
    let url = section.take("jwks_url");
    let ca_file = section.take("ca_file");
    let refresh = section.take("refresh");
    match (file, url) {
        (Some(_), Some(url)) => {
            url.wrong(
                "keys are in one place",
                "keep only one of jwks_file and jwks_url",
            );
            None
        }
        (Some(file), None) => {
            for value in [ca_file, refresh].into_iter().flatten() {
                value.wrong("a file is read at load", "remove it, or use jwks_url");
            }
            file.path().map(KeyLocation::File)
        }
        (None, Some(url)) => {
            let (url, host) = url.parsed_by(parse_url, URL)?;
            let range = SHORTEST_REFRESH..=LONGEST_REFRESH;
            let refresh = refresh.map(|value| value.duration(&range, REFRESH));
            Some(KeyLocation::Url {
                url,
                host,
                ca_file: ca_file.and_then(|value| value.path()),
                refresh: refresh.unwrap_or(Some(REFRESH))?,
            })
        }
        (None, None) => {
            section
                .context
                .lacks(&section.spot, "there are no keys", KEYS);
            None
        }
    }
}

fn parse_url(text: &str) -> Result<(String, AllowEntry), String> {
    let url: Url = text
        .parse()
        .map_err(|error: url::ParseError| error.to_string())?;
    let secret = !url.username().is_empty() || url.password().is_some();
    let (Some(host), "https", false) = (url.host_str(), url.scheme(), secret) else {
        return Err("not an https URL without a password".to_owned());
    };
    let port = url.port().unwrap_or(443);
    let entry = format!("{host}:{port}").parse::<AllowEntry>();
    Ok((text.to_owned(), entry.map_err(|error| error.to_string())?))
}

fn read_claims(section: &mut Section<'_>) -> Vec<(HeaderName, String)> {
    let entries = section.entries("claims", CLAIMS);
    let claims = entries.iter().filter_map(|(name, value)| {
        let claim = value.string()?;
        let header = HeaderName::from_bytes(name.as_bytes()).ok();
        let Some(header) = header.filter(|_| !is_reserved_header(name) && !name.contains('_'))
        else {
            value.wrong(
                "the key is no header name that could be set",
                "write a name such as x-user; others are the node's, or are mistaken for others",
            );
            return None;
        };
        Some((header, claim))
    });
    claims.collect()
}
