//! `[egress]`.

use crate::egress::Settings;

use super::section::Section;

/// What an entry of an allow list may be.
pub(super) const ENTRY: &str =
    "write a host such as \"httpbin.org\", \"*.example.com\", \"*\" or \"api.example.com:8443\"";

/// What a resolver may be.
pub(super) const NAMESERVER: &str = "write an IP address and port such as \"127.0.0.1:53\"";

pub(super) fn read(section: &mut Section<'_>) -> Settings {
    Settings {
        allow: section.parsed_list("allow", ENTRY).into_iter().collect(),
        ca_file: section.take("ca_file").and_then(|value| value.path()),
        allow_private: section
            .parsed_list("allow_private", "write a network such as \"10.0.0.0/8\""),
        nameservers: section.parsed_list("nameservers", NAMESERVER),
    }
}
