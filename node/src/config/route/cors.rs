//! `cors` of `[[routes]]`.

use std::time::Duration;

use http::{HeaderName, Method};

use crate::config::{criteria, section::Section, value::Value};
use crate::proxy::{AllowedOrigin, CorsSettings, Credentials};
use crate::route::Criteria;

const TABLE: &str = "write a table such as { origins = [\"https://app.example\"] }";
const ORIGIN: &str =
    "write an origin such as \"https://app.example\", \"https://*.app.example\" or \"*\"";
const HEADER: &str = "write a header name such as \"x-request-id\"";

/// Allowed where neither the table nor the route names any.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Longer than any browser remembers.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// `criteria` are absent where these have problems of their own.
pub(super) fn read(section: &mut Section<'_>, criteria: Option<&Criteria>) -> Option<CorsSettings> {
    let value = section.take("cors")?;
    value.table(TABLE, |section| read_cors(section, criteria))?
}

fn read_cors(section: &mut Section<'_>, criteria: Option<&Criteria>) -> Option<CorsSettings> {
    let credentials = match section.switch("credentials") {
        true => Credentials::Allow,
        false => Credentials::Omit,
    };
    let lists = Lists { credentials };
    let origins = section.require("origins", ORIGIN);
    let methods = section.take("methods");
    let headers = lists.names(section.take("headers"), HEADER, parse_header);
    let expose = lists.names(section.take("expose"), HEADER, parse_header);
    let max_age = section.take("max_age").and_then(|value| {
        value.duration(&(Duration::ZERO..=LONGEST), Duration::from_secs(60 * 60))
    });
    let methods = match methods {
        Some(list) => lists.names(Some(list), criteria::METHOD, parse_method),
        None => default_methods(criteria),
    };
    Some(CorsSettings {
        origins: lists.origins(&origins?),
        methods,
        headers,
        expose,
        credentials,
        max_age,
    })
}

/// Reads lists in which `*` stands for anything, unless requests come with credentials.
struct Lists {
    credentials: Credentials,
}

impl Lists {
    fn origins(&self, list: &Value<'_>) -> Vec<AllowedOrigin> {
        let items = list.items(&format!("write an array; for each element, {ORIGIN}"));
        if items.is_empty() && list.inner.is_array() {
            list.wrong("an empty list allows nothing", "remove cors to have none");
        }
        let origins = items.iter().filter_map(|item| {
            let origin = item.parsed::<AllowedOrigin>(ORIGIN)?;
            (origin != AllowedOrigin::Any || self.may_be_any(item)).then_some(origin)
        });
        origins.collect()
    }

    fn names(
        &self,
        list: Option<Value<'_>>,
        remedy: &str,
        parse: fn(&str) -> Result<String, String>,
    ) -> Vec<String> {
        let Some(list) = list else {
            return Vec::new();
        };
        let items = list.items(&format!("write an array; for each element, {remedy}"));
        let names = items.iter().filter_map(|item| {
            let name = item.parsed_by(
                |text| match text {
                    "*" => Ok(text.to_owned()),
                    _ => parse(text),
                },
                remedy,
            )?;
            (name != "*" || self.may_be_any(item)).then_some(name)
        });
        names.collect()
    }

    fn may_be_any(&self, item: &Value<'_>) -> bool {
        let may = self.credentials == Credentials::Omit;
        if !may {
            item.wrong(
                "with credentials, browsers take \"*\" for nothing",
                "write each, or remove credentials",
            );
        }
        may
    }
}

fn parse_header(text: &str) -> Result<String, String> {
    let name = HeaderName::from_bytes(text.as_bytes());
    name.map(|name| name.as_str().to_owned())
        .map_err(|error| error.to_string())
}

fn parse_method(text: &str) -> Result<String, String> {
    let method = criteria::parse_method(text);
    method
        .map(|method| method.as_str().to_owned())
        .map_err(|error| error.to_string())
}

fn default_methods(criteria: Option<&Criteria>) -> Vec<String> {
    let of_route = criteria.map(|criteria| &criteria.methods[..]);
    match of_route.unwrap_or_default() {
        [] => METHODS.map(str::to_owned).to_vec(),
        methods => methods.iter().map(Method::to_string).collect(),
    }
}
