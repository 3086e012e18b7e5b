//! Tables of header fields.

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue};

use super::{section::Section, value::Value};

const TABLE: &str = "write a table such as { \"content-type\" = \"text/plain\" }";

/// The fields in the table `key`, none of which may be `refused`.
pub(super) fn read(
    section: &mut Section<'_>,
    key: &'static str,
    refused: &[HeaderName],
) -> Vec<(HeaderName, HeaderValue)> {
    read_with(section, key, |name, value| {
        let is_refused = refused.contains(name);
        if is_refused {
            value.wrong("the node sets this header itself", "remove it");
        }
        !is_refused
    })
}

/// The fields in the table `key` that are `permitted`, which says what is wrong with others.
pub(super) fn read_with(
    section: &mut Section<'_>,
    key: &'static str,
    permitted: impl Fn(&HeaderName, &Value<'_>) -> bool,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut seen = BTreeSet::new();
    let entries = section.entries(key, TABLE);
    let fields = entries.iter().filter_map(|(name, value)| {
        let field = field(name, value, &permitted)?;
        if !seen.insert(field.0.as_str().to_owned()) {
            value.wrong(
                "the same header stands here twice, in another case",
                "keep only one of them",
            );
            return None;
        }
        Some(field)
    });
    fields.collect()
}

fn field(
    name: &str,
    value: &Value<'_>,
    permitted: impl Fn(&HeaderName, &Value<'_>) -> bool,
) -> Option<(HeaderName, HeaderValue)> {
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
        value.wrong(
            "the key is not a header name",
            "write a name such as \"content-type\"",
        );
        return None;
    };
    if !permitted(&name, value) {
        return None;
    }
    let text = value.parsed_by(
        HeaderValue::from_str,
        "write one line of printable ASCII characters",
    )?;
    Some((name, text))
}
