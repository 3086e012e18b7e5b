//! `request_headers` and `response_headers` of `[[routes]]`.

use aegis_abi::is_reserved_header;
use http::HeaderName;

use crate::config::{headers, section::Section, value::Value};
use crate::edge::HeaderEdit;

const TABLE: &str = "write a table such as { set = { \"x-a\" = \"b\" }, remove = [\"server\"] }";
const NAME: &str = "write a name such as \"server\"";

/// The edits of one kind of message.
pub(super) struct Kind {
    key: &'static str,
    /// Why this header is not the file's to edit, and what is.
    refusal: fn(&str) -> Option<(&'static str, &'static str)>,
}

pub(super) const REQUEST: Kind = Kind {
    key: "request_headers",
    refusal: |name| match name {
        "host" => Some((
            "the route has a key for this header",
            "write host = \"…\" instead",
        )),
        "expect" | "http2-settings" | "x-request-id" => Some(OF_THE_NODE),
        _ => of_the_node(name),
    },
};

pub(super) const RESPONSE: Kind = Kind {
    key: "response_headers",
    refusal: of_the_node,
};

const OF_THE_NODE: (&str, &str) = ("the node sets this header itself", "remove it");

fn of_the_node(name: &str) -> Option<(&'static str, &'static str)> {
    is_reserved_header(name).then_some(OF_THE_NODE)
}

/// First what is removed, then what is set, then what is added.
pub(super) fn read(section: &mut Section<'_>, kind: &Kind) -> Vec<HeaderEdit> {
    let Some(value) = section.take(kind.key) else {
        return Vec::new();
    };
    let edits = value.table(TABLE, |section| read_edits(section, kind));
    edits.unwrap_or_default()
}

fn read_edits(section: &mut Section<'_>, kind: &Kind) -> Vec<HeaderEdit> {
    let removed = section.list("remove", "write an array such as [\"server\"]");
    let removed = removed.iter().filter_map(|value| {
        let name = value.parsed_by(|text| HeaderName::from_bytes(text.as_bytes()), NAME)?;
        permitted(&name, value, kind).then_some((name, value))
    });
    let removed: Vec<_> = removed.collect();
    let set = headers::read_with(section, "set", |name, value| permitted(name, value, kind));
    let added = headers::read_with(section, "add", |name, value| permitted(name, value, kind));
    for (name, value) in &removed {
        let mut others = set.iter().chain(&added);
        if others.any(|(other, _)| other == name) {
            value.wrong(
                "the header is removed and written",
                "remove it here: set replaces what is there",
            );
        }
    }
    let removed = removed.into_iter();
    removed
        .map(|(name, _)| HeaderEdit::Remove(name))
        .chain(
            set.into_iter()
                .map(|(name, value)| HeaderEdit::Set(name, value)),
        )
        .chain(
            added
                .into_iter()
                .map(|(name, value)| HeaderEdit::Add(name, value)),
        )
        .collect()
}

fn permitted(name: &HeaderName, value: &Value<'_>, kind: &Kind) -> bool {
    let refusal = (kind.refusal)(name.as_str());
    if let Some((message, remedy)) = refusal {
        value.wrong(message, remedy);
    }
    refusal.is_none()
}
